"""What the repository promises before any code runs."""

import importlib
import re
import shutil
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster_aws.ecs.container_context import EcsContainerContext

from demand_assets.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=~! ;]", requirement)[0].lower().replace("_", "-")


@pytest.mark.parametrize(
    "lock",
    [
        "requirements.lock",
        "requirements-uv.lock",
        ".github/checkov/requirements.lock",
        "benchmarks/requirements.lock",
        "feature_store/requirements.lock",
        "tests/mutation/requirements.lock",
    ],
)
def test_a_lock_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash)", text, re.MULTILINE)
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    assert all("--hash=sha256:" in entry for entry in entries if entry.strip())


def test_the_lock_covers_every_direct_dependency() -> None:
    lines = "".join((ROOT / lock).read_text() for lock in ("requirements.lock", "feature_store/requirements.lock"))
    locked = {_name(line) for line in lines.splitlines() if re.match(r"[a-z0-9]", line)}
    wanted = [
        *PROJECT["dependencies"],
        *(name for extra in PROJECT["optional-dependencies"].values() for name in extra),
    ]
    assert {_name(name) for name in wanted} - {"demand-assets"} <= locked


def test_the_api_installs_without_the_pipeline() -> None:
    light = {_name(name) for name in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["api"]]}
    assert not light & {"dagster", "mlflow", "xgboost", "pandas", "dagster-mlflow"}


def test_dagster_and_its_libraries_are_one_release() -> None:
    pinned = {
        _name(name): name.split("==")[1]
        for name in PROJECT["optional-dependencies"]["pipeline"]
        if name.startswith("dagster")
    }
    core, minor = pinned["dagster"].split("."), pinned["dagster-aws"].split(".")
    assert pinned["dagster-webserver"] == pinned["dagster"]
    assert f"dagster-dg-cli=={pinned['dagster']}" in PROJECT["optional-dependencies"]["dev"]
    assert minor == ["0", str(int(core[1]) + 16), core[2]]
    assert {pinned[name] for name in pinned if name not in ("dagster", "dagster-webserver")} == {".".join(minor)}


def test_both_workspace_files_name_the_same_code() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"][0]["python_module"]
    cloud = yaml.safe_load((ROOT / "dagster_cloud.yaml").read_text())["locations"][0]
    assert workspace["module_name"] == cloud["code_source"]["module_name"] == "demand_assets.definitions"
    assert workspace["location_name"] == cloud["location_name"]


def test_the_file_of_dagster_plus_has_its_form() -> None:
    """Keys of dagster-cloud-cli 1.13's models, which refuse others; the part of ECS by the schema that Dagster has."""
    cloud = yaml.safe_load((ROOT / "dagster_cloud.yaml").read_text())
    (location,) = cloud["locations"]
    assert set(cloud) <= {"defaults", "locations"}
    assert set(location) <= {
        "location_name", "code_source", "build", "working_directory", "image", "executable_path", "attribute",
        "container_context", "agent_queue",
    }  # fmt: skip
    assert set(location["code_source"]) == {"module_name"}
    assert set(location["build"]) == {"directory", "registry"}
    context = EcsContainerContext.create_from_config(location["container_context"])
    assert context.run_resources == {"cpu": "2048", "memory": "8192"}
    names = {variable.partition("=")[0] for variable in context.env_vars}
    assert names <= {PREFIX + field.upper() for field in Settings.model_fields}
    importlib.import_module(location["code_source"]["module_name"])


def test_the_instance_file_loads_and_sends_no_telemetry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.run_monitoring_enabled


def test_every_make_target_is_described() -> None:
    text = (ROOT / "Makefile").read_text()
    named = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert named is not None
    assert set(named.group(1).split()) == set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))


def test_private_modules_of_dagster_are_named_in_one_file_alone() -> None:
    private = "dagster" + "._"
    sources = [path for ending in ("*.py", "*.yaml", "*.toml", "Makefile") for path in ROOT.glob(ending)]
    for folder in ("demand_assets", "api", "demand_client", "benchmarks", "feature_store", "docker", "tests"):
        sources += [path for ending in ("*.py", "*.yaml", "*.toml") for path in (ROOT / folder).rglob(ending)]
    named = {str(path.relative_to(ROOT)) for path in sources if private in path.read_text()}
    assert named == {"demand_assets/adapters/dagster_internals.py"}


def test_no_page_or_source_names_a_registry_or_this_machine() -> None:
    names = ("pypi" + ".org", "python" + "hosted", "/" + "root/", "/" + "work/", "/opt/" + "pypi")
    folders = ("demand_assets", "api", "demand_client", "tests", "benchmarks", "feature_store")
    sources = [path for pattern in ("*.md", "*.toml", "*.yaml", "Makefile", "docs/*.md") for path in ROOT.glob(pattern)]
    sources += [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    texts = {str(path): path.read_text() for path in sources}
    assert [path for path, text in texts.items() if any(name in text for name in names)] == []
