"""What is derived from the declarations of the tables."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError, create_model

from demand_assets.contract.arrow import arrow_schema
from demand_assets.contract.dictionary import with_dictionary
from demand_assets.contract.models import model_fields
from demand_assets.contract.store import FORECAST_TOTALS
from demand_assets.contract.tables import TABLES
from demand_assets.store.tables import metadata

TOTALS = FORECAST_TOTALS.without("p10", "p50", "p90", "series")


def test_every_table_is_in_sql_with_keys_in_place_of_ids() -> None:
    assert set(metadata.tables) == {table.name for table in TABLES}
    for table in TABLES:
        assert list(metadata.tables[table.name].c.keys()) == [column.stored_name for column in table.columns]
    assert FORECAST_TOTALS.column("store_id").stored_name == "store_key"
    assert list(metadata.tables["forecast_totals"].primary_key.columns.keys()) == [
        "vintage_id", "level", "store_key", "dept_key", "target_week",
    ]  # fmt: skip


def test_arrow_has_the_columns_with_text_ids() -> None:
    assert arrow_schema(TOTALS.columns) == pa.schema(
        [
            pa.field("vintage_id", pa.string(), nullable=False),
            pa.field("level", pa.string(), nullable=False),
            pa.field("store_id", pa.string()),
            pa.field("dept_id", pa.string()),
            pa.field("target_week", pa.date32(), nullable=False),
            pa.field("horizon", pa.int16(), nullable=False),
            pa.field("forecast", pa.float64(), nullable=False),
        ]
    )


def test_a_model_takes_the_rows_of_its_table() -> None:
    model = create_model("Total", **model_fields(TOTALS.columns))  # type: ignore[call-overload]
    row = {
        "vintage_id": "v", "level": "chain", "store_id": None, "dept_id": None, "target_week": date(2012, 11, 2),
        "horizon": 1, "forecast": 1.5,
    }  # fmt: skip
    assert model(**row).model_dump() == row
    with pytest.raises(ValidationError, match="forecast"):
        model(**{**row, "forecast": None})
    described = model.model_json_schema()["properties"]["horizon"]["description"]
    assert described == "Weeks from origin to target [weeks]"


def test_the_data_dictionary_is_that_of_the_declarations() -> None:
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    assert text == with_dictionary(text), "run `make dictionary`"
    assert "| `store_id` (key) | id, or null |  | Store; null where the total spans all stores |" in text
    with pytest.raises(ValueError, match="expected the marks"):
        with_dictionary("no marks")
