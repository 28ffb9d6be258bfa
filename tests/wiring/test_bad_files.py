"""Bad files through the command line: each is one line and changes nothing, and good files beside them land."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from demand_assets.adapters.arrow_frames import read_frame
from demand_assets.cli import main
from demand_assets.sample import SampleData
from tests.wiring.bad_files import BAD_FILES, BadFile
from tests.wiring.conftest import copy_workspace, demand, environment_of
from tests.wiring.workspaces import deliver_week_after, files_of, rows_of


@pytest.fixture(scope="module")
def landed(finished: tuple[Path, dict[str, object]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with data, of which each file must leave all as it is."""
    home = tmp_path_factory.mktemp("landed") / "home"
    copy_workspace(finished[0], home)
    return home


@pytest.fixture
def in_workspace(landed: Path) -> Iterator[Path]:
    """The same for commands in this process: what they set in it is set back."""
    environment, log = dict(os.environ), logging.getLogger("demand.alerts")
    handlers, propagate = log.handlers[:], log.propagate
    os.environ.clear()
    os.environ.update(environment_of(landed))
    yield landed
    os.environ.clear()
    os.environ.update(environment)
    for handler in set(log.handlers) - set(handlers):
        handler.close()
    log.handlers, log.propagate = handlers, propagate


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_a_bad_file_is_one_clear_line_and_changes_nothing(bad: BadFile, in_workspace: Path, tmp_path: Path) -> None:
    (tmp_path / bad.name).write_bytes(bad.data)
    before, files = rows_of(in_workspace), files_of(in_workspace)
    ended = CliRunner().invoke(main, ["run", "--raw-dir", str(tmp_path)])
    (line,) = ended.stderr.splitlines()
    assert ended.exit_code == 1
    assert bad.name in line
    assert bad.says in line
    assert (rows_of(in_workspace), files_of(in_workspace)) == (before, files)


def test_good_files_beside_all_bad_ones_land(workspace: tuple[Path, Path], retailer: SampleData) -> None:
    home, zone = workspace
    deliver_week_after(zone, retailer)
    refused = [bad for bad in BAD_FILES if not bad.asks]
    for bad in refused:
        (zone / bad.name).write_bytes(bad.data)
    ended = demand(home, "run", "--raw-dir", str(zone))
    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert [bad.name for bad in refused if bad.name not in line or bad.says not in line] == []
    following = retailer.sales["week"].max() + pd.Timedelta(weeks=1)
    assert read_frame(home / "lake" / "raw_sales")["week"].max() == following
    assert (home / "lake" / "published_forecast" / f"{following:%Y-%m-%d}").exists()
