"""What the backtest forecast at past origins is published, marked, and scored like any forecast."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.assets.rows import absent_rows
from demand_assets.forecasting.baselines import BASELINES, model_rows
from demand_assets.forecasting.forecaster import fit
from demand_assets.forecasting.metrics import score
from demand_assets.planning import plan_scoring, unscored_weeks
from demand_assets.resources import build_training
from tests.wiring.conftest import demand, finished_settings

Finished = tuple[Path, dict[str, object]]
KEYS = ["store_id", "dept_id", "origin_week", "target_week"]


@pytest.fixture
def lake(finished: Finished) -> ParquetLake:
    return ParquetLake(uri=str(finished[0] / "lake"))


@pytest.fixture
def tested(lake: ParquetLake) -> pd.DataFrame:
    """The trained model's points of the backtest."""
    report = lake.read("backtest_report", lake.partitions("backtest_report"))
    assert report is not None
    return model_rows(report)


def table(home: Path, query: str) -> pd.DataFrame:
    with closing(sqlite3.connect(home / "store.db")) as connection:
        return pd.read_sql(query, connection)


def test_the_backtest_of_each_past_origin_is_a_vintage_before_the_published_one(
    finished: Finished, tested: pd.DataFrame
) -> None:
    home, summary = finished
    vintages = table(home, "select * from forecast_vintages order by sequence")
    past = tested["origin_week"].drop_duplicates().dt.strftime("%Y-%m-%d").tolist()
    weeks = [f"{week:%Y-%m-%d}" for week in pd.date_range(end=str(summary["origin_week"]), periods=9, freq="7D")]
    assert vintages["origin_week"].tolist() == sorted({*past, *weeks})
    assert vintages["kind"].tolist() == [*["backtest"] * (len(vintages) - 1), "forecast"]
    assert vintages[["method", "model_version", "unit"]].drop_duplicates().to_numpy().tolist() == [
        ["xgboost", "1", "USD"]
    ]
    stored = table(
        home,
        "select s.store_id, d.dept_id, v.origin_week, f.* from forecasts f join stores s using (store_key)"
        " join departments d using (dept_key) join forecast_vintages v using (vintage_id) where v.kind = 'backtest'",
    )
    stored = stored[stored["origin_week"].isin(past)]
    texts = tested.astype({"store_id": str, "dept_id": str})
    for name in ("origin_week", "target_week"):
        texts[name] = tested[name].dt.strftime("%Y-%m-%d")
    both = stored.merge(texts, on=KEYS, suffixes=("", "_tested"))
    assert len(both) == len(stored) == len(tested)
    for name in ("forecast", "p10", "p50", "p90"):
        np.testing.assert_array_equal(both[name], both[f"{name}_tested"])
    assert (both["order_quantity"] >= both["p50"].clip(lower=0)).all()


def test_each_of_the_newest_weeks_is_forecast_by_a_model_that_knew_none_of_its_targets(
    finished: Finished, csv_folder: Path, lake: ParquetLake, tested: pd.DataFrame
) -> None:
    past = set(tested["origin_week"])
    delivered = [week for week in lake.partitions("past_forecasts") if pd.Timestamp(week) not in past]
    # The model of the first origin of the backtest, trained again here.
    served_from = min(past)
    keys = [week for week in lake.partitions("demand_features") if pd.Timestamp(week) < served_from]
    features, sales = lake.read("demand_features", keys), lake.read("raw_sales", lake.partitions("raw_sales"))
    assert features is not None
    assert sales is not None
    config = build_training(finished_settings((finished[0], csv_folder))).config().bounded(len(features), 1_000_000)
    model = fit(features, sales, served_from, config, absent_rows(lake)).judged(tested.iloc[:0], 4)
    for week in delivered:
        rows, stored = lake.read("demand_features", [week]), lake.read("past_forecasts", [week])
        assert rows is not None
        assert stored is not None
        np.testing.assert_array_equal(stored["forecast"], model.predict(rows)["forecast"])
    assert len(delivered) == 7
    explained = table(
        finished[0],
        "select origin_week, count(*) as points from forecast_attributions join forecast_vintages using (vintage_id)"
        " where kind = 'backtest' group by origin_week",
    )
    assert explained["origin_week"].tolist() == delivered


def test_the_weeks_that_followed_are_scored_with_their_baselines(
    finished: Finished, lake: ParquetLake, tested: pd.DataFrame
) -> None:
    found = table(finished[0], "select * from accuracy_by_week order by week")
    own = found[found["model"] == "xgboost"]
    expected = score(tested, ["target_week"])
    # One forecast of the first week; later ones are forecast week by week.
    assert own["week"].iloc[0] == f"{expected['target_week'].iloc[0]:%Y-%m-%d}"
    np.testing.assert_allclose(own["wmae"].iloc[0], expected["wmae"].iloc[0])
    assert own["week"].iloc[-1] == finished[1]["origin_week"]
    assert set(found["model"]) == {"xgboost", *BASELINES}
    assert len(table(finished[0], "select distinct week from forecast_exceptions")) > 1
    weeks = lake.partitions("raw_sales")
    assert (unscored_weeks(lake), plan_scoring(lake, weeks).runs) == ([], ())


def test_weeks_whose_past_forecasts_are_not_scored_are_due(workspace: tuple[Path, Path]) -> None:
    lake = ParquetLake(uri=str(workspace[0] / "lake"))
    origin = lake.partitions("past_forecasts")[-1]
    (workspace[0] / "lake" / "past_forecasts" / f"{origin}.parquet").unlink()
    newest = lake.partitions("raw_sales")[-1]
    following = [f"{pd.Timestamp(origin) + pd.Timedelta(weeks=ahead):%Y-%m-%d}" for ahead in (1, 2, 3, 4)]
    assert unscored_weeks(lake) == [week for week in following if week <= newest]


def test_one_of_the_backtest_is_not_reproduced_as_if_it_had_been_published(
    finished: Finished, lake: ParquetLake
) -> None:
    origin = lake.partitions("past_forecasts")[0]
    ended = demand(finished[0], "reproduce", "--origin", origin)
    assert ended.returncode == 1
    assert ended.stderr == (
        f"demand: the vintages of origin {origin} were made by a backtest, not published at their origin; "
        "`demand backtest` makes such forecasts again\n"
    )
