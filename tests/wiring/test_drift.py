"""The drift report of a run: rows in lake and SQL store, and a page."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas as pd

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import RegisteredVersion
from demand_assets.assets.drift import Predictions
from demand_assets.forecasting.drift import REPORT_COLUMNS
from demand_assets.forecasting.features import FEATURE_COLUMNS


def test_the_drift_report_lands_in_lake_store_and_page(finished: tuple[Path, dict[str, object]]) -> None:
    home, week = finished[0], finished[1]["origin_week"]
    rows = pd.read_parquet(home / "lake" / "drift_report" / f"{week}.parquet")
    assert list(rows.columns) == list(REPORT_COLUMNS)
    assert set(rows["variable"]) == {*FEATURE_COLUMNS, "prediction"}
    # Eighteen series are too few to judge; the calendar is right.
    assert set(rows["severity"]) == {"few"}
    with closing(sqlite3.connect(home / "store.db")) as connection:
        stored = pd.read_sql("select * from drift_reports", connection)
    keys = ["reference", "group_kind", "group_id", "variable"]
    shown = [name for name in stored.columns if name != "week"]
    assert set(stored["week"]) == {week}
    pd.testing.assert_frame_equal(
        stored[shown].sort_values(keys, ignore_index=True),
        rows[shown].sort_values(keys, ignore_index=True),
        check_dtype=False,
    )
    page = (home / "lake" / "drift_report_html" / f"{week}.html").read_text()
    assert f"<h1>No drift in the week of {week}</h1>" in page
    assert page.endswith("</body></html>\n")
    assert "src=" not in page
    assert 'href="http' not in page


class _Counting:
    """Forecasts of the base, and how many rows were asked for."""

    def __init__(self) -> None:
        self.rows = 0

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        self.rows += len(features)
        return pd.DataFrame({"forecast_usd": features["base_usd"].to_numpy() * 1.5})


def test_a_past_week_is_predicted_once_until_its_features_or_the_champion_change(tmp_path: Path) -> None:
    lake = ParquetLake(uri=str(tmp_path))
    weeks = pd.to_datetime(["2012-06-15", "2012-06-22", "2012-06-22"])
    near = pd.DataFrame({"origin_week": weeks, "base_usd": [1.0, 2.0, 3.0]})
    first = RegisteredVersion("1", "run", "made from", "2012-06-01", "2012-06-01", "", "", (), 0, {})
    versions = {"2012-06-15": "a", "2012-06-22": "b"}

    def asked(champion: RegisteredVersion, versions: dict[str, str]) -> int:
        model, predictions = _Counting(), Predictions(lake, champion, versions)
        assert predictions.of(near, model).tolist() == [1.5, 3.0, 4.5]  # type: ignore[arg-type]
        predictions.keep()
        return model.rows

    assert [asked(first, versions) for _ in range(2)] == [3, 0]
    assert [asked(first, versions | {"2012-06-22": "c"}) for _ in range(2)] == [2, 0]
    assert asked(replace(first, version="2"), versions) == 3
