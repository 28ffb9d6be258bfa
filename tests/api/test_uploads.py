"""Many planners' numbers at once: a preview, one transaction, and undoing it as a whole."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import xlsxwriter

from api.uploads import rows_of
from tests.api.conftest import problem, serving
from tests.api.stores import NOW, WEEK

LATER = "2012-11-09"
CSV = f"""store_id,dept_id,week,override,reason
1,3,{WEEK},200,Fair
1,4,{LATER},+10%,
2,3,{WEEK},,not changed
"""


@pytest.fixture
def client(own_url: str) -> Iterator[httpx.Client]:
    with serving(own_url, lambda: NOW, refresh_seconds=0.02) as client:
        yield client


def send(
    client: httpx.Client, content: str | bytes = CSV, key: str = "one", media: str = "text/csv", **query: str
) -> httpx.Response:
    headers = {"Idempotency-Key": key, "Content-Type": media}
    body = content.encode() if isinstance(content, str) else content
    return client.post("/v1/overrides:upload", content=body, headers=headers, params={"reason": "Planned"} | query)


def shown(answer: httpx.Response, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in answer.json()["items"]]


def finals(client: httpx.Client) -> dict[tuple[str, str, str], float]:
    rows = client.get("/v1/forecasts").json()["items"]
    return {(row["store_id"], row["dept_id"], row["week"]): row["final"] for row in rows}


def test_a_preview_says_what_would_come_and_adds_nothing(client: httpx.Client) -> None:
    before = client.get("/v1/overrides").json()["items"]
    answer = send(client, preview="true")
    body = answer.json()
    assert (answer.status_code, body["batch_id"], body["added"], body["refused"]) == (200, None, 0, 0)
    assert shown(answer, "line", "forecast", "override", "status", "detail") == [
        (2, 131.0, 200.0, "accepted", None),
        (3, 142.0, 142.0 * 1.1, "accepted", None),
    ]
    assert client.get("/v1/overrides").json()["items"] == before


def test_an_upload_counts_at_once_and_its_repeat_adds_nothing(client: httpx.Client) -> None:
    first, again = send(client), send(client)
    assert (first.status_code, again.status_code) == (201, 200)
    assert (first.json()["added"], again.json()["added"]) == (2, 0)
    now = finals(client)
    assert (now["1", "3", str(WEEK)], now["1", "4", LATER], now["2", "3", str(WEEK)]) == (200.0, 142.0 * 1.1, 231.0)
    batch = first.json()["batch_id"]
    listed = client.get("/v1/overrides", params={"batch_id": batch}).json()["items"]
    assert [(row["reason"], row["author"], row["client"]) for row in listed] == [
        ("Planned", "local", "127.0.0.1"),
        ("Fair", "local", "127.0.0.1"),
    ]
    (upload,) = client.get("/v1/override-batches").json()["items"]
    assert (upload["batch_id"], upload["overrides"], upload["waiting"]) == (batch, 2, 0)


def test_one_refused_row_refuses_them_all_and_each_is_named(client: httpx.Client) -> None:
    before = client.get("/v1/overrides").json()["items"]
    bad = CSV + f"9,3,{WEEK},5,\n1,3,2012-11-01,5,\n2,3,{WEEK},many,\n2,3,{LATER},7,\n2,3,{LATER},8,\n"
    answer = send(client, bad)
    assert "5 of 7 rows are refused, so none is added; line 5: no vintage forecasts store 9" in problem(answer, 409)
    errors = {each["line"]: each["message"] for each in answer.json()["errors"]}
    assert list(errors) == [5, 6, 7, 8, 9]
    assert "2012-11-01 is a Thursday" in errors[6]
    assert "override" in errors[7]
    assert "expected one number for store 2, department 3 in week 2012-11-09, got 2" in errors[8]
    assert client.get("/v1/overrides").json()["items"] == before
    assert send(client, bad, preview="true").json()["refused"] == 5


def test_an_edited_export_is_taken_back(client: httpx.Client) -> None:
    export = client.get("/v1/forecasts?format=csv").text
    header, first, second, *rest = export.splitlines()
    at = header.split(",").index("override")
    cells = second.split(",")
    assert cells[at] == ""
    cells[at] = "99.5"
    answer = send(client, "\n".join([header, first, ",".join(cells), *rest]))
    # The first row has a number in force, which comes back as it was.
    assert shown(answer, "override", "status") == [(170.0, "unchanged"), (99.5, "accepted")]
    assert answer.json()["added"] == 1


def workbook(rows: list[list[Any]]) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate(rows):
            sheet.write_row(at, 0, row)
    return buffer.getvalue()


EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TABLES = {
    "semicolons and a decimal comma": (f"Store;Department;Week;Number\n1;3;{WEEK};200,5\n", "text/csv"),
    "tabs": (f"store_id\tdept_id\tweek\toverride\n1\t3\t{WEEK}\t200.5\n", "text/tab-separated-values"),
    "Excel": (workbook([["store", "dept", "date", "override"], [1, 3, str(WEEK), 200.5]]), EXCEL),
    "JSON": (
        json.dumps({"items": [{"store_id": "1", "dept_id": "3", "week": str(WEEK), "override": 200.5}]}),
        "application/json",
    ),
}


@pytest.mark.parametrize("form", TABLES)
def test_each_form_of_a_table_is_read_the_same(client: httpx.Client, form: str) -> None:
    content, media = TABLES[form]
    answer = send(client, content, media=media)
    assert answer.status_code == 201, answer.text
    assert finals(client)["1", "3", str(WEEK)] == 200.5


@pytest.mark.parametrize(
    ("content", "media", "status", "says"),
    [
        (CSV, "image/png", 415, "expected a body of type"),
        (b"\xff\xfe", "text/csv", 422, "expected text in UTF-8"),
        ("a,b\n1,2\n", "text/csv", 422, "no column store_id, dept_id, week, override; its columns are a, b"),
        ("store_id,dept_id,week,override\n", "text/csv", 422, "expected a number in at least one row"),
        ("", "text/csv", 422, "no column"),
        (b"PK\x03\x04", EXCEL, 422, "the workbook cannot be read"),
        ("[]", "application/json", 422, 'expected {"items"'),
        ("{", "application/json", 422, "the body is not JSON"),
    ],
)
def test_what_is_no_table_is_one_problem(
    client: httpx.Client, content: str | bytes, media: str, status: int, says: str
) -> None:
    assert says in problem(send(client, content, media=media), status)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("12.5", 12.5), ("12,5", 12.5), ("0,125", 0.125), ("12.345", 12.345), ("1e3", 1000), ("1234,567", 1234.567),
        ("1,234.5", 1234.5), ("1.234,5", 1234.5), ("-1,234,567", -1234567), ("1.234.567", 1234567),
        # Either one thousand or one and a quarter, by who wrote it: refused rather than guessed.
        ("1,234", "1,234"), ("12,34,5", "12,34,5"),
    ],
)  # fmt: skip
def test_a_number_is_read_as_its_writer_means_it(written: str, number: object) -> None:
    ((_, row),) = rows_of(f'store_id,dept_id,week,override\n1,3,{WEEK},"{written}"\n'.encode(), "text/csv")
    assert row["override"] == number


def test_an_item_without_a_number_withdraws_nothing(client: httpx.Client) -> None:
    item = {"store_id": "1", "dept_id": "3", "week": str(WEEK)}
    answer = send(client, json.dumps({"items": [item]}), media="application/json")
    assert "line 1: expected override or change_percent" in problem(answer, 409)
    withdrawn = send(client, json.dumps({"items": [item | {"override": None}]}), "two", "application/json")
    assert shown(withdrawn, "override", "status") == [(None, "accepted")]
    assert finals(client)["1", "3", str(WEEK)] == 131.0


def test_an_upload_is_undone_as_a_whole_but_for_what_changed_since(client: httpx.Client) -> None:
    before = finals(client)
    batch = send(client).json()["batch_id"]
    body = {"store_id": "1", "dept_id": "4", "week": LATER, "override": 7.0, "reason": "newer"}
    client.post("/v1/overrides", json=body, headers={"Idempotency-Key": "newer"})
    undo = [
        client.post(f"/v1/override-batches/{batch}/undo", headers={"Idempotency-Key": "undo"}).json() for _ in range(2)
    ]
    assert undo[0] == undo[1]
    assert (undo[0]["put_back"], undo[0]["kept"]) == (1, 1)
    assert finals(client) == before | {("1", "4", LATER): 7.0}
    # The number that stood before the upload is in force again, as a version of its own.
    newest = client.get("/v1/overrides?dept_id=3&week=2012-11-02&status=active").json()["items"][0]
    assert (newest["override"], newest["reason"]) == (170.0, f"undo of upload {batch}")
    # An undoing is an upload too.
    client.post(f"/v1/override-batches/{undo[0]['batch_id']}/undo", headers={"Idempotency-Key": "again"})
    assert finals(client)["1", "3", str(WEEK)] == 200.0
    missing = client.post(f"/v1/override-batches/{'0' * 16}/undo", headers={"Idempotency-Key": "k"})
    assert "there is no upload 0000000000000000" in problem(missing, 404)


def test_of_planners_who_saw_the_same_version_one_is_taken(client: httpx.Client) -> None:
    row = f"store_id,dept_id,week,override,version\n1,3,{WEEK},{{}},2\n"
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda number: send(client, row.format(number), key=f"k{number}"), range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "version 2 is not the newest: local gave version 3" in problem(refused, 409)
