"""What the images promise, as far as it shows without a Docker daemon."""

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository.docker_files import COMMANDS, DOCKER, ROOT, final_stage, instructions, of

IMAGES = ("pipeline", "api", "mlflow")
# Beside the installed package `docker`, the folder cannot be one.
_SPEC = importlib.util.spec_from_file_location("healthcheck", DOCKER / "healthcheck.py")
assert _SPEC is not None
assert _SPEC.loader is not None
healthcheck = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(healthcheck)
ACCOUNT = "10001:10001"


def locked(name: str) -> dict[str, str]:
    """Version of each package of a lock, less their markers."""
    text = (ROOT / name).read_text()
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)", text, re.MULTILINE))


def hashes(name: str) -> dict[str, frozenset[str]]:
    entries = re.split(r"^(?=[a-z0-9])", (ROOT / name).read_text(), flags=re.MULTILINE)
    return {entry.split("==")[0]: frozenset(re.findall(r"--hash=(\S+)", entry)) for entry in entries if entry.strip()}


def sources(image: str) -> list[str]:
    copies = [arguments.split() for arguments in of(instructions(image), "COPY") if "--from=" not in arguments]
    return [source for words in copies for source in words[:-1]]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path out of the build: the last rule that matches it or a folder of it decides."""
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        rule = line.removeprefix("!")
        pattern = re.escape(rule).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if re.fullmatch(f"{pattern}(/.*)?", path):
            out = not line.startswith("!")
    return out


@pytest.mark.parametrize("image", IMAGES)
def test_hadolint_has_nothing_to_say(image: str) -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert hadolint is not None, "it is among the development dependencies: make setup"
    ended = subprocess.run([hadolint, str(DOCKER / f"{image}.Dockerfile")], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.returncode) == ("", 0)


@pytest.mark.parametrize("image", IMAGES)
def test_a_base_image_is_pinned_by_digest(image: str) -> None:
    parts = instructions(image)
    defaults = dict(argument.split("=", 1) for argument in of(parts, "ARG") if "=" in argument)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", defaults["PYTHON_DIGEST"])
    assert {arguments.split(" AS ")[0] for arguments in of(parts, "FROM")} == {"${PYTHON_IMAGE}@${PYTHON_DIGEST}"}


def test_all_images_stand_on_one_base() -> None:
    assert len({tuple(of(instructions(image), "ARG")[:2]) for image in IMAGES}) == 1


@pytest.mark.parametrize("image", IMAGES)
def test_the_final_layer_runs_as_nobody_and_says_how_it_is(image: str) -> None:
    final = final_stage(image)
    assert of(final, "USER") == [ACCOUNT]
    assert of(final, "STOPSIGNAL") == ["SIGTERM"]
    assert of(final, "VOLUME") == ['["/tmp"]']
    [health] = of(final, "HEALTHCHECK")
    assert json.loads(health.partition("CMD ")[2])[0] == "python"
    labels = " ".join(of(final, "LABEL"))
    assert 'image.version="${VERSION}"' in labels
    assert 'image.revision="${REVISION}"' in labels


@pytest.mark.parametrize("image", IMAGES)
def test_the_final_layer_has_no_build_tools(image: str) -> None:
    run = " ".join(of(final_stage(image), "RUN"))
    assert not re.search(r"apt-get|apk|pip|uv |gcc|make|curl|wget", run)
    assert [copy for copy in of(final_stage(image), "COPY") if "--from=build" in copy] == [
        "--from=build /opt/venv /opt/venv"
    ]


@pytest.mark.parametrize("image", IMAGES)
def test_no_image_carries_the_tests_of_libraries(image: str) -> None:
    (install,) = [step for step in of(instructions(image), "RUN") if f"-r requirements-{image}.lock" in step]
    assert "find /opt/venv/lib -type d -name tests -prune -exec rm -r {} +" in install


def test_every_pull_request_builds_and_tries_the_images() -> None:
    assert 'make images IMAGES="$IMAGE"' in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


@pytest.mark.parametrize("image", IMAGES)
def test_dependencies_come_from_a_hashed_lock_alone(image: str) -> None:
    steps = of(instructions(image), "RUN")
    installs = [install for step in steps for install in re.findall(r"pip install (.*?)(?=&&|$)", step)]
    assert installs
    for install in installs:
        assert "--no-deps" in install
        assert "--require-hashes" in install or install.strip().endswith("/wheels/*.whl")


@pytest.mark.parametrize("image", IMAGES)
def test_what_is_copied_is_there_and_not_ignored(image: str) -> None:
    assert sources(image)
    for source in sources(image):
        assert (ROOT / source).exists(), source
        assert not ignored(source), source


def test_only_what_the_images_need_is_sent_to_the_build() -> None:
    out = (".git/config", ".demand/workspace/store.db", ".venv/bin/python", "tests/conftest.py", "docker/.env")
    out += (".env", "terraform/main.tf", "docker/certs/rds.key", "api/__pycache__/app.cpython-312.pyc")
    inside = ("api/static/index.html", "demand_assets/store/tables.py", "docker/certs/README.md")
    assert {path: ignored(path) for path in (*out, *inside)} == {
        **dict.fromkeys(out, True),
        **dict.fromkeys(inside, False),
    }


@pytest.mark.parametrize("image", [*IMAGES, "build", "deploy"])
def test_a_lock_of_an_image_is_part_of_the_one_lock(image: str) -> None:
    name = f"docker/requirements-{image}.lock"
    whole, part = locked("requirements.lock"), locked(name)
    assert part
    assert part.items() <= whole.items()
    whole_hashes, part_hashes = hashes("requirements.lock"), hashes(name)
    assert all(part_hashes[package] == whole_hashes[package] for package in part_hashes)
    assert "://" not in (ROOT / name).read_text()


def test_the_service_carries_no_pipeline() -> None:
    assert not set(locked("docker/requirements-api.lock")) & {"dagster", "mlflow", "xgboost", "pandas", "boto3"}


def test_no_image_carries_a_gpu_library_or_a_test_tool() -> None:
    for image in IMAGES:
        packages = set(locked(f"docker/requirements-{image}.lock"))
        assert not packages & {"nvidia-nccl-cu12", "pytest", "moto", "hatchling", "playwright", "uv"}


def scripts_of(packages: set[str]) -> set[str]:
    """Console scripts that these packages install, as far as they are installed here."""
    found = {"python", "sh"}
    for package in packages:
        try:
            entries = importlib.metadata.distribution(package).entry_points
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform
        found |= {entry.name for entry in entries if entry.group == "console_scripts"}
    return found


@pytest.mark.parametrize("service", COMMANDS)
def test_a_command_is_in_the_image_that_runs_it(service: str) -> None:
    image = service if service in ("api", "mlflow") else "pipeline"
    own = {"demand"} if image == "pipeline" else set()
    scripts = scripts_of(set(locked(f"docker/requirements-{image}.lock"))) | own
    words = COMMANDS[service].removeprefix("sh -c ").split(" && ")
    assert {command.split()[0] for command in words} <= scripts


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_starts_its_part_by_default(image: str) -> None:
    [command] = of(final_stage(image), "CMD")
    assert " ".join(json.loads(command)) == COMMANDS["code" if image == "pipeline" else image]


@pytest.mark.parametrize(
    ("command", "role"),
    [(COMMANDS[name], name) for name in ("code", "webserver", "daemon")]
    + [("python -m dagster api execute_run {}", ""), (COMMANDS["migrate"], "")],
)
def test_the_health_check_knows_a_part_by_its_command(command: str, role: str) -> None:
    assert healthcheck.role_of(command.replace(" ", "\0")) == role


def test_the_health_check_finds_a_webserver_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healthcheck, "WEBSERVER_PORT", 1)
    assert not healthcheck.is_healthy("webserver")
    assert healthcheck.is_healthy("")
