"""A week that lands after it was forecast: its vintage and the planners' numbers are scored, again when corrected."""

import os
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from demand_assets.adapters.arrow_frames import read_frame
from demand_assets.forecasting.baselines import BASELINES
from demand_assets.sample import SampleData
from demand_assets.store.engine import create_engine_for
from demand_assets.store.overrides import OverrideRequest, record_override
from tests.wiring.conftest import run
from tests.wiring.workspaces import deliver_week_after


def test_a_delivered_week_scores_the_vintage_that_foresaw_it_and_again_when_it_is_corrected(
    workspace: tuple[Path, Path], finished: tuple[Path, dict[str, object]], retailer: SampleData
) -> None:
    home, zone = workspace
    following = retailer.sales["week"].max() + pd.Timedelta(weeks=1)
    delivered = deliver_week_after(zone, retailer)
    store, dept, week, sold, holiday = delivered[0].split(",")
    decided = OverrideRequest(store, dept, following.date(), float(sold) * 2, "ann", "a fair", None, "one")
    engine = create_engine_for(f"sqlite:///{home / 'store.db'}")
    record_override(engine, decided, datetime.combine(following.date(), datetime.min.time(), UTC))
    engine.dispose()
    summary = run(home, zone)
    assert summary["origin_week"] == f"{following:%Y-%m-%d}"
    with closing(sqlite3.connect(home / "store.db")) as connection:
        scored = pd.read_sql("select * from forecast_accuracy", connection)
        query = "select * from forecast_exceptions join stores using (store_key) join departments using (dept_key)"
        listed = pd.read_sql(f"{query} order by rank", connection)
    in_lake = read_frame(home / "lake/forecast_accuracy")
    assert len(in_lake) == len(scored)
    scored, listed = (table[table["week"] == f"{following:%Y-%m-%d}"] for table in (scored, listed))
    # Those of the weeks before, which the first run made later, reach this week as well.
    assert set(scored["horizon"]) == {1, 2, 3, 4}
    scored = scored[scored["vintage_id"] == finished[1]["vintage"]]
    chain = scored[scored["level"] == "chain"].set_index("model")
    assert set(chain.index) == {"xgboost", "final", *BASELINES}
    assert (chain["points"] == len(delivered)).all()
    assert (scored.groupby(["model", "level"])["points"].sum() == len(delivered)).all()
    # Computed again from the vintage's file and the lines that were delivered.
    file = read_frame(home / "lake/published_forecast" / str(finished[1]["origin_week"]))
    sales = pd.read_csv(zone / "delivery.csv").rename(columns={"Store": "store_id", "Dept": "dept_id"})
    both = file[file["target_week"] == following].merge(sales, on=["store_id", "dept_id"])
    is_decided = (both["store_id"] == int(store)) & (both["dept_id"] == int(dept))
    both["final"] = both["forecast"].mask(is_decided, float(sold) * 2)
    for model in chain.index:
        forecast = both["forecast" if model == "xgboost" else model]
        assert chain.loc[model, "wmae"] == pytest.approx((forecast - both["Weekly_Sales"]).abs().mean())
    assert chain.loc["xgboost", "fva"] == chain.loc["seasonal_naive", "wmae"] - chain.loc["xgboost", "wmae"]
    outside = ~both["Weekly_Sales"].between(both["p10"], both["p90"])
    assert {
        (int(row.store_id), int(row.dept_id)) for row in listed.itertuples() if "no sales row" not in row.reason
    } <= set(both.loc[outside, ["store_id", "dept_id"]].itertuples(index=False, name=None))
    assert listed["rank"].tolist() == list(range(1, len(listed) + 1))
    assert listed["at_risk"].is_monotonic_decreasing

    corrected = ",".join([store, dept, week, str(float(sold) + 1000), holiday])
    header = (zone / "delivery.csv").read_text().splitlines()[0]
    (zone / "late.csv").write_text(f"{header}\n{corrected}\n")
    os.utime(zone / "late.csv", (time.time() + 60, time.time() + 60))
    run(home, zone)
    query = "select actual from forecast_accuracy where level = 'chain' and model = 'xgboost' and vintage_id = ?"
    with closing(sqlite3.connect(home / "store.db")) as connection:
        ((after,),) = connection.execute(query, (finished[1]["vintage"],)).fetchall()
    assert after - chain.loc["xgboost", "actual"] == pytest.approx(1000)
