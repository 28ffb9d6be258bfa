"""What the UI says of an asset's columns is what its files hold."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from demand_assets.definitions import defs

_NAMES = {"double": "float64", "float": "float32", "string": "str", "date32[day]": "date"}


def test_column_types_are_those_of_the_files(finished: tuple[Path, dict[str, object]]) -> None:
    lake = finished[0] / "lake"
    compared = set()
    for key, spec in ((spec.key.to_user_string(), spec) for spec in defs.resolve_all_asset_specs()):
        schema = spec.metadata.get("dagster/column_schema")
        files = [*sorted((lake / key).glob("*.parquet")), *lake.glob(f"{key}.parquet")]
        if schema is None or not files:
            continue
        held = {field.name: _type(field.type) for field in pq.read_schema(files[-1])}
        assert {column.name: column.type for column in schema.columns} == held, key
        compared.add(key)
    assert {"raw_sales", "demand_features", "weekly_forecast", "forecast_totals", "drift_report"} <= compared


def _type(arrow: pa.DataType) -> str:
    return _NAMES.get(str(arrow), str(arrow))
