"""The registered model for those who have MLflow and no pipeline: it returns what was published, to the digit."""

import json
import os
import signal
import subprocess
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import httpx
import pandas as pd
import pytest
from packaging.requirements import Requirement

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.resources import build_resources
from demand_assets.settings import read_settings
from tests.conftest import made_once
from tests.waiting import GUARD_S, answers, until
from tests.wiring.test_dev_servers import free_ports

RETURNED = ["forecast", "p10", "p50", "p90"]
PREDICT = """
import sys
import mlflow.pyfunc
import pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
model.predict(pd.read_parquet(sys.argv[2])).to_parquet(sys.argv[3])
print(sys.modules["demand_assets"].__file__)
"""


def installed_with(requirements: list[str]) -> dict[str, str]:
    """Version by name of each distribution that pip installs for them; those left out of the locks are not here."""
    waiting, found = [Requirement(line) for line in requirements], {}
    while waiting:
        asked = waiting.pop()
        try:
            own = distribution(asked.name)
        except PackageNotFoundError:
            continue
        if asked.name in found:
            continue
        found[asked.name] = own.version
        needs = [Requirement(line) for line in own.requires or ()]
        extras = {"", *asked.extras}
        waiting += [one for one in needs if not one.marker or any(one.marker.evaluate({"extra": x}) for x in extras)]
    return found


@pytest.fixture(scope="session")
def model(finished: tuple[Path, dict[str, object]]) -> Path:
    """The folder of the version in production."""
    registry = build_resources(read_settings(home=finished[0]))["registry"]
    version = registry.with_alias("production")
    return Path(registry._client().get_run(version.run_id).info.artifact_uri) / "model"


@pytest.fixture(scope="session")
def bare(model: Path, shared_folder: Path) -> Path:
    """The programs of an environment with the requirements of the registered model, and with nothing else."""
    folder = shared_folder / "bare"

    def make() -> None:
        venv.create(folder, with_pip=False)
        (packages,) = folder.glob("lib/*/site-packages")
        for name in installed_with((model / "requirements.txt").read_text().split()):
            own = distribution(name)
            for top in {file.parts[0] for file in own.files or () if file.parts[0] not in ("..", "__pycache__")}:
                if not (packages / top).exists():
                    (packages / top).symlink_to(Path(str(own.locate_file(top))))
            for program in own.entry_points.select(group="console_scripts", name=name):
                code = f"#!{folder}/bin/python\nfrom {program.module} import {program.attr} as run\nrun()\n"
                (folder / "bin" / name).write_text(code)
                (folder / "bin" / name).chmod(0o755)

    made_once(shared_folder / "bare.made", make)
    return folder / "bin"


@pytest.fixture(scope="session")
def vintage(finished: tuple[Path, dict[str, object]]) -> pd.DataFrame:
    home, summary = finished
    rows = ParquetLake(uri=str(home / "lake")).read(
        "published_forecast", [f"{summary['origin_week']}/{summary['vintage']}"]
    )
    assert rows is not None
    return rows


@pytest.fixture(scope="session")
def features(finished: tuple[Path, dict[str, object]]) -> Path:
    """The file of demand_features that the vintage was made from."""
    return finished[0] / "lake" / "demand_features" / f"{finished[1]['origin_week']}.parquet"


def outside(bare: Path) -> dict[str, str]:
    """An environment that tells nothing of this repository."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DEMAND_"))}
    return {**own, "PATH": f"{bare}:{os.environ['PATH']}"}


def test_mlflow_alone_forecasts_what_was_published(
    model: Path, bare: Path, features: Path, vintage: pd.DataFrame, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [bare / "python", "-c", PREDICT, str(model), str(features), str(tmp_path / "out.parquet")],
        cwd=tmp_path, env=outside(bare), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert Path(ended.stdout.strip()).is_relative_to(model)
    made = pd.read_parquet(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(made[RETURNED], vintage[RETURNED], check_exact=True)


def test_a_served_model_answers_with_what_was_published(
    finished: tuple[Path, dict[str, object]], bare: Path, features: Path, vintage: pd.DataFrame, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    serve = [bare / "mlflow", "models", "serve", "-m", "models:/demand_forecaster@production", "--env-manager", "local"]
    environment = {**outside(bare), "MLFLOW_TRACKING_URI": f"sqlite:///{finished[0] / 'mlflow.db'}"}
    rows = pd.read_parquet(features).to_json(orient="split", date_format="iso", double_precision=15)
    with open(tmp_path / "log", "wb") as log, subprocess.Popen(
        [*serve, "--port", str(port)], cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True
    ) as server:  # fmt: skip
        until(lambda: answers(f"http://127.0.0.1:{port}/ping"), server, pause_s=0.2)
        asked = {"dataframe_split": json.loads(rows)}
        answer = httpx.post(f"http://127.0.0.1:{port}/invocations", json=asked, timeout=GUARD_S)
        os.killpg(server.pid, signal.SIGTERM)
    assert answer.status_code == 200, answer.text
    made = pd.DataFrame(answer.json()["predictions"])
    pd.testing.assert_frame_equal(made[RETURNED], vintage[RETURNED], check_exact=True)


def test_the_registry_says_what_a_version_is_learnt_from_worth_and_for(
    finished: tuple[Path, dict[str, object]],
) -> None:
    home, summary = finished
    registry = build_resources(read_settings(home=home))["registry"]
    version, client = registry.with_alias("production"), registry._client()
    held = client.get_model_version(registry.model_name, version.version)
    assert held.tags["stage"] == "Production"
    card = held.description
    assert f"# Weekly demand, {version.method}, as of {version.as_of}" in card
    assert "in USD, 1 to" in card
    assert f"| raw_sales | {summary['weeks']} weeks, " in card
    assert f"| {version.method} | {summary['wmae'][version.method]:,.0f} | " in card
    assert card.partition("## Gate\n\n")[2].splitlines()[0].endswith(": promoted.")
    run = client.get_run(version.run_id)
    assert [(one.dataset.name, one.tags[0].value) for one in run.inputs.dataset_inputs] == [
        ("raw_sales", "training"),
        ("demand_features", "training"),
    ]
    experiment = client.get_experiment(run.info.experiment_id)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
