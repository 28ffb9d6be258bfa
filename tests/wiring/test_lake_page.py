"""What docs/lake.md says of the lake, held to the lake of a finished run."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Finished = tuple[Path, dict[str, object]]


def test_no_parquet_file_of_a_run_has_nanoseconds(finished: Finished) -> None:
    files = [path for path in finished[0].rglob("*.parquet") if path.is_file()]
    assert {"raw_sales", "demand_features", "weekly_forecast", "drift_report"} <= {path.parent.name for path in files}
    assert "backtest.parquet" in {path.name for path in files}
    stamped = {
        (str(path), field.name) for path in files for field in pq.read_schema(path) if is_nanoseconds(field.type)
    }
    assert not stamped


def is_nanoseconds(kind: pa.DataType) -> bool:
    return pa.types.is_temporal(kind) and getattr(kind, "unit", "") == "ns"
