"""What raises an alert, each provoked: runs, checks, ticks and the store."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from sqlalchemy import insert

from demand_assets.adapters.alerts import Alerts
from demand_assets.adapters.dagster_internals import TickStatus
from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import ModelRegistry, RegisteredVersion
from demand_assets.alerting import (
    alert_on_run,
    alerts_for_run,
    monitoring_alerts,
    run_failure_alerts,
    run_success_alerts,
    tick_alerts,
)
from demand_assets.definitions import defs
from demand_assets.forecasting.weeks import newest_ended
from demand_assets.health import (
    accuracy_out_of_band,
    baseline_serves_alert,
    promotion_refused_alert,
    severe_drift_alert,
)
from demand_assets.partitions import range_tags
from demand_assets.resources import Clock, ForecastStore
from demand_assets.store.migrations import migrate
from demand_assets.store.tables import promotions
from tests.monitoring_rows import decision
from tests.wiring.conftest import demand
from tests.wiring.ticks import Ticks

WEEK = "2012-06-29"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def alerts(store: ForecastStore) -> Alerts:
    return Alerts(store_url=store.address)


@pytest.fixture
def store(tmp_path: Path) -> ForecastStore:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    migrate(url)
    return ForecastStore(store_url=url)


@pytest.fixture
def lake(tmp_path: Path) -> ParquetLake:
    return ParquetLake(uri=str(tmp_path / "lake"))


@dg.asset
def sales() -> int:
    raise ValueError("train.csv lacks Weekly_Sales\nhas Store, Dept")


@dg.asset
def stores() -> int:
    return 1


@dg.asset_check(asset=stores)
def stores_are_many() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, description="1 store, 45 before", metadata={"stores": 1})


@dg.asset_check(asset=stores)
def stores_are_old() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)


@dg.multi_asset_check(
    specs=[dg.AssetCheckSpec("evaluated", asset="stores"), dg.AssetCheckSpec("forgotten", asset="stores")],
    can_subset=True,
)
def two_checks() -> Iterator[dg.AssetCheckResult]:
    yield dg.AssetCheckResult(check_name="evaluated", asset_key="stores", passed=True)


def run_of(
    instance: dg.DagsterInstance, assets: list[dg.AssetsDefinition], checks: list[dg.AssetChecksDefinition]
) -> dg.DagsterRun:
    result = (
        dg.Definitions(assets=assets, asset_checks=checks, executor=dg.in_process_executor)
        .resolve_implicit_global_asset_job_def()
        .execute_in_process(
            instance=instance, run_config=QUIET, raise_on_error=False, tags=range_tags("2012-06-22", WEEK)
        )
    )
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    return run


def test_a_failed_run_names_its_step_its_error_and_its_weeks(instance: dg.DagsterInstance) -> None:
    run = run_of(instance, [sales], [])
    (alert,) = alerts_for_run(instance, run)
    assert (alert.kind, alert.severity, alert.week) == ("run_failed", "critical", WEEK)
    assert alert.summary.endswith(
        "for weeks 2012-06-22 to 2012-06-29 failed at sales: ValueError: train.csv lacks Weekly_Sales"
    )


def test_a_run_that_died_without_a_failed_step_says_why(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(dg.Definitions(assets=[stores]).resolve_implicit_global_asset_job_def())
    instance.report_run_failed(run, "The process of this run was killed")
    (alert,) = alerts_for_run(instance, instance.get_run_by_id(run.run_id))
    assert alert.summary.endswith("failed: The process of this run was killed")


def test_a_failed_check_of_a_run_that_succeeded_is_told_once(instance: dg.DagsterInstance, alerts: Alerts) -> None:
    run = run_of(instance, [stores], [stores_are_many, stores_are_old])
    assert run.is_success
    (alert,) = alert_on_run(instance, run.run_id, alerts)
    assert (alert.kind, alert.severity, alert.week, alert.subject) == (
        "check_failed",
        "critical",
        WEEK,
        "stores:stores_are_many",
    )
    assert alert.summary.endswith("1 store, 45 before")
    assert alert.figures["stores"] == 1
    again = run_of(instance, [stores], [stores_are_many])
    assert [alert_on_run(instance, of.run_id, alerts) for of in (run, again)] == [[], []]


def test_a_check_that_was_planned_and_never_evaluated_is_missing(instance: dg.DagsterInstance) -> None:
    run = run_of(instance, [stores], [two_checks])
    assert run.is_success
    (alert,) = alerts_for_run(instance, run)
    assert (alert.kind, alert.week, alert.figures["checks"]) == ("check_missing", WEEK, ["stores:forgotten"])


def test_checks_that_a_failed_step_took_down_are_not_missing(instance: dg.DagsterInstance) -> None:
    @dg.asset_check(asset=sales)
    def sales_are_there() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    run = run_of(instance, [sales], [sales_are_there])
    assert [alert.kind for alert in alerts_for_run(instance, run)] == ["run_failed"]


def test_a_good_run_raises_nothing(instance: dg.DagsterInstance) -> None:
    assert alerts_for_run(instance, run_of(instance, [stores], [])) == []


@pytest.mark.parametrize(
    ("assets", "checks", "kind"), [([sales], [], "run_failed"), ([stores], [stores_are_many], "check_failed")]
)
def test_the_run_sensors_fire(
    instance: dg.DagsterInstance,
    alerts: Alerts,
    assets: list[dg.AssetsDefinition],
    checks: list[dg.AssetChecksDefinition],
    kind: str,
) -> None:
    run = run_of(instance, assets, checks)
    ended = {"PIPELINE_FAILURE", "PIPELINE_SUCCESS"}
    event = next(
        entry.dagster_event
        for entry in instance.all_logs(run.run_id)
        if entry.dagster_event and entry.dagster_event.event_type_value in ended
    )
    context = dg.build_run_status_sensor_context(
        sensor_name="a", dagster_instance=instance, dagster_run=run, dagster_event=event
    )
    if run.is_success:
        run_success_alerts(context, alerts=alerts)
    else:
        run_failure_alerts(context.for_run_failure(), alerts=alerts)
    assert [record.alert.kind for record in alerts.newest()] == [kind]


def test_the_alert_sensors_run_by_default() -> None:
    for name in ("run_failure_alerts", "run_success_alerts", "monitoring_alerts", "publication_events"):
        assert defs.resolve_sensor_def(name).default_status == dg.DefaultSensorStatus.RUNNING


def test_a_sensor_that_fails_is_one_alert_per_stretch_of_failures(instance: dg.DagsterInstance) -> None:
    ticks = Ticks(instance, "landing_zone_sensor")
    assert tick_alerts(instance) == ([], 1)
    ticks.add(TickStatus.SKIPPED)
    ticks.add(TickStatus.FAILURE, "no such file")
    ((first,), _) = tick_alerts(instance)
    assert (first.kind, first.subject) == ("sensor_failed", "landing_zone_sensor")
    assert first.summary == "sensor landing_zone_sensor fails: StoreError: no such file"
    ticks.add(TickStatus.FAILURE, "no such file")
    ticks.add(TickStatus.STARTED)
    ((same,), _) = tick_alerts(instance)
    assert same.key == first.key
    ticks.add(TickStatus.SUCCESS)
    assert tick_alerts(instance)[0] == []
    ticks.add(TickStatus.FAILURE, "no such file")
    ((later,), _) = tick_alerts(instance)
    assert later.key != first.key


def test_a_code_server_that_does_not_answer_is_an_alert_at_the_third_tick_in_a_row(
    instance: dg.DagsterInstance,
) -> None:
    ticks = Ticks(instance, "landing_zone_sensor")
    late = ("deadline exceeded", "DagsterUserCodeUnreachableError", "_InactiveRpcError")
    told = []
    for error in [late, late, None, late, late, late]:
        ticks.add(TickStatus.FAILURE if error else TickStatus.SUCCESS, *(error or ()))
        told.append(len(tick_alerts(instance)[0]))
    assert told == [0, 0, 0, 0, 0, 1]


def test_code_that_cannot_be_loaded_is_an_alert_at_once(instance: dg.DagsterInstance) -> None:
    ticks = Ticks(instance, "landing_zone_sensor")
    kinds = ("DagsterUserCodeUnreachableError", "DagsterCodeLocationLoadError")
    ticks.add(TickStatus.FAILURE, "no module named x", *kinds)
    ((alert,), _) = tick_alerts(instance)
    assert alert.summary.endswith("no module named x")


def report(lake: ParquetLake, severity: str) -> None:
    """The drift report of a week in which one department with a tenth of sales drifted."""
    rows = [
        {
            "week": pd.Timestamp(WEEK), "reference": "training", "group_kind": "department", "group_id": "5",
            "variable": f"lag_{lag}", "severity": severity, "score": float(lag), "sales_share": 0.1,
            "words": f"department 5: lag_{lag} up",
        }
        for lag in (1, 2, 3, 4)
    ]  # fmt: skip
    lake.write("drift_report", WEEK, pd.DataFrame(rows))


def test_severe_drift_names_the_week_the_count_and_the_worst_three(lake: ParquetLake) -> None:
    assert severe_drift_alert(lake) is None
    report(lake, "warn")
    assert severe_drift_alert(lake) is None
    report(lake, "severe")
    alert = severe_drift_alert(lake)
    assert alert is not None
    assert (alert.week, alert.figures["severe"]) == (WEEK, 4)
    assert alert.figures["worst"] == [f"department 5: lag_{lag} up" for lag in (4, 3, 2)]
    assert alert.summary.startswith("groups with 10% of sales drifted severely in week 2012-06-29")


@pytest.mark.parametrize(
    ("losses", "out"),
    [
        ([100, 110, 90, 105, 95, 100, 108, 92, 200], True),
        ([100, 110, 90, 105, 95, 100, 108, 92, 112], False),
        ([100, 110, 90, 105, 95, 100, 108, 92, 20], False),
        ([100, 110, 90, 105, 95, 100, 108, 900], False),
    ],
    ids=["far above", "inside", "far below", "too few weeks to tell"],
)
def test_a_loss_above_the_band_of_its_own_history_is_an_alert(losses: list[float], out: bool) -> None:
    alert = accuracy_out_of_band([(f"week {number}", float(loss)) for number, loss in enumerate(losses)])
    assert (alert is not None) == out
    if alert is not None:
        assert (alert.week, alert.figures["WMAE"], alert.figures["weeks above"]) == ("week 8", 200, 1)


def test_three_refusals_in_a_row_are_an_alert_and_so_are_six(store: ForecastStore) -> None:
    engine = store.engine()
    keys = []
    for number in range(7):
        with engine.begin() as connection:
            found = promotion_refused_alert(connection)
            keys.append(found and found.key)
            connection.execute(insert(promotions).values(**decision("refused", f"k{number}")))
    assert keys[:3] == [None, None, None]
    assert keys[3] == keys[4] == keys[5] != keys[6]
    engine.dispose()


def test_a_baseline_in_production_is_an_alert_for_each_model_that_was_refused() -> None:
    def version(model: str, method: str) -> RegisteredVersion:
        scores = {f"backtest_wmae_{model}": 25.0}
        return RegisteredVersion("2", model, "run", "made from", "2012-06-01", "", "", "", (), 0, scores, method)

    assert baseline_serves_alert(None, None) is None
    assert baseline_serves_alert(version("xgboost", "xgboost"), "2") is None
    first, second = (baseline_serves_alert(version("baseline", "base"), trained) for trained in (None, "1"))
    assert first is not None
    assert second is not None
    assert first.summary == "base, a method without training, forecasts as version 2: no model was trained yet"
    assert second.summary.endswith("version 2: model version 1 was refused")
    assert first.key != second.key


def test_monitoring_says_what_it_did(
    instance: dg.DagsterInstance, store: ForecastStore, alerts: Alerts, lake: ParquetLake, tmp_path: Path
) -> None:
    models = {"tracking_uri": f"sqlite:///{tmp_path / 'mlflow.db'}", "artifact_uri": str(tmp_path), "model_name": "m"}

    def tick(url: str) -> str:
        context = dg.build_sensor_context(instance=instance, definitions=defs)
        told = monitoring_alerts(
            context,
            lake=lake,
            registry=ModelRegistry(**models),
            ledger=PromotionLedger(store_url=url, **models),
            alerts=alerts,
            clock=Clock(fixed_at="2012-07-02T06:00:00+00:00"),
        )
        return str(told.skip_message)

    assert tick(store.address).endswith("0 sensors and schedules: nothing to alert on")
    report(lake, "severe")
    assert tick(store.address).endswith("1 new alerts: severe_drift")
    assert tick(store.address).endswith("0 new alerts, 1 sent before: severe_drift")
    assert tick("sqlite:///nowhere/store.db").endswith("1 new alerts: store_unreachable")


@pytest.mark.parametrize(
    ("moment", "week"),
    [
        ("2012-06-29T23:59:59+00:00", "2012-06-22"),
        ("2012-06-30T00:00:00+00:00", "2012-06-29"),
        ("2012-07-06T12:00:00+00:00", "2012-06-29"),
        ("2012-06-30T01:00:00+02:00", "2012-06-22"),
    ],
)
def test_a_week_has_ended_when_its_friday_is_over(moment: str, week: str) -> None:
    assert f"{newest_ended(datetime.fromisoformat(moment), 4):%Y-%m-%d}" == week


def test_a_week_that_ends_on_a_sunday_has_ended_when_its_sunday_is_over() -> None:
    ends = [newest_ended(datetime.fromisoformat(f"2012-07-0{day}T06:00:00+00:00"), 6) for day in (1, 2)]
    assert [f"{week:%Y-%m-%d}" for week in ends] == ["2012-06-24", "2012-07-01"]


def test_a_run_that_fails_from_the_command_line_is_told(workspace: tuple[Path, Path]) -> None:
    home, zone = workspace
    # What stands where the forecast is written cannot be replaced by a file.
    forecast = max((home / "lake" / "weekly_forecast").glob("*.parquet"))
    forecast.unlink()
    (forecast / "in the way").mkdir(parents=True)
    ended = demand(home, "run", "--raw-dir", str(zone))
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "alert: run of forecast for" in ended.stdout
    log = (home / "logs" / "alerts.log").read_text()
    assert "critical alert run_failed" in log
    assert "failed at weekly_forecast" in log
    kinds = {record.alert.kind for record in Alerts(store_url=f"sqlite:///{home / 'store.db'}").newest()}
    assert kinds == {"run_failed"}
