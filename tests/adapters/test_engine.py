"""The cluster engine gives what one machine gives, with real workers, one of which is killed."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pandas as pd
import pytest
from distributed import Client
from pydantic import ValidationError

from demand_assets.adapters import cluster, cluster_services
from demand_assets.adapters.cluster import DaskEngine, open_cluster
from demand_assets.adapters.cluster_services import set_tasks, stop_unless_shared
from demand_assets.adapters.drift_rows import (
    PREDICTIONS_TABLE,
    DriftRows,
    stored_predictions,
    stored_report,
)
from demand_assets.adapters.engine import Engine, LocalEngine, fit_stored, forecast_stored_origin
from demand_assets.adapters.lake_rows import LakeRows
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.errors import EngineError, ModelError
from demand_assets.forecasting.backtest import backtest, forecast_origin
from demand_assets.forecasting.drift import JudgedWeek, blocks_of, drift_report
from demand_assets.forecasting.drift_metrics import measured
from demand_assets.forecasting.features import first_origin
from demand_assets.forecasting.model import ModelConfig, actuals_of, fit
from demand_assets.forecasting.panel import Panel
from demand_assets.forecasting.weeks import weeks_between
from demand_assets.partitions import week_key
from demand_assets.sample import SampleData
from demand_assets.settings import Settings
from tests.waiting import GUARD_S

# dask and distributed leave sockets to the garbage collector when a worker dies.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
HORIZON = 4
AS_OF = pd.Timestamp("2011-07-29")
ALONE = LocalEngine(1)


@pytest.fixture(scope="module")
def lake(retailer: SampleData, panel: Panel, tmp_path_factory: pytest.TempPathFactory) -> ParquetLake:
    lake = ParquetLake(uri=str(tmp_path_factory.mktemp("lake")))
    for week, sales in retailer.sales.groupby("week"):
        lake.write("raw_sales", week_key(week), sales)
    LocalEngine(1).write_features(lake, "demand_features", panel, origins_of(panel), HORIZON, 1000, {})
    return lake


def origins_of(panel: Panel) -> list[pd.Timestamp]:
    return list(weeks_between(first_origin(panel.weeks), panel.weeks[-1]))


@pytest.fixture(scope="module")
def stored(lake: ParquetLake) -> LakeRows:
    return LakeRows(lake.uri, "demand_features", tuple(lake.partitions("demand_features")))


@pytest.fixture(scope="module")
def sales(lake: ParquetLake) -> LakeRows:
    return LakeRows(lake.uri, "raw_sales", tuple(lake.partitions("raw_sales")))


@pytest.fixture(scope="module")
def dask() -> Iterator[DaskEngine]:
    engine, closing = open_cluster("", workers=2, threads=2)
    with closing:
        yield engine


@pytest.fixture(autouse=True)
def _a_worker_that_stays_away_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "WORKER_SECONDS", GUARD_S)


def bytes_of(lake: ParquetLake) -> dict[str, bytes]:
    return {key: Path(lake.path("demand_features", key)).read_bytes() for key in lake.partitions("demand_features")}


def test_features_made_by_workers_are_the_same_bytes(dask: DaskEngine, panel: Panel, tmp_path: Path) -> None:
    lakes = [ParquetLake(uri=str(tmp_path / name)) for name in ("here", "there")]
    made = [
        engine.write_features(lake, "demand_features", panel, origins_of(panel), HORIZON, 8, {})
        for engine, lake in zip((LocalEngine(2), dask), lakes, strict=True)
    ]
    here, there = map(bytes_of, lakes)
    assert there == here
    assert made[0] == made[1] == (2312, sum(map(len, here.values())))


def test_rows_read_week_by_week_train_the_same_model(
    stored: LakeRows, sales: LakeRows, features: pd.DataFrame, retailer: SampleData
) -> None:
    config = ModelConfig(rounds=5, seed=3, threads=1)
    whole, by_week = fit(features, retailer.sales, AS_OF, config), fit_stored(stored, sales, AS_OF, config)
    assert by_week.booster.save_raw() == whole.booster.save_raw()
    assert by_week.rows == whole.rows


def test_an_origin_without_known_targets_is_forecast_too(
    stored: LakeRows, sales: LakeRows, features: pd.DataFrame, retailer: SampleData
) -> None:
    config, origin = ModelConfig(rounds=5, seed=3, threads=1), features["origin_week"].max()
    rows = features[features["origin_week"] == origin].reset_index(drop=True)
    expected, _ = forecast_origin(fit(features, retailer.sales, origin, config), rows, retailer.sales)
    found, _ = forecast_stored_origin(stored, sales, None, config, origin)
    pd.testing.assert_frame_equal(found, expected)


def test_a_backtest_on_workers_is_the_same(
    dask: DaskEngine,
    stored: LakeRows,
    sales: LakeRows,
    features: pd.DataFrame,
    retailer: SampleData,
    config: ModelConfig,
) -> None:
    origins = [pd.Timestamp("2011-06-03"), AS_OF]
    seen: list[pd.Timestamp] = []
    found = dask.backtest(stored, sales, origins, HORIZON, config, progress=seen.append)
    expected = backtest(features, retailer.sales, origins, HORIZON, config)
    pd.testing.assert_frame_equal(found.points, expected.points)
    assert set(origins) < set(seen)


def test_drift_measured_by_workers_is_the_same(
    dask: DaskEngine, lake: ParquetLake, stored: LakeRows, sales: LakeRows, features: pd.DataFrame
) -> None:
    forecaster = fit_stored(stored, sales, AS_OF, ModelConfig(rounds=5, seed=3, threads=1))
    predicted = [list(engine.map(stored_predictions, stored.keys, stored, forecaster)) for engine in (dask, ALONE)]
    for key, there, here in zip(stored.keys, *predicted, strict=True):
        pd.testing.assert_frame_equal(there, here)
        lake.write(PREDICTIONS_TABLE, key, here)
    rows = DriftRows(stored, LakeRows(lake.uri, PREDICTIONS_TABLE, stored.keys))
    whole = measured(features, forecaster.predict(features)["forecast"].to_numpy())
    now = whole["origin_week"] == whole["origin_week"].max()
    targets = features.loc[features["origin_week"] == features["origin_week"].max(), ["target_week", "is_holiday"]]
    judged = JudgedWeek.of(whole[now], AS_OF)
    asked: list[int] = []

    def engine_for(engine: Engine, blocks: int) -> Engine:
        asked.append(blocks)
        return engine

    reports = [
        stored_report(rows, judged, targets, partial(engine_for, engine), 7 * len(whole)) for engine in (dask, ALONE)
    ]
    assert asked == [len(blocks_of(len(whole), 7 * len(whole)))] * 2
    assert asked[0] > 1
    pd.testing.assert_frame_equal(*reports)
    pd.testing.assert_frame_equal(reports[0], drift_report(whole[now], whole[~now], AS_OF, targets))


def test_a_backtest_too_large_for_one_worker_is_trained_by_all(
    dask: DaskEngine, stored: LakeRows, sales: LakeRows, config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "FIT_SHARE", 0.0)
    found = dask.backtest(stored, sales, [AS_OF], HORIZON, config)
    model = found.points[found.points["model"] == "xgboost"]
    assert len(model)
    assert model["forecast"].notna().all()


def test_a_model_trained_by_all_workers_forecasts_as_well(
    dask: DaskEngine, stored: LakeRows, sales: LakeRows, features: pd.DataFrame, retailer: SampleData
) -> None:
    # All rows and columns in each tree: what is left to differ is how the bins of the workers are merged.
    config = ModelConfig(rounds=40, seed=3, threads=1, subsample=1.0, colsample=1.0)
    alone, together = LocalEngine(1).fit(stored, sales, AS_OF, config), dask.fit(stored, sales, AS_OF, config)
    assert together.rows == alone.rows
    actuals = actuals_of(features, retailer.sales)
    mae = [np.nanmean(np.abs(model.predict(features)["forecast"] - actuals)) for model in (alone, together)]
    assert mae[1] == pytest.approx(mae[0], rel=0.005)


def test_a_worker_killed_in_mid_training_changes_nothing(
    dask: DaskEngine, stored: LakeRows, sales: LakeRows, caplog: pytest.LogCaptureFixture
) -> None:
    config = ModelConfig(rounds=1200, seed=3, threads=1, members=1)
    undisturbed = dask.fit(stored, sales, AS_OF, config)
    killed = threading.Thread(target=kill_a_trainer, args=(dask,))
    killed.start()
    with caplog.at_level(logging.WARNING, logger=cluster.__name__):
        survived = dask.fit(stored, sales, AS_OF, config)
    killed.join()
    assert "training member 1 of 1: begun anew after a lost worker" in caplog.text
    assert survived.booster.save_raw() == undisturbed.booster.save_raw()


def kill_a_trainer(dask: DaskEngine) -> None:
    """SIGKILL to a worker that is training: its part of the work is a task whose name begins with fn-."""
    while True:
        busy = dask.client.processing()
        training = [worker for worker, keys in busy.items() if any(str(key).startswith("fn-") for key in keys)]
        if len(training) == 2:
            break
        time.sleep(0.05)
    time.sleep(0.3)
    os.kill(dask.client.run(os.getpid, workers=training[:1])[training[0]], signal.SIGKILL)


def test_work_that_is_lost_with_its_worker_is_done_again(dask: DaskEngine, tmp_path: Path) -> None:
    # The first to take item 3 dies of it.
    assert list(dask.map(die_once, range(6), 10, str(tmp_path / "died"))) == [10, 11, 12, 13, 14, 15]


def die_once(shared: int, mark: str, item: int) -> int:
    if item == 3 and not os.path.exists(mark):
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return shared + item


def test_work_that_kills_every_worker_is_one_clear_error(dask: DaskEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ATTEMPTS", 1)
    # After the first worker instead of the fourth.
    dask.client.run_on_scheduler(forgive, 0)
    with pytest.raises(EngineError, match=r"die after 0 of 1: workers were lost 1 times.*more memory, or more of them"):
        list(dask.map(die, [1]))
    dask.client.run_on_scheduler(forgive, 3)


def forgive(deaths: int, dask_scheduler: Any) -> None:
    dask_scheduler.allowed_failures = deaths


def die(item: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_error_of_the_work_itself_is_raised_as_it_is(dask: DaskEngine, stored: LakeRows, sales: LakeRows) -> None:
    with pytest.raises(ModelError, match="no origin has a target known by 2010-12-31"):
        dask.fit(stored, sales, pd.Timestamp("2010-12-31"), ModelConfig(seed=1, threads=1))
    with pytest.raises(ZeroDivisionError):
        list(dask.map(divide, [0]))


def divide(item: int) -> float:
    return 1 / item


def test_forecasts_in_pieces_are_the_same(
    dask: DaskEngine, features: pd.DataFrame, retailer: SampleData, config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ROWS_PER_PIECE", 100)
    model = fit(features, retailer.sales, AS_OF, config)
    rows = features.iloc[:350]
    pd.testing.assert_frame_equal(dask.predict(model, rows), model.predict(rows))


def test_a_worker_of_other_code_is_refused(dask: DaskEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demand_assets.provenance.code_version", lambda: "another")
    with pytest.raises(EngineError, match=r"^worker tcp://.* runs code \w+, this process another; deploy one image"):
        list(DaskEngine(dask.client, 2).map(divide, [1]))


def test_a_scheduler_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with pytest.raises(EngineError, match=r"^the Dask scheduler tcp://127.0.0.1:9 cannot be reached: ") as error:
        open_cluster("tcp://127.0.0.1:9", workers=1, threads=1)
    assert "\n" not in str(error.value)


def test_a_scheduler_without_workers_is_one_line(dask: DaskEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "WORKER_SECONDS", 0.1)
    alone = DaskEngine(dask.client, 2)
    monkeypatch.setattr(alone, "_known", dict)
    with pytest.raises(EngineError, match=r"^no worker joined the Dask scheduler tcp://"):
        list(alone.map(divide, [1]))


@pytest.fixture
def services(aws_environment: str) -> Callable[[], list[int]]:
    """Tasks asked for of a cluster's scheduler and workers in ECS."""
    ecs = boto3.client("ecs")
    ecs.create_cluster(clusterName="demand-test")
    ecs.register_task_definition(family="dask", containerDefinitions=[{"name": "dask", "image": "x", "memory": 64}])
    names = ["dask-scheduler", "dask-worker"]
    held = ecs.describe_services(cluster="demand-test", services=names)["services"]
    for name in names if not held else ():
        ecs.create_service(cluster="demand-test", serviceName=name, taskDefinition="dask", desiredCount=0)

    def counts() -> list[int]:
        found = ecs.describe_services(cluster="demand-test", services=names)["services"]
        return [service["desiredCount"] for service in sorted(found, key=lambda service: service["serviceName"])]

    return counts


def test_services_have_tasks_only_while_a_run_needs_them(dask: DaskEngine, services: Callable[[], list[int]]) -> None:
    set_tasks("demand-test/dask", 1, 7)
    assert services() == [1, 7]
    with Client(dask.client.scheduler.address, set_as_default=False) as other:
        stop_unless_shared("demand-test/dask", other)
        assert services() == [1, 7]
    stop_unless_shared("demand-test/dask", dask.client)
    assert services() == [0, 0]


def test_an_idle_scheduler_takes_the_tasks_away(
    services: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMAND_DASK_SERVICES", "demand-test/dask")
    monkeypatch.setattr(cluster_services, "IDLE_MINUTES", 0.02)
    set_tasks("demand-test/dask", 1, 7)
    assert cluster_services.main(["scheduler"]) == 0
    assert services() == [0, 0]
    assert cluster_services.main([]) == 2


def test_a_cluster_that_does_not_come_up_is_stopped_again(
    aws_environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(cluster, "set_tasks", lambda services, scheduler, workers: asked.append((scheduler, workers)))
    monkeypatch.setattr(cluster, "WORKER_SECONDS", 0.5)
    with pytest.raises(EngineError, match="cannot be reached"):
        open_cluster("tcp://127.0.0.1:9", workers=3, threads=1, services="demand/demand-dask")
    assert asked == [(1, 3), (0, 0)]


def test_a_service_that_ecs_does_not_know_is_one_line(aws_environment: str) -> None:
    with pytest.raises(EngineError, match="ECS cannot run 2 workers of nowhere/nothing: "):
        set_tasks("nowhere/nothing", 1, 2)


@pytest.mark.parametrize("address", ["localhost:8786", "http://scheduler:8786", "tcp://scheduler"])
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        Settings(dask_scheduler=address)
