"""Whatever a parameter holds, the answer is a list, a forecast or a problem: never an error of the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from api import ApiSettings, create_app
from tests.api.conftest import problem

ODD = (
    "' OR 1=1--", '"; DROP TABLE forecasts;--', "%00", "%", "%zz", "%ff%fe", "%ed%a0%80", "Straße 日本 🎪", "\u202e",
    "x" * 10_000, "-1", "0", "1e308", "1e400", "nan", "-inf", "99999999999999999999", "null", "[]", "{}", "true", "",
    " ", "\t\n", "../../etc/passwd", "${jndi:ldap://x}", "0x10", "١٢", "2012-11-02T00:00:00", "9999-12-31",
    "0001-01-01", "2012-W44-5", "+1", "1_000",
)  # fmt: skip
GOOD = {
    "store_id": "1", "dept_id": "3", "week": "2012-11-02", "override_id": "1", "from": "2012-01-06", "to": "2012-12-28",
    "origin": "2012-10-26", "vintage_id": "2012-10-26-0000000000000000", "name": "half price",
}  # fmt: skip


def operations() -> Iterator[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
    document = create_app(ApiSettings(store_url="sqlite:///unused.db")).openapi()
    for path, methods in document["paths"].items():
        if "get" in methods:
            parameters = [each for each in methods["get"].get("parameters", []) if each["in"] in ("path", "query")]
            for parameter in parameters:
                yield path, parameter, parameters


CASES = list(operations())


def address(path: str, odd: dict[str, Any], value: str, parameters: list[dict[str, Any]]) -> str:
    """The address with `value` in one place, percent signs as they are, and good values where some are needed."""
    query = []
    for each in parameters:
        name = each["name"]
        if name != odd["name"] and not each["required"]:
            continue
        given = quote(value, safe="%") if name == odd["name"] else GOOD[name]
        if each["in"] == "path":
            path = path.replace(f"{{{name}}}", given.replace("%2F", "/"))
        else:
            query.append(f"{name}={given}")
    return f"{path}?{'&'.join(query)}"


def test_there_are_parameters_of_every_kind() -> None:
    assert len(CASES) > 80
    assert {each["in"] for _, each, _ in CASES} == {"path", "query"}


@pytest.mark.parametrize(
    ("path", "odd", "parameters"), CASES, ids=[f"{path}?{parameter['name']}" for path, parameter, _ in CASES]
)
def test_no_value_of_a_parameter_is_an_error_of_the_service(
    full: httpx.Client, path: str, odd: dict[str, Any], parameters: list[dict[str, Any]]
) -> None:
    for value in ODD:
        answer = full.get(address(path, odd, value, parameters))
        assert answer.status_code in (200, 404, 422), (value[:40], answer.text)
        if answer.status_code != 200:
            assert problem(answer, answer.status_code)
        assert answer.elapsed.total_seconds() < 5


@pytest.mark.parametrize("value", ODD, ids=lambda value: ascii(value)[1:20])
def test_no_path_header_or_name_is_an_error_of_the_service(full: httpx.Client, value: str) -> None:
    quoted = quote(value, safe="%")
    latin = value.strip().replace("\t", "").replace("\n", "").encode("utf-8")
    for answer in (
        full.get(f"/{quoted}"),
        full.get(f"/static/{quoted}"),
        full.get(f"/v1/series?{quoted}=1"),
        full.get("/v1/series", headers={"X-Request-Id": latin}),
        full.get("/v1/series", headers={"Accept": latin}),
        full.get("/forecast?store_id=1&dept_id=3&week=2012-11-02", headers={"If-None-Match": latin}),
        full.get("/v1/series", headers={"Authorization": (b"Bearer " + latin).strip(), "X-API-Key": latin}),
        full.post("/v1/overrides", headers={"Idempotency-Key": latin}, json={"store_id": value, "week": value}),
        full.post("/v1/forecasts:batch", json={"keys": [{"store_id": "1", "dept_id": "3", "week": value}]}),
    ):
        assert answer.status_code in (200, 304, 404, 422), answer.text
        if answer.status_code >= 400:
            assert problem(answer, answer.status_code)
