"""A retailer whose sales are in a lake, and the heavy work that a Dask cluster takes: features, training and drift.

What each cluster makes is compared with what the first workers made, to the byte.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from demand_assets.adapters.arrow_frames import content_version
from demand_assets.adapters.drift_rows import PREDICTIONS_TABLE, DriftRows, stored_predictions, stored_report
from demand_assets.adapters.feature_files import write_features
from demand_assets.adapters.files import filesystem_at
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.table_refs import TableRef
from demand_assets.forecasting.calendar import calendar_for, calendar_from_covariates
from demand_assets.forecasting.features import first_origin
from demand_assets.forecasting.forecaster import Forecaster, train_stored
from demand_assets.forecasting.holidays import US
from demand_assets.forecasting.metrics import bias, wmae
from demand_assets.forecasting.models.xgboost import XGBoost, XGBoostConfig
from demand_assets.forecasting.panel import SERIES_PER_BLOCK, Panel, build_panel
from demand_assets.forecasting.ports import Workers
from demand_assets.forecasting.training import actuals_of
from demand_assets.forecasting.weeks import add_weeks, weeks_between
from demand_assets.monitoring.drift import JudgedWeek
from demand_assets.monitoring.drift_metrics import HISTORY_WEEKS
from demand_assets.partitions import week_key
from demand_assets.sample import generate

HORIZON = 4
# As many variables as a job of a hundred times Walmart's size measures at once.
DRIFT_VARIABLES = 6
STEPS = ("features", "training", "drift")
# What is counted while a step runs: sums so far, by name.
Meter = Callable[[], Mapping[str, float]]


class Job:
    """The retailer, and what is asked of workers in a lake that holds its sales."""

    def __init__(self, folder: Path, stores: int, rounds: int, members: int, threads: int, most_rows: int) -> None:
        """Sales are made in `folder`, from where they are copied."""
        data = generate(stores=stores, departments=81, weeks=143, seed=7)
        self.sales_rows = len(data.sales)
        self.made = ParquetLake(uri=str(folder / "made"))
        for week, rows in data.sales.groupby("week"):
            self.made.write("raw_sales", week_key(pd.Timestamp(str(week))), rows)
        calendar = calendar_for(calendar_from_covariates(data.conditions), US, data.sales["week"], HORIZON)
        self.panel: Panel = build_panel(data.sales, data.conditions, data.stores, calendar, HORIZON)
        self.origins = list(weeks_between(first_origin(self.panel.weeks), self.panel.weeks[-1]))
        # All targets of the judged origin have come.
        self.as_of = add_weeks(self.panel.weeks[-1], -HORIZON)
        self.series = len(self.panel.series)
        made = self.series * HORIZON * len(self.origins)
        self.model: Forecaster | None = None
        self.first: dict[str, Any] = {}
        self.config = XGBoostConfig(rounds=rounds, seed=7, threads=threads, members=members).bounded(made, most_rows)

    def all_of(self, workers: Workers, uri: str, meter: Meter) -> dict[str, Any]:
        """Features, training and drift in a new lake at `uri`."""
        lake = self.lake_at(uri)
        return {
            "features": self.features(workers, lake, meter),
            "training": self.training(workers, lake, meter),
            "drift": self.drift(workers, lake, meter),
        }

    def lake_at(self, uri: str) -> ParquetLake:
        """A new lake that holds the sales."""
        filesystem, root = filesystem_at(uri)
        filesystem.put(f"{self.made.uri}/raw_sales/", f"{root}/raw_sales/", recursive=True)
        return ParquetLake(uri=uri)

    def _require_same(self, what: str, made: Any) -> None:
        """SystemExit unless it is what the first workers made."""
        if self.first.setdefault(what, made) != made:
            raise SystemExit(f"{what} differ from what one machine made")

    def features(self, workers: Workers, lake: ParquetLake, meter: Meter) -> dict[str, Any]:
        """Write the features of all origins."""
        made = _measured(
            meter,
            lambda: write_features(
                workers, lake, "demand_features", self.panel, self.origins, HORIZON, SERIES_PER_BLOCK, {}
            ),
        )
        rows, size = made.pop("result")
        self._require_same("features", lake.versions("demand_features"))
        return {**made, "rows": rows, "bytes": size}

    def training(self, workers: Workers, lake: ParquetLake, meter: Meter) -> dict[str, Any]:
        """Train one model, and judge it on the origin that it is as of."""
        features = self._features_in(lake)
        sales = TableRef(lake.uri, "raw_sales", tuple(lake.partitions("raw_sales")))
        made = _measured(meter, lambda: next(train_stored(features, sales, [self.as_of], self.config, workers)))
        model: Forecaster = made.pop("result")
        self.model = self.model or model
        self._require_same(
            "models", [bytes(one.booster.save_raw()) for one in model.members if isinstance(one, XGBoost)]
        )
        return {**made, "rows": model.rows, **self._scores(model, features, sales)}

    def drift(self, workers: Workers, lake: ParquetLake, meter: Meter) -> dict[str, Any]:
        """The newest week's report against the year before, by the first model trained."""
        features = self._features_in(lake)
        keys = features.keys[-1 - HISTORY_WEEKS :]
        features = features.only(keys)
        newest = features.only(keys[-1:]).read(
            ["store_id", "dept_id", "origin_week", "scale", "store_type", "target_week", "is_holiday"]
        )
        judged = JudgedWeek.of(newest, self.as_of)
        rows = DriftRows(features, TableRef(lake.uri, PREDICTIONS_TABLE, keys))

        def report() -> pd.DataFrame:
            predicted = workers.map(stored_predictions, keys, features, self.model)
            for key, predictions in zip(keys, predicted, strict=True):
                lake.write(PREDICTIONS_TABLE, key, predictions)
            targets = newest[["target_week", "is_holiday"]]
            most_values = DRIFT_VARIABLES * self.series * len(keys)
            return stored_report(rows, judged, targets, self.panel.calendar, lambda _: workers, most_values)

        made = _measured(meter, report)
        self._require_same("drift reports", content_version(made.pop("result")))
        return made

    def _features_in(self, lake: ParquetLake) -> TableRef:
        return TableRef(lake.uri, "demand_features", tuple(map(week_key, self.origins)))

    def _scores(self, model: Forecaster, features: TableRef, sales: TableRef) -> dict[str, float]:
        rows = features.only([week_key(self.as_of)]).read()
        actual = actuals_of(rows, sales.only(sales.keys[-HORIZON:]).read())
        forecast = model.predict(rows)["forecast"].to_numpy()
        known = ~np.isnan(actual)
        actual, forecast = actual[known], forecast[known]
        return {
            "wmae": wmae(actual, forecast, rows["is_holiday"].to_numpy()[known] > 0),
            "mae": float(mean_absolute_error(actual, forecast)),
            "rmse": float(root_mean_squared_error(actual, forecast)),
            "bias": bias(actual, forecast),
        }


def _measured(meter: Meter, work: Callable[[], Any]) -> dict[str, Any]:
    """Seconds of the work, what the meter counted in them, and the result."""
    began, before = time.perf_counter(), meter()
    result = work()
    seconds = round(time.perf_counter() - began, 1)
    counted = {name: round(value - before[name], 1) for name, value in meter().items()}
    return {"seconds": seconds, **counted, "result": result}
