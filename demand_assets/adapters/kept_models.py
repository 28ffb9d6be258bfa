"""Forecasters in the lake, a file each: for a step that needs a model which another trained and did not register."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from demand_assets.adapters.parquet import ParquetLake

if TYPE_CHECKING:
    from demand_assets.forecasting.forecaster import Forecaster

# By the week of the backtest: the model of the origin that forecasts the newest weeks before it.
BACKTEST_MODEL = "backtest_model"
_PATH, _CONTENT = "path", "content"


def keep_model(lake: ParquetLake, table: str, key: str, forecaster: "Forecaster", made_from: Mapping[str, str]) -> None:
    """Write the files of a forecaster as rows [path, content] of one partition, `made_from` as its metadata."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        forecaster.save(folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        rows = [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in files]
    lake.write(table, key, pd.DataFrame(rows, columns=[_PATH, _CONTENT]), made_from)


def kept_model(lake: ParquetLake, table: str, key: str, made_from: Mapping[str, str]) -> "Forecaster | None":
    """The forecaster of a partition; None where there is none with this metadata.

    ModelError for one whose features or settings this code no longer has.
    """
    from demand_assets.forecasting.forecaster import Forecaster

    footer, rows = lake.metadata(table, [key]).get(key, {}), lake.read(table, [key])
    if rows is None or not made_from.items() <= footer.items():
        return None
    with tempfile.TemporaryDirectory() as made:
        for path, content in zip(rows[_PATH], rows[_CONTENT], strict=True):
            file = Path(made, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return Forecaster.load(Path(made))
