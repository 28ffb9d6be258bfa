"""Sensors, schedule and partition versions, on a real instance and a real lake."""

import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from demand_assets.adapters.alerts import Alerts
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.automation import (
    RETRY_WITHIN,
    landing_zone_sensor,
    retraining_sensor,
    run_under_way,
    sensors,
    stale_features_sensor,
    weekly_request,
    weekly_schedule,
)
from demand_assets.definitions import defs, job_named
from demand_assets.partitions import range_tags, register_weeks, week_key
from demand_assets.planning import stale_origins
from demand_assets.resources import RetrainingRules, Training, build_resources
from demand_assets.sample import SampleData
from demand_assets.settings import read_settings
from demand_assets.store.migrations import migrate
from tests.wiring.conftest import finished_settings

INGESTED = ("dataset", "stores", "departments", "holiday_calendar", "raw_covariates", "raw_sales")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def zone(csv_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "zone"
    shutil.copytree(csv_folder, folder)
    return folder


@pytest.fixture
def resources(zone: Path, tmp_path: Path) -> dict[str, object]:
    settings = read_settings(home=tmp_path / "home", landing_uri=str(zone), threads=1)
    migrate(settings.store)
    return dict(build_resources(settings))


@pytest.fixture
def lake(resources: dict[str, object]) -> ParquetLake:
    found = resources["lake"]
    assert isinstance(found, ParquetLake)
    return found


def weeks_sold(retailer: SampleData) -> list[str]:
    return sorted(week_key(week) for week in retailer.sales["week"].unique())


def registered(instance: dg.DagsterInstance) -> list[str]:
    return list(instance.get_dynamic_partitions("weeks"))


def look(instance: dg.DagsterInstance, resources: dict[str, object], cursor: str | None = None) -> dg.SensorResult:
    context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs)
    result = landing_zone_sensor(context, **{name: resources[name] for name in ("landing", "lake", "alerts")})
    return dg.SensorResult(skip_reason=result) if isinstance(result, dg.SkipReason) else result


def ingest(
    instance: dg.DagsterInstance, resources: dict[str, object], first: str, last: str, *assets: str
) -> dg.ExecuteInProcessResult:
    """The ingestion assets, or those named, for a range of weeks."""
    return (
        dg.Definitions(assets=defs.assets, resources=resources, executor=dg.in_process_executor)
        .resolve_implicit_global_asset_job_def()
        .execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(name) for name in assets or INGESTED],
            tags=range_tags(first, last),
            run_config=QUIET,
            raise_on_error=False,
        )
    )


def test_a_refused_file_that_no_run_reads_is_told_of_once(
    instance: dg.DagsterInstance, resources: dict[str, object], zone: Path
) -> None:
    alerts = resources["alerts"]
    assert isinstance(alerts, Alerts)
    first = look(instance, resources)
    header, *lines = (zone / "train.csv").read_text().splitlines()
    wrong = [",".join([*line.split(",")[:3], "many", "FALSE"]) for line in lines[:20]]
    # Beside weeks that a run is asked for, the checks of that run tell of it.
    (zone / "wrong.csv").write_text("\n".join([header, *wrong]) + "\n")
    (zone / "more.csv").write_text("\n".join([header, lines[0].replace("FALSE", "TRUE")]) + "\n")
    beside = look(instance, resources, first.cursor)
    assert beside.run_requests
    assert alerts.newest() == []
    wrong[0] += "\n"
    (zone / "wrong.csv").write_text("\n".join([header, *wrong]) + "\n")
    for _ in range(2):
        alone = look(instance, resources, beside.cursor)
        assert not alone.run_requests
        (record,) = alerts.newest()
        assert (record.alert.kind, record.alert.subject) == ("check_failed", "dataset:every_file_is_read")
        assert 'wrong.csv line 2: Weekly_Sales is "many", expected a number' in record.alert.summary


def test_a_new_file_is_asked_for_once_and_for_exactly_its_weeks(
    instance: dg.DagsterInstance, resources: dict[str, object], zone: Path, retailer: SampleData
) -> None:
    first = look(instance, resources)
    (request,) = first.run_requests or ()
    weeks = retailer.sales["week"]
    assert request.tags.items() >= range_tags(f"{weeks.min():%Y-%m-%d}", f"{weeks.max():%Y-%m-%d}").items()
    assert request.tags["demand/reason"] == "new: features.csv, stores.csv, train.csv"
    assert registered(instance) == sorted({f"{week:%Y-%m-%d}" for week in weeks})

    again = look(instance, resources, first.cursor)
    assert not again.run_requests

    lines = (zone / "train.csv").read_text().splitlines()
    # Two weeks close to each other are one run; the third is another.
    corrected = ("2010-12-03", "2011-05-06", "2011-07-01")
    correction = [lines[0], *(line for line in lines if any(week in line for week in corrected))]
    (zone / "correction.csv").write_text("\n".join(correction) + "\n")
    third = look(instance, resources, first.cursor)
    asked = [
        [request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")]
        for request in third.run_requests or ()
    ]
    assert asked == [["2010-12-03", "2010-12-03"], ["2011-05-06", "2011-07-01"]]
    assert len({request.run_key for request in third.run_requests or ()}) == 2


def test_conditions_of_weeks_to_come_ask_for_the_newest_week(
    instance: dg.DagsterInstance, resources: dict[str, object], zone: Path
) -> None:
    cursor = look(instance, resources).cursor
    lines = (zone / "features.csv").read_text().splitlines()
    store, week, *rest = lines[-1].split(",")
    assert week > registered(instance)[-1]
    (zone / "calendar.csv").write_text("\n".join([lines[0], ",".join([store, week, *rest])]) + "\n")
    (request,) = look(instance, resources, cursor).run_requests or ()
    newest = registered(instance)[-1]
    assert request.tags.items() >= range_tags(newest, newest).items()


def test_a_bad_file_is_left_out_and_named(
    instance: dg.DagsterInstance, resources: dict[str, object], zone: Path
) -> None:
    cursor = look(instance, resources).cursor
    (zone / "bad.csv").write_text("Store,Dept,Date,IsHoliday\n1,1,2011-05-06,FALSE\n")
    result = look(instance, resources, cursor)
    assert not result.run_requests
    assert "bad.csv is not understood: it has no column of amounts sold" in str(result.skip_reason)


def test_a_file_name_that_is_no_utf_8_is_read_and_a_bad_one_named_by_the_tick(
    instance: dg.DagsterInstance, resources: dict[str, object], zone: Path
) -> None:
    cursor = look(instance, resources).cursor
    header, row = (zone / "train.csv").read_text().splitlines()[:2]
    (zone / os.fsdecode(b"d\xe9p\xf4t.csv")).write_text(f"{header}\n{row}\n")
    (zone / os.fsdecode(b"brok\xe9n.csv")).write_text(f"{header}\n{row.replace(row.split(',')[3], 'many')}\n")
    result = look(instance, resources, cursor)
    (request,) = result.run_requests or ()
    assert request.tags["demand/reason"] == "new: d\\xe9p\\xf4t.csv"
    assert look(instance, resources, result.cursor).skip_reason


def test_partitions_added_by_hand_are_asked_for_by_no_sensor(
    instance: dg.DagsterInstance, resources: dict[str, object], zone: Path, retailer: SampleData
) -> None:
    instance.add_dynamic_partitions("weeks", ["hello", "2030-01-04"])
    first = look(instance, resources)
    (request,) = first.run_requests or ()
    sold = weeks_sold(retailer)
    assert request.tags.items() >= range_tags(sold[0], sold[-1]).items()
    assert registered(instance) == ["hello", "2030-01-04", *sold]
    # Conditions of weeks to come are asked for with the newest week that sold.
    lines = (zone / "features.csv").read_text().splitlines()
    (zone / "calendar.csv").write_text("\n".join([lines[0], lines[-1]]) + "\n")
    (request,) = look(instance, resources, first.cursor).run_requests or ()
    assert request.tags.items() >= range_tags(sold[-1], sold[-1]).items()
    for stray in ("hello", "2030-01-04"):
        assert not ingest(instance, resources, stray, stray).success
    assert not ParquetLake(uri=f"{zone.parent}/home/lake").partitions("raw_covariates")


def test_an_empty_zone_is_a_reason_to_skip(
    instance: dg.DagsterInstance, resources: dict[str, object], zone: Path
) -> None:
    for path in zone.iterdir():
        path.unlink()
    assert "is empty" in str(look(instance, resources).skip_reason)


def test_each_partition_of_a_range_has_the_version_of_its_own_rows(
    instance: dg.DagsterInstance, resources: dict[str, object], lake: ParquetLake, retailer: SampleData
) -> None:
    register_weeks(instance, weeks_sold(retailer))
    known = registered(instance)
    assert ingest(instance, resources, known[0], known[9]).success
    versions = lake.versions("raw_sales")
    assert list(versions) == known[:10]
    recorded = {
        key: instance.get_latest_data_version_record(dg.AssetKey("raw_sales"), partition_key=key) for key in known[:10]
    }
    tags = {key: record.asset_materialization.tags["dagster/data_version"] for key, record in recorded.items()}
    counted = {
        key: record.asset_materialization.metadata["dagster/partition_row_count"].value
        for key, record in recorded.items()
    }
    assert counted == {key: len(lake.read("raw_sales", [key])) for key in known[:10]}
    assert tags == versions
    assert ingest(instance, resources, known[3], known[3]).success
    single = instance.get_latest_data_version_record(dg.AssetKey("raw_sales"), partition_key=known[3])
    assert single.asset_materialization.tags["dagster/data_version"] == versions[known[3]]


def test_a_file_that_contradicts_itself_is_refused_and_nothing_is_written(
    instance: dg.DagsterInstance, resources: dict[str, object], zone: Path, lake: ParquetLake, retailer: SampleData
) -> None:
    register_weeks(instance, weeks_sold(retailer))
    lines = (zone / "train.csv").read_text().splitlines()
    store, dept, week, _, holiday = lines[-1].split(",")
    contradicting = ",".join([store, dept, week, "1.0", holiday])
    (zone / "train.csv").write_text("\n".join([*lines, contradicting]) + "\n")
    known = registered(instance)
    result = ingest(instance, resources, known[0], known[-1])
    assert not result.success
    failure = result.failure_data_for_node("dataset")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert "2 rows contradict another" in str(failure.user_failure_data.description)
    assert lake.partitions("raw_sales") == []


def test_features_are_stale_until_built_from_the_present_data(
    instance: dg.DagsterInstance, resources: dict[str, object], lake: ParquetLake, retailer: SampleData
) -> None:
    def sense() -> object:
        context = dg.build_sensor_context(instance=instance, definitions=defs)
        return stale_features_sensor(context, **{name: resources[name] for name in ("lake", "training", "clock")})

    assert isinstance(sense(), dg.SkipReason)
    register_weeks(instance, weeks_sold(retailer))
    known = registered(instance)
    assert ingest(instance, resources, known[0], known[-1]).success
    result = sense()
    assert isinstance(result, dg.SensorResult)
    assert result.run_requests
    (request,) = result.run_requests
    assert request.tags.items() >= range_tags(known[52], known[-1]).items()
    training = resources["training"]
    assert isinstance(training, Training)
    assert stale_origins(lake, training) == known[52:]
    assert stale_origins(lake, training.model_copy(update={"feature_origins": 20})) == known[-20:]

    # A run that has finished some of the weeks would otherwise be asked for again, of the rest.
    under_way = instance.create_run_for_job(job_named("build_features"), status=dg.DagsterRunStatus.STARTED)
    assert f"run {under_way.run_id} of build_features has not ended" in str(sense())
    instance.report_run_failed(under_way)
    instance.add_run_tags(under_way.run_id, {"dagster/will_retry": "true"})
    assert f"run {under_way.run_id} of build_features has not ended" in str(sense())
    instance.add_run_tags(under_way.run_id, {"dagster/auto_retry_run_id": "another"})
    assert isinstance(sense(), dg.SensorResult)


def test_a_retry_that_does_not_come_is_not_waited_for(instance: dg.DagsterInstance) -> None:
    failed = instance.create_run_for_job(
        job_named("score"), status=dg.DagsterRunStatus.STARTED, tags={"dagster/will_retry": "true"}
    )
    instance.report_run_failed(failed)
    now = datetime.now(UTC)
    assert run_under_way(instance, "score", now) == failed.run_id
    assert run_under_way(instance, "score", now + RETRY_WITHIN) is None


def test_the_schedule_says_why_it_skips(
    instance: dg.DagsterInstance, resources: dict[str, object], lake: ParquetLake, retailer: SampleData
) -> None:
    def tick() -> object:
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=datetime(2011, 9, 26, 6, tzinfo=UTC)
        )
        return weekly_request(context, lake=lake, ledger=resources["ledger"])

    assert "no week of sales has landed yet" in str(tick())
    register_weeks(instance, weeks_sold(retailer))
    known = registered(instance)
    assert ingest(instance, resources, known[0], known[-1]).success
    assert "no model is in production yet" in str(tick())


def retrain(instance: dg.DagsterInstance, resources: dict[str, object]) -> dg.RunRequest | dg.SkipReason:
    context = dg.build_sensor_context(instance=instance, definitions=defs)
    names = ("lake", "training", "registry", "ledger", "retraining", "clock")
    answer = retraining_sensor(context, **{name: resources[name] for name in names})
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def test_the_first_model_is_asked_for_once_features_are_there(
    instance: dg.DagsterInstance, resources: dict[str, object], retailer: SampleData
) -> None:
    assert "no week has features yet" in str(retrain(instance, resources))
    register_weeks(instance, weeks_sold(retailer))
    known = registered(instance)
    assert ingest(instance, resources, known[0], known[-1], "demand_features").success is False
    assert ingest(instance, resources, known[0], known[-1]).success
    assert ingest(instance, resources, known[52], known[-1], "demand_features").success
    request = retrain(instance, resources)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == known[-1]
    assert str(request.run_key).startswith(f"first model:{known[-1]}:")
    again = retrain(instance, resources)
    assert isinstance(again, dg.RunRequest)
    assert again.run_key == request.run_key


def test_a_finished_workspace_says_why_it_does_not_retrain_and_forecasts_once(
    instance: dg.DagsterInstance, workspace: tuple[Path, Path], retailer: SampleData
) -> None:
    parts = dict(build_resources(finished_settings(workspace)))
    register_weeks(instance, weeks_sold(retailer))
    newest = registered(instance)[-1]
    assert re.search("WMAE .* is within its band, .*; drift is none", str(retrain(instance, parts)))
    strict = {**parts, "retraining": RetrainingRules(max_age_weeks=0, cooldown_weeks=0)}
    assert "a model was trained 0 weeks ago" in str(retrain(instance, strict))

    def tick() -> object:
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=datetime(2011, 9, 26, 6, tzinfo=UTC)
        )
        return weekly_request(context, lake=parts["lake"], ledger=parts["ledger"])

    assert f"{newest}, is forecast already" in str(tick())
    shutil.rmtree(workspace[0] / "lake" / "published_forecast")
    request = tick()
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == newest


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED])
def test_no_model_is_asked_for_while_one_is_trained_or_waits_to_be(
    instance: dg.DagsterInstance, workspace: tuple[Path, Path], retailer: SampleData, status: dg.DagsterRunStatus
) -> None:
    parts = dict(build_resources(finished_settings(workspace)))
    register_weeks(instance, weeks_sold(retailer))
    training, _ = (
        instance.create_run_for_job(job_named(name), status=status) for name in ("train_and_forecast", "ingest")
    )
    assert f"run {training.run_id} is training already" in str(retrain(instance, parts))
    instance.report_run_failed(training)
    assert "no retraining: " in str(retrain(instance, parts))


def test_every_asset_is_described_grouped_and_owned() -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.description
        assert node.group_name != "default"
        assert node.owners
        assert node.kinds


def test_an_asset_declares_what_it_reads_beside_its_inputs() -> None:
    graph, members = defs.resolve_asset_graph(), {"stores", "departments"}
    vintages = {"published_forecast", "past_forecasts"}
    read = {
        "stores": {"dataset", "departments"},
        "holiday_calendar": {"dataset", "raw_covariates"} | members,
        "published_conditions": {"raw_covariates"} | members,
        "published_drivers": {"raw_sales", "raw_covariates", "raw_series_covariates", "plans_ahead", "dataset"}
        | members
        | {"published_conditions"},
        "backtest_report": {"demand_features", "raw_sales", "raw_series_covariates", "dataset"} | members,
        "promoted_model": {"trained_model", "demand_features", "raw_sales", "dataset"},
        "published_forecast": {"weekly_forecast", "forecast_totals", "forecast_attributions", "dataset"} | members,
        "past_forecasts": {"promoted_model", "demand_features", "dataset"} | members,
        "forecast_accuracy": {"raw_sales", "raw_series_covariates", "dataset"} | vintages | members,
        "forecast_exceptions": {"raw_sales"} | vintages | members,
        "drift_report": {"demand_features", "weekly_forecast", "holiday_calendar", "promoted_model"} | members,
    }
    declared = {name: {key.to_user_string() for key in graph.get(dg.AssetKey(name)).parent_keys} for name in read}
    assert declared == read


@pytest.mark.parametrize("name", ["ingest", "build_features", "train_and_forecast", "weekly"])
def test_every_job_is_made_of_known_assets(name: str) -> None:
    assert job_named(name).nodes


def test_definitions_write_nothing(tmp_path: Path) -> None:
    assert not os.path.exists(read_settings(home=tmp_path / "nothing").home)


@pytest.mark.parametrize(("running", "status"), [(True, "RUNNING"), (False, "STOPPED")])
def test_what_asks_for_runs_is_on_from_the_start_as_the_setting_says(running: bool, status: str) -> None:
    asking = [one for one in sensors(running) if one.name != "end_mlflow_runs"]
    found = {one.name: one.default_status.value for one in [*asking, weekly_schedule("0 6 * * 1", running)]}
    asked = ("landing_zone", "stale_features", "past_forecasts", "retraining")
    assert found == dict.fromkeys([*(f"{name}_sensor" for name in asked), "weekly_schedule"], status)


def test_a_vintage_is_late_a_week_and_the_hours_of_the_deadline_after_the_last() -> None:
    policy = defs.resolve_asset_graph().get(dg.AssetKey("published_forecast")).freshness_policy
    late = timedelta(weeks=1, hours=72)
    assert policy == dg.FreshnessPolicy.time_window(late, timedelta(weeks=1, hours=36))
