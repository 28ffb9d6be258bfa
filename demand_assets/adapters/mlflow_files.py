"""Artefacts of an MLflow database in a workspace: MLflow keeps their full paths, which change when it is moved."""

import sqlite3
from contextlib import closing
from pathlib import Path

# Tables and columns of MLflow's database (pinned in pyproject.toml) with addresses of artefacts.
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)


def follow_artifacts(database: Path, artifacts: Path, experiment: str) -> None:
    """Let a database name the folder its artefacts are in now, when it was moved, restored or copied with them.

    All addresses in one transaction; none unless `artifacts` has the files of every registered version.
    """
    if not database.exists():
        return
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
            return
        query = "SELECT artifact_location FROM experiments WHERE name = ?"
        (before,) = connection.execute(query, (experiment,)).fetchone() or (None,)
        now = str(artifacts)
        if before in (None, now):
            return
        runs = connection.execute("SELECT run_id FROM model_versions WHERE current_stage != 'Deleted_Internal'")
        if not all((artifacts / run_id).is_dir() for (run_id,) in runs):
            return
        with connection:
            for table, column in _ADDRESSES:
                # Names are those above, never a caller's.
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, length(?) + 1)"  # noqa: S608
                    f" WHERE {column} = ? OR substr({column}, 1, length(?) + 1) = ? || '/'",
                    (now, before, before, before, before),
                )
