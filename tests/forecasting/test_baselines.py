"""Baselines, by hand."""

import dataclasses

import numpy as np
import pandas as pd

from demand_assets.forecasting.baselines import BASELINES, moving_average, seasonal_naive, svd_stl
from demand_assets.forecasting.panel import Panel


def _rows(panel: Panel, features: pd.DataFrame) -> pd.DataFrame:
    return features[features["origin_week"] == features["origin_week"].max()].reset_index(drop=True)


def test_the_moving_average_is_the_mean_of_the_known_weeks(panel: Panel, features: pd.DataFrame) -> None:
    rows = _rows(panel, features)
    at = int(panel.position(pd.DatetimeIndex(rows["origin_week"][:1]))[0])
    column = pd.MultiIndex.from_frame(panel.series[["store_id", "dept_id"]]).get_indexer(
        pd.MultiIndex.from_frame(rows[["store_id", "dept_id"]])
    )
    recent = pd.DataFrame(panel.sales[at - 7 : at + 1]).mean().to_numpy()[column]
    last = pd.DataFrame(panel.sales[: at + 1]).ffill().iloc[-1].to_numpy()[column]
    np.testing.assert_allclose(moving_average(panel, rows), np.where(np.isnan(recent), last, recent))


def test_decomposition_stands_back_until_there_are_two_years(panel: Panel, features: pd.DataFrame) -> None:
    early = features[features["origin_week"] == features["origin_week"].min()].reset_index(drop=True)
    np.testing.assert_array_equal(svd_stl(panel, early), seasonal_naive(panel, early))


def test_no_baseline_reads_past_the_origin(panel: Panel, features: pd.DataFrame) -> None:
    rows = _rows(panel, features)
    at = int(panel.position(pd.DatetimeIndex(rows["origin_week"][:1]))[0])
    sales = panel.sales.copy()
    sales[at + 1 :] = 1e6
    changed = dataclasses.replace(panel, sales=sales)
    for name, baseline in BASELINES.items():
        np.testing.assert_array_equal(baseline(changed, rows), baseline(panel, rows), err_msg=name)
        assert np.isfinite(baseline(panel, rows)).all(), name
