"""Lists as CSV, Excel, Arrow and Parquet: the same rows as in JSON."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from api.formats import Format, accepted, render
from tests.api.conftest import every_list, problem
from tests.api.stores import FORMULA, UNICODE

MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
# Nested in JSON, a column of its own in the flat forms; and what says nothing of a row.
_NESTED = "override"


def table(answer: httpx.Response, form: str) -> pa.Table:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == MEDIA[form]
    if form == "csv":
        texts = dict.fromkeys(answer.text.splitlines()[0].split(","), pa.string())
        return pa.csv.read_csv(
            io.BytesIO(answer.content),
            convert_options=pa.csv.ConvertOptions(column_types=texts, strings_can_be_null=True),
        )
    if form == "arrow":
        return pa.ipc.open_stream(answer.content).read_all()
    return pa.parquet.read_table(io.BytesIO(answer.content))


def flat(item: dict[str, Any]) -> dict[str, Any]:
    """A JSON item as a row of a table."""
    nested = item.get(_NESTED)
    row = {**item, _NESTED: nested[_NESTED]} if isinstance(nested, dict) else item
    return {name: json.dumps(value) if isinstance(value, (dict, list)) else value for name, value in row.items()}


def shown(value: Any) -> Any:
    """A value of a table as JSON has it."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def text_of(value: Any) -> str | None:
    """A value of JSON as CSV has it, where an empty text is read as no value."""
    if value in (None, ""):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith("=") else str(value)


@every_list
@pytest.mark.parametrize("form", MEDIA)
def test_every_form_has_the_rows_of_the_json(full: httpx.Client, path: str, filters: dict[str, str], form: str) -> None:
    items = [flat(item) for item in full.get(path, params=filters).json()["items"]]
    got = table(full.get(path, params=filters | {"format": form}), form)
    assert set(got.column_names) == set(items[0])
    rows = got.to_pylist()
    if form == "csv":
        assert rows == [{name: text_of(item[name]) for name in got.column_names} for item in items]
    else:
        assert [{name: shown(value) for name, value in row.items()} for row in rows] == items


@every_list
@pytest.mark.parametrize("form", MEDIA)
def test_an_empty_list_has_the_columns_of_a_full_one(
    full: httpx.Client, empty: httpx.Client, path: str, filters: dict[str, str], form: str
) -> None:
    some = table(full.get(path, params=filters | {"format": form}), form)
    answer = empty.get(path, params=filters | {"format": form})
    if answer.status_code == 404:
        # Nor has anything an attribute.
        of_groups = "." in filters.get("level", "")
        nothing = "no dept has the attribute kind; see /v1/attributes" if of_groups else "nothing is published yet"
        assert problem(answer, 404) == nothing
        assert of_groups or path in ("/v1/forecasts", "/v1/orders", "/v1/changes")
        return
    none = table(answer, form)
    assert (none.num_rows, none.column_names) == (0, some.column_names)
    if form != "csv":
        assert none.schema == some.schema


def test_types_are_kept(full: httpx.Client) -> None:
    got = table(full.get("/v1/forecasts?format=parquet"), "parquet")
    assert {
        name: str(got.schema.field(name).type) for name in ("store_id", "horizon", "week", "forecast", "is_stale")
    } == {
        "store_id": "string",
        "horizon": "int32",
        "week": "date32[day]",
        "forecast": "double",
        "is_stale": "bool",
    }
    assert got.schema.field("published_at").type == pa.timestamp("us", tz="UTC")


@pytest.mark.parametrize(
    ("header", "form"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("text/csv", "csv"),
        ("TEXT/CSV; charset=utf-8", "csv"),
        ("application/json, text/csv", "json"),
        ("application/json;q=0.5, text/csv;q=0.9", "csv"),
        ("text/csv;q=0.1, application/vnd.apache.arrow.stream;q=0.2", "arrow"),
        ("application/vnd.apache.parquet, */*;q=0.1", "parquet"),
        ("text/csv;q=0, application/json", "json"),
        ("text/csv;q=0", "json"),
        ("text/csv;q=x", "json"),
        ("text/csv;q=nan", "json"),
        ("image/png", "json"),
        (";;;,,,q=", "json"),
        ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "json"),
    ],
)
def test_accept_names_the_form_it_likes_best(full: httpx.Client, header: str | None, form: str) -> None:
    assert accepted(header) is Format(form)
    if header is not None:
        answer = full.get("/v1/forecasts", headers={"Accept": header})
        assert answer.headers["content-type"] == MEDIA.get(form, "application/json")
        assert answer.headers["vary"].split(", ")[0] == "Accept"


def test_a_format_in_the_address_wins_over_accept(full: httpx.Client) -> None:
    answer = full.get("/v1/series?format=csv", headers={"Accept": "application/json"})
    assert answer.headers["content-type"] == MEDIA["csv"]
    assert "format: " in problem(full.get("/v1/series?format=pdf"), 422)


def test_a_file_has_a_name_with_its_week(full: httpx.Client) -> None:
    for form in MEDIA:
        answer = full.get("/v1/forecasts", params={"format": form, "origin": "2012-10-19"})
        assert answer.headers["content-disposition"] == f'attachment; filename="forecasts-2012-10-19.{form}"'
    assert "content-disposition" not in full.get("/v1/forecasts").headers


@every_list
@pytest.mark.parametrize("form", ["json", "csv", "arrow"])
def test_the_link_header_leads_through_all_pages(
    full: httpx.Client, path: str, filters: dict[str, str], form: str
) -> None:
    def rows(answer: httpx.Response) -> list[Any]:
        return list(answer.json()["items"]) if form == "json" else table(answer, form).to_pylist()

    whole = rows(full.get(path, params=filters | {"format": form}))
    found: list[Any] = []
    address: str | None = str(httpx.URL(path, params=filters | {"format": form, "limit": "2"}))
    while address is not None:
        answer = full.get(address)
        found += rows(answer)
        assert len(found) <= len(whole)
        address = answer.links["next"]["url"] if "next" in answer.links else None
    assert found == whole


def test_a_cell_that_a_spreadsheet_would_run_is_text(full: httpx.Client) -> None:
    sheet = full.get("/v1/exceptions?format=csv").text
    assert "'" + FORMULA.replace('"', '""') in sheet
    assert f',"{FORMULA[:3]}' not in sheet
    assert UNICODE in sheet
    # Only where it matters: other forms have the text as it is.
    assert table(full.get("/v1/exceptions?format=arrow"), "arrow")["reason"].to_pylist()[:2] == [FORMULA, UNICODE]
    assert full.get("/v1/exceptions").json()["items"][0]["reason"] == FORMULA


def test_every_start_of_a_formula_is_marked_and_nothing_else() -> None:
    signs = "=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212"
    unseen = ("", " ", "\t", "\r", "\n", "\v", "\x00", "\xa0", "\u3000", "\u200b", "\ufeff", " \ufeff\r\n ")
    starts = [f"{before}{sign}1+1" for before in unseen for sign in signs] + ["@SUM(A1)", "\tx", "\rx", "\nx"]
    # A line break within a cell must not begin another row, whose first cell could be a formula.
    harmless = ["", " ", "a=1", "'=1", " fair", "\ufefffair", "fair\r=1", "fair\n=1", "fair\r\n=1", "1-1", None]
    texts = [*starts, *harmless]
    # Numbers are no text: a negative one stays a number.
    sheet = render({"text": (str, texts), "usd": (float, [-1.5] * len(texts))}, Format.CSV)
    rows = list(csv.reader(io.StringIO(sheet.decode(), newline="")))
    assert rows == [
        ["text", "usd"],
        *([f"'{text}", "-1.5"] for text in starts),
        *([text or "", "-1.5"] for text in harmless),
    ]


def test_a_file_of_an_empty_store_has_a_name_without_week(empty: httpx.Client) -> None:
    answer = empty.get("/v1/series?format=csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="series.csv"'
