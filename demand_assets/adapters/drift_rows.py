"""The rows that drift is measured on, read from the lake by whoever measures: some columns at a time, never all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from demand_assets.adapters.lake_rows import LakeRows
from demand_assets.forecasting.drift_measures import NEAREST, PREDICTION, Unit, scaled_forecast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from demand_assets.forecasting.drift import JudgedWeek
    from demand_assets.forecasting.model import Forecaster

PREDICTIONS_TABLE = "drift_predictions"


@dataclass(frozen=True)
class DriftRows:
    """`measured` rows of stored origins: their features of horizon 1, and the champion's predictions beside them."""

    features: LakeRows
    predictions: LakeRows

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """The columns of all rows, in order of origin."""
        rows = self.features.read([name for name in columns if name != PREDICTION], NEAREST)
        if PREDICTION in columns:
            rows[PREDICTION] = self.predictions.read([PREDICTION])[PREDICTION].to_numpy()
        return rows


def stored_block_report(rows: DriftRows, judged: "JudgedWeek", units: Sequence[Unit]) -> pd.DataFrame:
    """`forecasting.drift.block_report` of stored rows."""
    from demand_assets.forecasting.drift import block_report

    return block_report(rows.read, judged, units)


def stored_predictions(features: LakeRows, forecaster: "Forecaster", key: str) -> pd.DataFrame:
    """[prediction] of the origin `key`, one row per row of horizon 1."""
    rows = features.only([key]).read(forecaster.inputs, NEAREST)
    return predictions_table(forecaster.predict(rows)["forecast_usd"].to_numpy(), rows)


def predictions_table(forecast_usd: "NDArray[np.float64]", rows: pd.DataFrame) -> pd.DataFrame:
    """[prediction] as it is stored: forecasts in USD of `rows`, over their scale."""
    return pd.DataFrame({PREDICTION: scaled_forecast(forecast_usd, rows["scale_usd"].to_numpy())})
