"""The rows that drift is measured on, read from the lake where it is measured, some columns at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from demand_assets.adapters.table_refs import TableRef
from demand_assets.monitoring.drift import block_report, blocks_of, flags_of, joined_report
from demand_assets.monitoring.drift_metrics import NEAREST, PREDICTION, Unit, scaled_forecast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from demand_assets.forecasting.forecaster import Forecaster
    from demand_assets.forecasting.ports import Workers
    from demand_assets.monitoring.drift import JudgedWeek

PREDICTIONS_TABLE = "drift_predictions"
# Values of features that stand in memory together: with what measuring them takes, two gigabytes.
VALUES_AT_ONCE = 100_000_000


@dataclass(frozen=True)
class DriftRows:
    """Rows of stored origins: their features of horizon 1, and the champion's predictions beside them."""

    features: TableRef
    predictions: TableRef

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """The columns of all rows, in order of origin."""
        rows = self.features.read([name for name in columns if name != PREDICTION], NEAREST)
        if PREDICTION in columns:
            rows[PREDICTION] = self.predictions.read([PREDICTION])[PREDICTION].to_numpy()
        return rows


def stored_report(
    rows: DriftRows,
    judged: "JudgedWeek",
    targets: pd.DataFrame,
    calendar: pd.DataFrame,
    workers_for: "Callable[[int], Workers]",
    most_values: int = VALUES_AT_ONCE,
) -> pd.DataFrame:
    """`forecasting.drift.drift_report` of stored rows, by blocks of variables with at most `most_values` values each.

    `workers_for` gives the workers that so many blocks are worth.
    """

    flags = rows.read(["origin_week", "origin_is_holiday"])
    blocks = blocks_of(len(flags), most_values, rows.features.columns())
    parts = workers_for(len(blocks)).map(stored_block_report, blocks, rows, judged)
    return joined_report(parts, judged, flags_of(flags), targets, calendar)


def stored_block_report(rows: DriftRows, judged: "JudgedWeek", units: Sequence[Unit]) -> pd.DataFrame:
    """`forecasting.drift.block_report` of stored rows."""

    return block_report(rows.read, judged, units)


def stored_predictions(features: TableRef, forecaster: "Forecaster", key: str) -> pd.DataFrame:
    """[prediction] of the origin `key`, one row per row of horizon 1."""
    rows = features.only([key]).read(forecaster.inputs, NEAREST)
    return predictions_table(forecaster.predict(rows)["forecast"].to_numpy(), rows)


def predictions_table(forecast: "NDArray[np.float64]", rows: pd.DataFrame) -> pd.DataFrame:
    """[prediction] as it is stored: forecasts of `rows`, over their scale."""
    return pd.DataFrame({PREDICTION: scaled_forecast(forecast, rows["scale"].to_numpy())})
