"""What docs/lake.md says of the lake, held to the lake of a finished run."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demand_assets.adapters.athena import external_table, external_tables
from demand_assets.adapters.parquet import ParquetLake
from tests.wiring.pages import ROOT, blocks

Finished = tuple[Path, dict[str, object]]

SQL = [block.text for block in blocks() if block.page == "lake.md" and block.language == "sql"]
QUERIES = [text for text in SQL if text.startswith("SELECT")]


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


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_duckdb_answers_the_queries_of_the_page(query: str, finished: Finished) -> None:
    with duckdb.connect() as connection:
        answer = connection.execute(query.replace("LAKE", str(finished[0] / "lake")))
        weeks = {name: str(kind) for name, kind, *_ in answer.description if "week" in name}
        assert answer.fetchone()
    assert set(weeks.items()) <= {("week", "DATE"), ("target_week", "DATE"), ("weeks", "BIGINT")}


def test_the_statements_of_the_page_have_the_columns_of_the_files(finished: Finished) -> None:
    lake = ParquetLake(uri=str(finished[0] / "lake"))
    made = external_tables(lake, "s3://BUCKET/processed", ("raw_sales", "weekly_forecast"))
    assert f"```sql\n{made}\n```" in (ROOT / "docs" / "lake.md").read_text()


def test_every_table_by_week_has_a_statement_and_an_empty_one_none(finished: Finished) -> None:
    lake = ParquetLake(uri=str(finished[0] / "lake"))
    made = external_tables(lake, "s3://bucket/lake/")
    assert made.count("CREATE EXTERNAL TABLE") == 8
    assert "  `lag_0` float,\n" in made
    assert "LOCATION 's3://bucket/lake/drift_report/';" in made
    with pytest.raises(ValueError, match="nothing has no file in"):
        external_table(lake, "nothing", "s3://bucket")
