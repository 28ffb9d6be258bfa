"""A workspace that was moved, with a name that addresses could misread, runs on."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.wiring.conftest import demand, run
from tests.wiring.test_main_job import files_of, rows_of


def test_a_workspace_moved_to_a_folder_with_an_odd_name_runs_on_and_reproduces(
    workspace: tuple[Path, Path], finished: tuple[Path, dict[str, object]]
) -> None:
    home, zone = workspace
    moved = home.parent / "a #b %20 c" / "d\u00e9p\u00f4t"
    moved.parent.mkdir()
    shutil.move(home, moved)
    summary = run(moved, zone)
    assert (summary["vintage"], summary["model_version"], summary["fit_seconds"]) == (
        finished[1]["vintage"], finished[1]["model_version"], 0,
    )  # fmt: skip
    assert (rows_of(moved), files_of(moved)) == (rows_of(finished[0]), files_of(finished[0]))
    ended = demand(moved, "reproduce", "--origin", str(summary["origin_week"]), "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["vintage_id"] == summary["vintage"]
    with closing(sqlite3.connect(moved / "mlflow.db")) as connection:
        addresses = connection.execute(
            "select artifact_location from experiments where name = 'demand' union all"
            " select artifact_uri from runs union all select source from model_versions"
        ).fetchall()
    assert all(address.startswith(f"{moved.as_uri()}/mlflow-artifacts") for (address,) in addresses)
