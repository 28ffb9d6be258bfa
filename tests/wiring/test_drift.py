"""The drift report of a run: rows in lake and SQL store, and a page."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
import pytest

from demand_assets.adapters.arrow_frames import read_frame
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import RegisteredVersion
from demand_assets.assets.drift import FORECAST_VARIABLES, keep_distributions, keep_predictions
from demand_assets.forecasting.features import FEATURES
from demand_assets.forecasting.weeks import add_weeks
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
    assert (of_forecast["points"], of_forecast["q100"]) == (len(forecast), forecast.max())
    assert histograms.groupby("variable")["points"].sum().loc["forecast"] == len(forecast)
    with closing(sqlite3.connect(home / "store.db")) as connection:
        for name, rows in (("quantiles", quantiles), ("histograms", histograms)):
            stored = pd.read_sql(f"select * from distribution_{name}", connection, parse_dates=["week"])
            keys = [each for each in ("variable", "sample", "bin") if each in rows]
            pd.testing.assert_frame_equal(
                stored.sort_values(keys, ignore_index=True),
                rows.sort_values(keys, ignore_index=True),
                check_dtype=False,
            )
    registry = build_resources(read_settings(home=home))["registry"]
    run = registry.with_alias("production").run_id
    kept = {item.path for item in registry._client().list_artifacts(run, "distribution_quantiles")}
    assert kept == {f"distribution_quantiles/{week}.csv"}


def test_the_same_season_of_last_year_stands_beside_a_week(tmp_path: Path) -> None:
    lake, registry = ParquetLake(uri=str(tmp_path)), _Logged()
    origin, names = pd.Timestamp("2012-06-29"), list(FEATURES)
    weeks = [f"{add_weeks(origin, back):%Y-%m-%d}" for back in (-55, -54, -52, -50, -49, 0)]
    for place, week in enumerate(weeks):
        rows = pd.DataFrame({"horizon": [1, 2]} | {name: [float(place), 99.0] for name in names if name != "horizon"})
        lake.write("demand_features", week, rows)
        lake.write("drift_predictions", week, pd.DataFrame({"prediction": [place / 10]}))
    forecast = pd.DataFrame({name: [7.0] for name in FORECAST_VARIABLES})
    keep_distributions(lake, registry, None, origin, forecast, weeks[:-1])  # type: ignore[arg-type]
    found = lake.read("distribution_quantiles", [weeks[-1]])
    assert found is not None
    of = found.set_index(["variable", "sample"])
    assert of.loc[("lag_1", "week"), ["points", "q000", "q100"]].tolist() == [1, 5, 5]
    # Of 54, 52 and 50 weeks before; neither of 55 nor of 49.
    assert of.loc[("lag_1", "last_season"), ["points", "q000", "q050", "q100"]].tolist() == [3, 1, 2, 3]
    assert of.loc[("prediction", "last_season"), "q100"] == pytest.approx(0.3)
    assert ("p10", "last_season") not in of.index
    assert registry.paths == [f"distribution_{name}/{weeks[-1]}.csv" for name in ("quantiles", "histograms")]


@dataclass
class _Logged:
    """Where a registry was asked to log tables."""

    paths: list[str] = field(default_factory=list)

    def log_table(self, champion: RegisteredVersion, path: str, rows: pd.DataFrame) -> None:
        self.paths.append(path)


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
