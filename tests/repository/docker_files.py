"""The folder of the images, what their Dockerfiles say, and the command of each part."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMMANDS = {
    "code": "dagster code-server start -h 0.0.0.0 -p 4000 -m demand_assets.definitions",
    "webserver": "dagster-webserver -h 0.0.0.0 -p 3000 -w /opt/dagster/workspace.yaml",
    "daemon": "dagster-daemon run -w /opt/dagster/workspace.yaml",
    "api": "python -m api",
    "mlflow": "mlflow server --host 0.0.0.0 --port 5000 --workers 1 --serve-artifacts",
    "migrate": "sh -c demand migrate && dagster instance migrate",
    "database": "demand bootstrap-database",
    "dask-scheduler": "python -m demand_assets.adapters.cluster_services scheduler",
    "dask-worker": (
        "python -m distributed.cli.dask_worker tcp://dask-scheduler:8786 "
        "--nthreads 1 --memory-limit 0.9 --no-dashboard --death-timeout 300"
    ),
}


def instructions(image: str) -> list[tuple[str, str]]:
    """Keyword and arguments of each instruction, comments gone and lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (DOCKER / f"{image}.Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split(None, 1)[0], " ".join(line.split(None, 1)[1].split())) for line in lines]


def final_stage(image: str) -> list[tuple[str, str]]:
    """Its instructions, from the last FROM on."""
    parts = instructions(image)
    return parts[max(index for index, (word, _) in enumerate(parts) if word == "FROM") :]


def of(parts: list[tuple[str, str]], word: str) -> list[str]:
    """Arguments of each instruction with that keyword."""
    return [arguments for keyword, arguments in parts if keyword == word]


def image_environment(image: str) -> dict[str, str]:
    """Variables that the final image sets."""
    pairs = [word.partition("=") for line in of(final_stage(image), "ENV") for word in shlex.split(line)]
    return {name: value for name, _, value in pairs}
