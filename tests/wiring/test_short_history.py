"""From files of a few weeks to a published vintage: the best method that the history allows, with intervals."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.wiring.conftest import run


def landed(folder: Path, weeks: int) -> Path:
    """Two stores with two departments each, around a level of their own."""
    dates = pd.date_range("2024-01-05", periods=weeks, freq="7D").strftime("%Y-%m-%d")
    keys = pd.MultiIndex.from_product([["S1", "S2"], ["D1", "D2"], dates], names=["store", "dept", "date"])
    noise = np.random.default_rng(1).normal(0.0, 30.0, len(keys)).round(2)
    folder.mkdir(exist_ok=True)
    keys.to_frame(index=False).assign(sales=1000.0 + noise).to_csv(folder / "sales.csv", index=False)
    return folder


@pytest.mark.parametrize(
    ("weeks", "method"),
    [
        pytest.param(20, "tsb", marks=pytest.mark.long),
        pytest.param(8, "moving_average", marks=pytest.mark.long),
        (2, "tsb"),
    ],
)
def test_a_short_history_ends_with_a_published_vintage(weeks: int, method: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    summary = run(home, landed(tmp_path / "zone", weeks))
    assert (summary["method"], summary["retrained"]) == (method, True)
    with closing(sqlite3.connect(home / "store.db")) as connection:
        vintages, forecasts = (
            pd.read_sql(f"select * from {name}", connection) for name in ("forecast_vintages", "forecasts")
        )
    assert set(vintages["method"]) == {method}
    assert vintages["kind"].tolist()[:-1] == ["backtest"] * (len(vintages) - 1)
    forecasts = forecasts[forecasts["vintage_id"] == summary["vintage"]]
    assert len(forecasts) == 4 * 4
    assert (forecasts["p10"] < forecasts["p90"]).all()
