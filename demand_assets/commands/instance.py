"""The Dagster instance of a workspace."""

import os
import shutil
from pathlib import Path

from demand_assets.settings import Settings

_PACKAGE = Path(__file__).parents[1]


def prepare_dagster_home(settings: Settings) -> Path:
    """DAGSTER_HOME with this project's dagster.yaml in it; one that the user has set is left as it is."""
    given = os.environ.get("DAGSTER_HOME")
    if given:
        return Path(given)
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    # Beside the package in a checkout, inside it when installed from a wheel.
    source = next(path for path in (_PACKAGE.parent / "dagster.yaml", _PACKAGE / "dagster.yaml") if path.exists())
    target = home / "dagster.yaml"
    if not target.exists() or target.read_bytes() != source.read_bytes():
        temporary = home / f".dagster.yaml.{os.getpid()}"
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    return home


def child_environment(settings: Settings) -> dict[str, str]:
    """Environment of a process that shall work on the same workspace."""
    return {
        **os.environ,
        **settings.environment(),
        "DAGSTER_HOME": str(prepare_dagster_home(settings)),
        # A run over many weeks records as many materialisations, which PostgreSQL then writes together.
        "DAGSTER_EVENT_BATCH_SIZE": "1000",
        # One event says which weeks a run plans to make of an asset, not one a week: SQLite waits for the disk at each.
        "DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
