"""The drift report of a run: rows in lake and SQL store, and a page."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas as pd

from demand_assets.adapters.arrow_frames import read_frame
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import RegisteredVersion
from demand_assets.assets.drift import keep_predictions
from demand_assets.forecasting.features import FEATURES
from demand_assets.monitoring.drift import REPORT_COLUMNS
from demand_assets.resources import build_compute, build_resources
from demand_assets.settings import Settings, read_settings


def test_the_drift_report_lands_in_lake_store_and_page(finished: tuple[Path, dict[str, object]]) -> None:
    home, week = finished[0], finished[1]["origin_week"]
    rows = read_frame(home / "lake" / "drift_report" / f"{week}.parquet")
    assert list(rows.columns) == list(REPORT_COLUMNS)
    assert set(rows["variable"]) == {*FEATURES, "prediction"}
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


def test_the_distributions_of_a_week_land_in_lake_and_mlflow(finished: tuple[Path, dict[str, object]]) -> None:
    home, week = finished[0], finished[1]["origin_week"]
    quantiles, histograms = (
        read_frame(home / "lake" / f"distribution_{name}" / f"{week}.parquet") for name in ("quantiles", "histograms")
    )
    assert set(quantiles["variable"]) == {*FEATURES, "forecast", "p10", "p50", "p90", "prediction"}
    forecast = read_frame(home / "lake" / "weekly_forecast" / f"{week}.parquet").query("horizon == 1")["forecast"]
    of_forecast = quantiles.set_index("variable").loc["forecast"]
    assert (of_forecast["rows"], of_forecast["q100"]) == (len(forecast), forecast.max())
    assert histograms.groupby("variable")["rows"].sum().loc["forecast"] == len(forecast)
    registry = build_resources(read_settings(home=home))["registry"]
    run = registry.with_alias("production").run_id
    kept = {item.path for item in registry._client().list_artifacts(run, "distribution_quantiles")}
    assert kept == {f"distribution_quantiles/{week}.csv"}


class _Registry:
    """Of one model, which forecasts one and a half times the base."""

    inputs = ("base", "scale")

    def load(self, champion: RegisteredVersion) -> "_Registry":
        return self

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"forecast": features["base"].to_numpy() * 1.5})


def test_a_past_week_is_predicted_once_until_its_features_or_the_champion_change(tmp_path: Path) -> None:
    lake = ParquetLake(uri=str(tmp_path))
    for key, base in {"2012-06-15": [1.0], "2012-06-22": [2.0, 4.0]}.items():
        rows = pd.DataFrame({"base": base, "scale": 2.0, "horizon": 1.0})
        # A second horizon, which is not watched.
        lake.write("demand_features", key, pd.concat([rows, rows.assign(horizon=2.0)]))
    first = RegisteredVersion("1", "xgboost", "run", "made from", "2012-06-01", "2012-06-01", "", "", (), 0, {})
    versions = lake.versions("demand_features")

    def made(champion: RegisteredVersion, versions: dict[str, str]) -> int:
        return keep_predictions(lake, build_compute(Settings()), champion, _Registry(), versions)  # type: ignore[arg-type]

    assert [made(first, versions) for _ in range(2)] == [2, 0]
    assert [lake.read("drift_predictions", [key])["prediction"].tolist() for key in versions] == [[0.75], [1.5, 3.0]]  # type: ignore[index]
    assert [made(first, versions | {"2012-06-22": "c"}) for _ in range(2)] == [1, 0]
    assert made(replace(first, version="2"), versions) == 2
