"""A Dask cluster gives what one machine gives to the byte, with real workers, one of which is killed."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pytest
from dask import config as dask_config
from distributed import Client
from pydantic import ValidationError

from demand_assets import compute
from demand_assets.adapters import cluster_services
from demand_assets.adapters.cluster_services import set_tasks, stop_unless_shared
from demand_assets.adapters.drift_rows import (
    PREDICTIONS_TABLE,
    DriftRows,
    stored_predictions,
    stored_report,
)
from demand_assets.adapters.feature_files import write_features
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.table_refs import TableRef
from demand_assets.compute import DaskWorkers, ThisMachine, open_cluster
from demand_assets.errors import EngineError, ModelError
from demand_assets.forecasting import forecaster
from demand_assets.forecasting.absent import UNKNOWN
from demand_assets.forecasting.backtest import backtest, backtest_stored, forecast_origin, forecast_stored_origin
from demand_assets.forecasting.features import first_origin
from demand_assets.forecasting.forecaster import Forecaster, fit, predict_pieces, train_stored, training_parts
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.forecasting.panel import Panel
from demand_assets.forecasting.ports import Workers
from demand_assets.forecasting.weeks import weeks_between
from demand_assets.monitoring.drift import JudgedWeek, blocks_of, drift_report
from demand_assets.monitoring.drift_metrics import measured
from demand_assets.partitions import week_key
from demand_assets.sample import SampleData
from demand_assets.settings import Settings
from tests.waiting import GUARD_S
from tests.wiring import commands

# dask and distributed leave sockets to the garbage collector when a worker dies.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
HORIZON = 4
AS_OF, LATER = pd.Timestamp("2011-07-29"), pd.Timestamp("2011-09-02")
ALONE = ThisMachine(1)


@pytest.fixture(scope="module")
def lake(retailer: SampleData, panel: Panel, tmp_path_factory: pytest.TempPathFactory) -> ParquetLake:
    lake = ParquetLake(uri=str(tmp_path_factory.mktemp("lake")))
    for week, sales in retailer.sales.groupby("week"):
        lake.write("raw_sales", week_key(week), sales)
    write_features(ALONE, lake, "demand_features", panel, origins_of(panel), HORIZON, 1000, {})
    return lake


def origins_of(panel: Panel) -> list[pd.Timestamp]:
    return list(weeks_between(first_origin(panel.weeks), panel.weeks[-1]))


@pytest.fixture(scope="module")
def stored(lake: ParquetLake) -> TableRef:
    return TableRef(lake.uri, "demand_features", tuple(lake.partitions("demand_features")))


@pytest.fixture(scope="module")
def sales(lake: ParquetLake) -> TableRef:
    return TableRef(lake.uri, "raw_sales", tuple(lake.partitions("raw_sales")))


@pytest.fixture(scope="module", autouse=True)
def _workers_are_forked() -> Iterator[None]:
    """From a process with the libraries. The main job's workers load them anew, as users' do."""
    commands.load()
    with dask_config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        yield


@pytest.fixture(scope="module")
def dask(_workers_are_forked: None) -> Iterator[DaskWorkers]:
    workers, closing = open_cluster("", workers=2, threads=2)
    with closing:
        yield workers


@pytest.fixture(autouse=True)
def _a_worker_that_stays_away_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "WORKER_SECONDS", GUARD_S)


def bytes_of(lake: ParquetLake) -> dict[str, bytes]:
    return {key: Path(lake.path("demand_features", key)).read_bytes() for key in lake.partitions("demand_features")}


def test_workers_that_stay_away_are_waited_for_once(dask: DaskWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    there = dask.count
    monkeypatch.setattr(compute, "WORKER_SECONDS", 0.1)
    workers = DaskWorkers(dask.client, there + 1)
    assert workers.count == workers.wanted == there


def test_what_every_worker_was_sent_stays_with_each(dask: DaskWorkers) -> None:
    sent = dask.client.scatter("shared", broadcast=True, hash=False)
    dask.client.run_on_scheduler(_memory_cycle)
    assert len(dask.client.who_has([sent])[sent.key]) == dask.count


def _memory_cycle(dask_scheduler: Any) -> None:
    """What Dask does every two seconds to free memory, unless it was told not to."""
    manager = dask_scheduler.extensions["amm"]
    if manager.running:
        manager.run_once()


def test_features_made_by_workers_are_the_same_bytes(dask: DaskWorkers, panel: Panel, tmp_path: Path) -> None:
    lakes = [ParquetLake(uri=str(tmp_path / name)) for name in ("here", "there")]
    made = [
        write_features(workers, lake, "demand_features", panel, origins_of(panel), HORIZON, 8, {})
        for workers, lake in zip((ThisMachine(2), dask), lakes, strict=True)
    ]
    here, there = map(bytes_of, lakes)
    assert there == here
    assert made[0] == made[1] == (2312, sum(map(len, here.values())))


def trained(
    stored: TableRef, sales: TableRef, config: XGBoostConfig, workers: Workers = ALONE, week: pd.Timestamp = AS_OF
) -> Forecaster:
    return next(train_stored(stored, sales, [week], config, workers))


def files_of(made: Forecaster, folder: Path) -> dict[str, bytes]:
    made.save(folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_rows_read_week_by_week_train_the_same_model(
    stored: TableRef, sales: TableRef, features: pd.DataFrame, retailer: SampleData, tmp_path: Path
) -> None:
    config = XGBoostConfig(rounds=5, seed=3, threads=1)
    whole, by_week = fit(features, retailer.sales, AS_OF, config), trained(stored, sales, config)
    assert files_of(by_week, tmp_path / "weeks") == files_of(whole, tmp_path / "whole")


def test_an_origin_without_known_targets_is_forecast_too(
    stored: TableRef, sales: TableRef, features: pd.DataFrame, retailer: SampleData, panel: Panel
) -> None:
    config, origin = XGBoostConfig(rounds=5, seed=3, threads=1), panel.weeks[-1]
    rows = features[features["origin_week"] == origin].reset_index(drop=True)
    expected = forecast_origin(fit(features, retailer.sales, origin, config), rows, retailer.sales)
    found = forecast_stored_origin(stored, sales, None, UNKNOWN, trained(stored, sales, config, week=origin))
    pd.testing.assert_frame_equal(found.points, expected.points)


def test_a_part_is_all_there_is_to_do_here_and_of_one_member_on_several_workers() -> None:
    weeks = list(weeks_between(AS_OF, AS_OF + pd.Timedelta(weeks=4)))
    assert [(part.members, len(part.weeks)) for part in training_parts(weeks, 2, 1)] == [((0, 1), 5)]
    for workers in (2, 4, 8):
        parts = training_parts(weeks, 2, workers)
        assert sorted((member, week) for part in parts for member in part.members for week in part.weeks) == [
            (member, week) for member in (0, 1) for week in weeks
        ]
        assert {len(part.members) for part in parts} == {1}
        assert len(parts) >= min(workers, 10)


@pytest.mark.parametrize("count", [1, 4])
def test_as_many_workers_as_there_are_train_the_model_of_one_machine(
    count: int, stored: TableRef, sales: TableRef, tmp_path: Path
) -> None:
    config = XGBoostConfig(rounds=5, seed=3, threads=2, members=3)
    here = list(train_stored(stored, sales, [AS_OF, LATER], config, ThisMachine(2)))
    workers, closing = open_cluster("", workers=count, threads=2)
    with closing:
        there = list(train_stored(stored, sales, [AS_OF, LATER], config, workers))
    for number, (one, other) in enumerate(zip(here, there, strict=True)):
        assert files_of(other, tmp_path / f"there {number}") == files_of(one, tmp_path / f"here {number}")


def test_a_backtest_on_workers_is_the_same(
    dask: DaskWorkers,
    stored: TableRef,
    sales: TableRef,
    features: pd.DataFrame,
    retailer: SampleData,
    config: XGBoostConfig,
) -> None:
    origins = [pd.Timestamp("2011-06-03"), AS_OF]
    seen: list[pd.Timestamp] = []
    found = backtest_stored(stored, sales, origins, HORIZON, config, dask, progress=seen.append)
    expected = backtest(features, retailer.sales, origins, HORIZON, config)
    pd.testing.assert_frame_equal(found.cv_results, expected.cv_results, check_exact=True)
    assert set(origins) < set(seen)


def test_drift_measured_by_workers_is_the_same(
    dask: DaskWorkers, lake: ParquetLake, stored: TableRef, sales: TableRef, features: pd.DataFrame, panel: Panel
) -> None:
    model = trained(stored, sales, XGBoostConfig(rounds=5, seed=3, threads=1))
    predicted = [list(workers.map(stored_predictions, stored.keys, stored, model)) for workers in (dask, ALONE)]
    for key, there, here in zip(stored.keys, *predicted, strict=True):
        pd.testing.assert_frame_equal(there, here)
        lake.write(PREDICTIONS_TABLE, key, here)
    rows = DriftRows(stored, TableRef(lake.uri, PREDICTIONS_TABLE, stored.keys))
    whole = measured(features, model.predict(features)["forecast"].to_numpy())
    now = whole["origin_week"] == whole["origin_week"].max()
    targets = features.loc[features["origin_week"] == features["origin_week"].max(), ["target_week", "is_holiday"]]
    judged = JudgedWeek.of(whole[now], AS_OF)
    asked: list[int] = []

    def workers_for(workers: Workers, blocks: int) -> Workers:
        asked.append(blocks)
        return workers

    reports = [
        stored_report(rows, judged, targets, panel.calendar, partial(workers_for, workers), 7 * len(whole))
        for workers in (dask, ALONE)
    ]
    assert asked == [len(blocks_of(len(whole), 7 * len(whole)))] * 2
    assert asked[0] > 1
    pd.testing.assert_frame_equal(*reports)
    pd.testing.assert_frame_equal(reports[0], drift_report(whole[now], whole[~now], AS_OF, targets, panel.calendar))


def test_a_worker_killed_while_it_trains_changes_no_byte(
    dask: DaskWorkers, stored: TableRef, sales: TableRef, tmp_path: Path
) -> None:
    config = XGBoostConfig(rounds=600, seed=3, threads=1)
    undisturbed = trained(stored, sales, config)
    killed: list[str] = []
    killer = threading.Thread(target=kill_a_trainer, args=(dask, killed))
    killer.start()
    survived = trained(stored, sales, config, dask)
    killer.join()
    assert len(killed) == 1
    assert files_of(survived, tmp_path / "survived") == files_of(undisturbed, tmp_path / "undisturbed")


def kill_a_trainer(dask: DaskWorkers, killed: list[str]) -> None:
    """SIGKILL to a worker while both train."""
    while True:
        busy = dask.client.processing()
        training = [worker for worker, keys in busy.items() if any(str(key).startswith("train_part") for key in keys)]
        if len(training) == 2:
            break
        time.sleep(0.05)
    time.sleep(0.3)
    os.kill(dask.client.run(os.getpid, workers=training[:1])[training[0]], signal.SIGKILL)
    killed += training[:1]


def test_work_that_is_lost_with_its_worker_is_done_again(dask: DaskWorkers, tmp_path: Path) -> None:
    # The first to take item 3 dies of it.
    assert list(dask.map(die_once, range(6), 10, str(tmp_path / "died"))) == [10, 11, 12, 13, 14, 15]


def die_once(shared: int, mark: str, item: int) -> int:
    if item == 3 and not os.path.exists(mark):
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return shared + item


def test_work_that_kills_every_worker_is_one_clear_error(dask: DaskWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "ATTEMPTS", 1)
    # After the first worker instead of the fourth.
    dask.client.run_on_scheduler(forgive, 0)
    with pytest.raises(EngineError, match=r"die after 0 of 1: workers were lost 1 times.*more memory, or more of them"):
        list(dask.map(die, [1]))
    dask.client.run_on_scheduler(forgive, 3)


def forgive(deaths: int, dask_scheduler: Any) -> None:
    dask_scheduler.allowed_failures = deaths


def die(item: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_error_of_the_work_itself_is_raised_as_it_is(dask: DaskWorkers, stored: TableRef, sales: TableRef) -> None:
    with pytest.raises(ModelError, match="no origin has a target known by 2010-12-31"):
        trained(stored, sales, XGBoostConfig(seed=1, threads=1), dask, pd.Timestamp("2010-12-31"))
    with pytest.raises(ZeroDivisionError):
        list(dask.map(divide, [0]))


def divide(item: int) -> float:
    return 1 / item


def test_forecasts_in_pieces_are_the_same(
    dask: DaskWorkers,
    features: pd.DataFrame,
    retailer: SampleData,
    config: XGBoostConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forecaster, "ROWS_PER_PIECE", 100)
    model = fit(features, retailer.sales, AS_OF, config)
    rows = features.iloc[:350]
    pd.testing.assert_frame_equal(predict_pieces(model, rows, dask), model.predict(rows), check_exact=True)


def test_a_worker_of_other_code_is_refused(dask: DaskWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demand_assets.provenance.code_version", lambda: "another")
    with pytest.raises(EngineError, match=r"^worker tcp://.* runs code \w+, this process another; deploy one image"):
        list(DaskWorkers(dask.client, 2).map(divide, [1]))


def test_a_scheduler_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "CONNECT_SECONDS", 0.5)
    with pytest.raises(EngineError, match=r"^the Dask scheduler tcp://127.0.0.1:9 cannot be reached: ") as error:
        open_cluster("tcp://127.0.0.1:9", workers=1, threads=1)
    assert "\n" not in str(error.value)


def test_a_scheduler_without_workers_is_one_line(dask: DaskWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "WORKER_SECONDS", 0.1)
    alone = DaskWorkers(dask.client, 2)
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


def test_services_have_tasks_only_while_a_run_needs_them(dask: DaskWorkers, services: Callable[[], list[int]]) -> None:
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
    monkeypatch.setattr(compute, "set_tasks", lambda services, scheduler, workers: asked.append((scheduler, workers)))
    monkeypatch.setattr(compute, "WORKER_SECONDS", 0.5)
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
