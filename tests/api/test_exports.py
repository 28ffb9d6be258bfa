"""Orders as an ERP reads them, and several tables as one workbook."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from pydantic import ValidationError

from api.settings import ApiSettings
from demand_assets.store.engine import create_engine_for
from demand_assets.store.publish import publish_vintage
from tests.api.conftest import problem, serving
from tests.api.stores import FORMULA, RECORD, WEEK

LAYOUT = (
    '{"columns": {"Filiale": "store_id", "Liefertag": "week", "Menge": "order_quantity", "Einheit": "unit"},'
    ' "date": "%d.%m.%Y", "decimal": ",", "separator": ";", "decimals": 1}'
)
ORDERS = "/v1/orders?week=2012-11-02&service_level=0.5"


def settings(**given: Any) -> ApiSettings:
    return ApiSettings(store_url="sqlite:///x.db", **given)


def test_an_erp_gets_the_final_numbers_in_its_own_layout(own_url: str) -> None:
    with serving(own_url, order_layout=LAYOUT, refresh_seconds=0.02) as client:
        body = {"store_id": "1", "dept_id": "3", "week": "2012-11-02", "override": 200.0, "reason": "fair"}
        assert client.post("/v1/overrides", json=body, headers={"Idempotency-Key": "k"}).status_code == 201
        answer = client.get(f"{ORDERS}&format=erp")
        wanted = [row["order_quantity"] for row in client.get(ORDERS).json()["items"]]
    lines = answer.content.decode().split("\r\n")
    assert lines[0] == "Filiale;Liefertag;Menge;Einheit"
    texts = [f"{quantity:.1f}".replace(".", ",") for quantity in wanted]
    assert lines[1:-1] == [f"{store};02.11.2012;{text};USD" for store, text in zip("112", texts, strict=True)]
    assert wanted[0] == 200.0
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="orders-2012-10-26.csv"'


def test_without_a_layout_it_is_a_plain_file(full: httpx.Client) -> None:
    first = full.get(f"{ORDERS}&format=erp").text.splitlines()[:2]
    assert first == ["store_id,dept_id,week,order_quantity,unit", "1,3,2012-11-02,170.00,USD"]


def test_an_id_that_looks_like_a_formula_stays_text_in_any_layout(full_url: str) -> None:
    engine = create_engine_for(full_url)
    publish_vintage(engine, RECORD, [(FORMULA, "-3;4", WEEK, 1, 5.0, 1.0, 5.0, 9.0, 6.0)])
    engine.dispose()
    layout = '{"columns": {"a": "store_id", "b": "dept_id"}, "separator": ";", "header": false}'
    with serving(full_url, order_layout=layout) as client:
        text = client.get("/v1/orders?format=erp").text
    assert text == '"\'=HYPERLINK(""http://x"")";"\'-3;4"\r\n'


@pytest.mark.parametrize("ending", ["toml", "json"])
def test_a_layout_may_stand_in_a_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"layout.{ending}"
    texts = {
        "toml": 'separator = ";"\n[columns]\nqty = "final"\n',
        "json": '{"separator":";","columns":{"qty":"final"}}',
    }
    path.write_text(texts[ending])
    made = settings(order_layout=str(path)).order_layout
    assert (made.separator, dict(made.columns)) == (";", {"qty": "final"})


def test_the_layout_of_the_docs_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    [block] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    made = settings(order_layout=block).order_layout
    assert (made.decimals, made.columns["Menge"]) == (0, "order_quantity")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('{"columns": {"a": "shop", "b": "week", "c": "sku"}}', "expected columns among store_id, .*, got shop, sku"),
        ('{"columns": {}}', "columns: .*at least 1"),
        ('{"seperator": ";"}', "seperator: Extra inputs"),
        ('{"date": "%H"}', "date: "),
        ('{"decimal": ","}', "a separator other than the decimal mark, got , for both"),
        ("{", "expected JSON or TOML"),
        ("missing.toml", "cannot read missing.toml: No such file"),
    ],
)
def test_a_wrong_layout_is_refused_by_name_at_the_start(given: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said) as refused:
        settings(order_layout=given)
    assert [error["loc"] for error in refused.value.errors()] == [("order_layout",)]


def test_erp_is_a_form_of_orders_alone(full: httpx.Client) -> None:
    assert "format" in problem(full.get("/v1/forecasts?format=erp"), 422)


def sheet(name: str, **columns: list[Any]) -> dict[str, Any]:
    return {"name": name, "columns": [{"name": each, "values": values} for each, values in columns.items()]}


def test_tables_become_sheets_of_one_workbook(full: httpx.Client) -> None:
    weeks = sheet("By week: all/of it", week=["2012-11-02", None], final=[1.5, 2], rank=[1])
    texts = {"text": [FORMULA, "2012-99-99"]}
    sheets = [weeks, sheet("by week  all of it", **texts), sheet("History", **texts)]
    answer = full.post("/v1/workbooks", json={"sheets": sheets})
    assert answer.status_code == 200, answer.text
    found = pd.read_excel(io.BytesIO(answer.content), sheet_name=None, engine="calamine")
    assert list(found) == ["By week  all of it", "by week  all of it (2)", "History (2)"]
    by_week, text, _ = found.values()
    assert by_week["week"].tolist() == [pd.Timestamp("2012-11-02"), pd.NaT]
    assert by_week["final"].tolist() == [1.5, 2.0]
    assert by_week["rank"].dropna().tolist() == [1]
    assert text["text"].tolist() == texts["text"]


@pytest.mark.parametrize("columns", [{}, {"x": ["y" * 40_000]}, {"x": [1e301]}, {"x": [[1]]}])
def test_a_workbook_that_cannot_be_is_refused(full: httpx.Client, columns: dict[str, Any]) -> None:
    assert "sheets.0.columns" in problem(full.post("/v1/workbooks", json={"sheets": [sheet("a", **columns)]}), 422)
