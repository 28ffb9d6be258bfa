"""The deployment `aws` from landed CSVs to an answered forecast, and under faults. Run by `make stack-test`."""

import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, text

from demand_assets.adapters.fargate import TASK_SIZES
from demand_assets.sample import generate, write_csvs
from demand_assets.store.engine import parse_url
from demand_assets.store.tables import forecasts
from tests.stack.stack import BUCKET, CLUSTER, NAMESPACE, RUN_TASK, SMALL, Stack
from tests.stack.tasks import BIN

pytestmark = [
    pytest.mark.skipif("STACK_TEST" not in os.environ, reason="takes minutes: make stack-test"),
    # A wait ends when nothing gets further; on a busy machine all of them take long.
    pytest.mark.timeout(3600),
]


@pytest.fixture
def stack(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    if shutil.which("terraform") is None:
        pytest.fail("Terraform is not installed: it renders what each part of the stack is given")
    made = Stack(tmp_path, getattr(request, "param", 60))
    try:
        made.up()
        yield made
    finally:
        made.down()


@pytest.fixture
def deliveries(tmp_path: Path) -> dict[str, bytes]:
    """Files of a small retailer: the history as three, and the sales of one week more.

    It has a few weeks more than a model needs to be judged at three origins: each week costs a run seconds here.
    """
    folder = tmp_path / "csvs"
    write_csvs(generate(stores=3, departments=6, weeks=76, seed=11), folder)
    head, *lines = (folder / "train.csv").read_text().splitlines(keepends=True)
    last = max(line.split(",")[2] for line in lines)
    sales = {
        "train.csv": [line for line in lines if line.split(",")[2] != last],
        f"sales-{last}.csv": [line for line in lines if line.split(",")[2] == last],
    }
    others = {name: (folder / name).read_bytes() for name in ("features.csv", "stores.csv")}
    return others | {name: "".join([head, *rows]).encode() for name, rows in sales.items()}


def land(stack: Stack, files: dict[str, bytes]) -> None:
    for name, body in files.items():
        stack.client("s3").put_object(Bucket=BUCKET, Key=f"raw/{name}", Body=body)


def rows(stack: Stack, query: str) -> list[Any]:
    engine = create_engine(parse_url(stack.database))
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def keys(stack: Stack, prefix: str) -> list[str]:
    listed = stack.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [each["Key"] for each in listed.get("Contents", [])]


def alerts(stack: Stack) -> list[str]:
    """Subjects of what the topic has sent since last asked."""
    got = stack.client("sqs").receive_message(QueueUrl=stack.queue, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"])["Subject"] for message in got]


CREATE_KEY = ("demand", "keys", "create", "smoke", "--scope", "read", "--secret", "demand/dev/key-smoke")
VINTAGES = """
SELECT v.origin_week, v.vintage_id, v.model_version, count(*)
FROM forecast_vintages v JOIN forecasts f USING (vintage_id) WHERE v.kind = 'forecast' GROUP BY 1, 2, 3 ORDER BY 1
"""


FORECASTS = """
SELECT store_id, dept_id, target_week, horizon, forecast, p10, p50, p90, order_quantity
FROM forecasts JOIN stores USING (store_key) JOIN departments USING (dept_key) ORDER BY 1, 2, 3, 4
"""


def made_locally(files: dict[str, bytes], folder: Path) -> list[Any]:
    """Rows of FORECASTS of `demand run` on this machine, in a folder of its own."""
    zone = folder / "zone"
    zone.mkdir(parents=True)
    for name, body in files.items():
        (zone / name).write_bytes(body)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEMAND_", "DAGSTER_"))}
    home = {"DEMAND_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    # The stack goes first: it waits more than it works, and this has until it is compared.
    command = ["nice", str(BIN / "demand"), "run", "--raw-dir", str(zone)]
    subprocess.run(command, env=kept | SMALL | home, cwd=folder, capture_output=True, check=True)
    engine = create_engine(f"sqlite:///{folder / 'home' / 'store.db'}")
    typed = text(FORECASTS).columns(target_week=forecasts.c.target_week.type)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(typed)]
    engine.dispose()
    return found


def test_landed_csvs_become_a_forecast_that_the_api_answers(
    stack: Stack, deliveries: dict[str, bytes], tmp_path: Path
) -> None:
    *history, later = sorted(deliveries, key=lambda name: name.startswith("sales-"))
    with ThreadPoolExecutor(1) as side:
        locally = side.submit(made_locally, {name: deliveries[name] for name in history}, tmp_path / "local")
        _from_files_to_forecasts(stack, deliveries, history, later, locally)


def _from_files_to_forecasts(
    stack: Stack, deliveries: dict[str, bytes], history: list[str], later: str, locally: Future[list[Any]]
) -> None:
    # As docs/deploy.md and the workflow have it: a tiny run, and a key that goes into its secret.
    with ThreadPoolExecutor(1) as side:
        created = side.submit(stack.run_once, "migrate", *CREATE_KEY)
        stack.run_once("migrate", "demand", "smoke")
        created.result()
    assert "Job executor" not in (stack.folder / "mlflow.log").read_text()  # eight processes that nobody needs
    land(stack, {name: deliveries[name] for name in history})
    for sensor, job in (
        ("landing_zone_sensor", "ingest"),
        ("stale_features_sensor", "build_features"),
        ("retraining_sensor", "train_and_forecast"),
    ):
        stack.dagster.turn_on(sensor)
        run = stack.await_run(job, seconds=200)

    # The launcher asked ECS for a task of the right kind, with what tells whose it is.
    ecs, arn = stack.client("ecs"), run["tags"]["ecs/task_arn"]

    def ended() -> Any:
        (found,) = ecs.describe_tasks(cluster=CLUSTER, tasks=[arn], include=["TAGS"])["tasks"]
        return found if found["lastStatus"] == "STOPPED" else None

    task = stack.wait_for("the task to end", ended, 30)
    assert task["taskDefinitionArn"].rsplit("/", 1)[1].startswith(f"{RUN_TASK}:")
    definition = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
    assert definition["taskRoleArn"].endswith("role/demand-dev-run-task")
    assert definition["executionRoleArn"].endswith("role/demand-dev-run-execution")
    (override,) = task["overrides"]["containerOverrides"]
    assert (task["launchType"], override["name"]) == ("FARGATE", "run")
    assert override["command"][:3] == ["dagster", "api", "execute_run"]
    assert len(json.dumps(task["overrides"])) < 8192  # ECS refuses more
    cpu, memory = TASK_SIZES["train_and_forecast"]
    assert (override["cpu"], override["memory"]) == (cpu, memory)
    assert (task["overrides"]["cpu"], task["overrides"]["memory"]) == (str(cpu), str(memory))
    assert {tag["key"]: tag["value"] for tag in task["tags"]}["dagster/run_id"] == run["runId"]
    assert task["containers"][0]["exitCode"] == 0

    # One vintage, in PostgreSQL and on S3, by a model that the MLflow server has.
    ((_, vintage, version, count),) = rows(stack, VINTAGES)
    (file,) = keys(stack, "forecasts/published_forecast/")
    assert file.endswith(f"/{vintage}.parquet")
    body = stack.client("s3").get_object(Bucket=BUCKET, Key=file)["Body"].read()
    assert pq.read_table(io.BytesIO(body)).num_rows == count
    alias = httpx.get(
        f"http://127.0.0.1:{stack.port('mlflow')}/api/2.0/mlflow/registered-models/alias",
        params={"name": "demand_forecaster", "alias": "production"},
    ).json()
    assert alias["model_version"]["version"] == version
    for prefix in ("models/", "processed/demand_features/", "reports/drift_report_html/", "logs/"):
        assert keys(stack, prefix), prefix

    # The same as the deployment `local` makes of the same files, to the byte.
    assert rows(stack, FORECASTS) == locally.result()

    # A week later: landed, then taken from there to a forecast by the schedule alone, without training.
    stack.dagster.turn_off("stale_features_sensor", "retraining_sensor")
    land(stack, {later: deliveries[later]})
    stack.dagster.turn_on_schedule("weekly_schedule")
    stack.await_run("weekly", "STARTED", 200)
    stack.dagster.turn_off_schedule("weekly_schedule")
    stack.await_run("weekly", seconds=200)
    asked_for = [run["jobName"] for run in stack.dagster.runs()]
    assert [asked_for.count(job) for job in ("ingest", "build_features", "train_and_forecast")] == [2, 1, 1]
    (first, second) = rows(stack, VINTAGES)
    assert (first[1], second[0].isoformat(), second[2]) == (vintage, later[6:16], version)
    answer = stack.wait_for("the API to serve the new vintage", lambda: _newest(stack, second[1]), 30)
    item = answer["items"][0]
    asked = {name: item[name] for name in ("store_id", "dept_id", "week")}
    assert stack.api("/forecast", **asked).json()["forecast"] == item["forecast"]
    assert rows(stack, "SELECT count(*) FROM forecast_accuracy WHERE level = 'chain'")[0][0] > 0

    # What is measured, and an alert: a file whose amounts are impossible is refused.
    cloudwatch = stack.client("cloudwatch")
    names = {each["MetricName"] for each in cloudwatch.list_metrics(Namespace=NAMESPACE)["Metrics"]}
    assert {"ForecastAgeHours", "ForecastRows"} <= names
    head, *lines = deliveries[later].decode().splitlines(keepends=True)
    cells = [line.split(",") for line in lines]
    wrong = [",".join([*row[:3], f"{float(row[3]) * 1e9:.2f}", row[4]]) for row in cells]
    land(stack, {later: "".join([head, *wrong]).encode()})
    stack.wait_for("an alert of it", lambda: any("every_file_is_read" in subject for subject in alerts(stack)))

    # The hourly watch finds the weeks since then missing; and no part asked AWS for more than its policies allow.
    assert "forecast_missing" in stack.run_once("watch", code=1)
    stack.wait_for("its alert", lambda: any("forecast_missing" in subject for subject in alerts(stack)))
    assert stack.refused() == []


def _newest(stack: Stack, vintage: str) -> Any:
    answer = stack.api("/v1/forecasts", limit=1).json()
    return answer if answer["vintage"]["vintage_id"] == vintage else None


@pytest.mark.parametrize("stack", [5], indirect=True, ids=["monitoring each 5 s"])
def test_a_week_is_published_once_whatever_fails_on_the_way(stack: Stack, deliveries: dict[str, bytes]) -> None:
    """Every fifth S3 call fails; killed are the daemon and a run's worker in mid-write, PostgreSQL in mid-publish."""
    land(stack, {name: body for name, body in deliveries.items() if not name.startswith("sales-")})
    stack.faults(s3="0.2")
    stack.dagster.turn_on("landing_zone_sensor")
    stack.await_run("ingest", seconds=400)
    stack.stop("daemon", signal.SIGKILL)
    stack.start_part("daemon")

    # Three weeks of features are on S3 and the next are on their way when the worker is killed.
    stack.faults(hold="processed/demand_features/")
    stack.dagster.turn_on("stale_features_sensor")
    killed = stack.await_run("build_features", "STARTED", 200)
    stack.wait_for("a write to be under way", lambda: stack.faults()["held"], 120)
    stack.kill_worker(killed["runId"])
    stack.faults(hold="")
    assert 0 < len(whole_files(stack, "processed/demand_features/")) <= 3
    stack.wait_for("run monitoring to notice", lambda: _run(stack, killed["runId"])["status"] == "FAILURE", 60)
    again = stack.wait_for("the run to be launched again and to succeed", lambda: _succeeded(stack, "build_features"))
    assert again["tags"]["dagster/parent_run_id"] == killed["runId"]
    assert len(whole_files(stack, "processed/demand_features/")) > 3

    # The lock lets a vintage and its forecasts in, and its attributions wait in the same transaction. The vintages of
    # past weeks have attributions too, so it comes after them.
    stack.dagster.turn_on("retraining_sensor")
    training = stack.await_run("train_and_forecast", "STARTED", 200)["runId"]
    stack.wait_for("past weeks", lambda: "past_forecasts" in _steps(stack, training, "ExecutionStepSuccessEvent"), 300)
    with closing(psycopg.connect(stack.database)) as other:
        other.execute("LOCK TABLE forecast_attributions IN SHARE MODE")
        stack.wait_for("publishing to be under way", lambda: rows(stack, WAITING), 300)
        stack.stop_postgres()
    time.sleep(5)
    stack.postgres.ensure_postgres_running()
    stack.wait_for("the webserver to answer again", lambda: _answers(stack), 60)
    published = stack.wait_for("the week to be published", lambda: _succeeded(stack, "train_and_forecast"), 250)
    assert not [run for run in stack.dagster.runs() if run["status"] != "SUCCESS" and run["runId"] != killed["runId"]]
    again = stack.wait_for("its events", lambda: _steps(stack, published["runId"], "ExecutionStepUpForRetryEvent"), 60)
    assert again == ["published_forecast"]
    assert stack.faults(s3="0")["made"] > 100
    ((_, vintage, _, count),) = rows(stack, VINTAGES)
    explained = dict(rows(stack, "SELECT vintage_id, count(*) FROM forecast_attributions GROUP BY 1"))
    assert explained[vintage] == count
    assert whole_files(stack, "forecasts/published_forecast/") == {
        f"forecasts/published_forecast/{vintage[:10]}/{vintage}.parquet": count
    }
    assert len(whole_files(stack, "processed/")) > 400


WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = 'demand' AND wait_event_type = 'Lock'"


def whole_files(stack: Stack, prefix: str) -> dict[str, int]:
    """Rows of each Parquet file under a prefix; each is read whole."""
    s3 = stack.client("s3")
    bodies = {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys(stack, prefix)}
    return {key: pq.read_table(io.BytesIO(body)).num_rows for key, body in bodies.items()}


def _answers(stack: Stack) -> bool:
    """Whether Dagster's webserver has connections; those from before an outage fail when they are next used."""
    try:
        stack.dagster.runs()
    except AssertionError:
        return False
    return True


def _run(stack: Stack, run_id: str) -> Any:
    return next(run for run in stack.dagster.runs() if run["runId"] == run_id)


def _succeeded(stack: Stack, job: str) -> Any:
    return next((run for run in stack.dagster.runs() if run["jobName"] == job and run["status"] == "SUCCESS"), None)


def _steps(stack: Stack, run_id: str, kind: str) -> list[str]:
    """Steps of a run that have an event of this kind: that they succeeded, or are to be tried again."""
    # None for a connection from before an outage, which fails when it is next used.
    events = stack.dagster.graphql(_EVENTS, run=run_id)["logsForRun"].get("events", ())
    return [event["stepKey"] for event in events if event["__typename"] == kind]


_EVENTS = """
query($run: ID!) { logsForRun(runId: $run, limit: 5000) { ... on EventConnection { events {
  __typename ... on MessageEvent { stepKey } } } } }
"""
