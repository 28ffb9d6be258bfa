"""Tables of the lake as external tables of Athena: `python -m demand_assets.adapters.athena s3://bucket/processed`."""

import sys
from collections.abc import Sequence

from demand_assets.adapters.parquet import ParquetLake

# Tables by week that people ask for. Attributions have spaces in the names of their columns, which Athena refuses.
TABLES = (
    "raw_sales", "raw_covariates", "demand_features", "weekly_forecast", "forecast_totals", "forecast_accuracy",
    "forecast_exceptions", "drift_report",
)  # fmt: skip
_TYPES = {
    "int16": "smallint",
    "int32": "int",
    "int64": "bigint",
    "float": "float",
    "double": "double",
    "bool": "boolean",
    "string": "string",
    "date32[day]": "date",
}


def external_table(lake: ParquetLake, table: str, location: str) -> str:
    """CREATE EXTERNAL TABLE of a table by week, with the columns of its newest file; ValueError when it has none."""
    import pyarrow as pa

    newest = lake.partitions(table)[-1:]
    if not newest:
        raise ValueError(f"{table} has no file in {lake.uri}")
    schema = lake.schema_of(table, newest[0])
    kinds = [one.type.value_type if pa.types.is_dictionary(one.type) else one.type for one in schema]
    columns = [f"  `{name}` {_TYPES[str(kind)]}" for name, kind in zip(schema.names, kinds, strict=True)]
    listed, place = ",\n".join(columns), f"{location.rstrip('/')}/{table}/"
    return f"CREATE EXTERNAL TABLE `{table}` (\n{listed}\n)\nSTORED AS PARQUET\nLOCATION '{place}';"


def external_tables(lake: ParquetLake, location: str, tables: Sequence[str] = TABLES) -> str:
    """The statements of those tables that have a file, one after another; a column is found by its name."""
    return "\n\n".join(external_table(lake, table, location) for table in tables if lake.partitions(table))


if __name__ == "__main__":
    address = sys.argv[1]
    sys.stdout.write(external_tables(ParquetLake(uri=address), address) + "\n")
