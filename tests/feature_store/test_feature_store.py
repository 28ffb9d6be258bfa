"""The lake through Feast: `make feast-test` installs it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.partitions import week_key
from tests.wiring.pages import blocks

feast = pytest.importorskip("feast", reason="feast is not installed; `make feast-test` does it")
# Of its own libraries.
pytestmark = pytest.mark.filterwarnings("ignore")

DEFINITIONS = Path(__file__).parents[2] / "feature_store"
PYTHON = [block.text for block in blocks() if block.page == "feature-store.md" and block.language == "python"]
KEYS = ["store_id", "dept_id", "horizon"]


@pytest.fixture(scope="module")
def origins(features: pd.DataFrame) -> pd.DataFrame:
    """demand_features of the last three origins."""
    return features[features["origin_week"].isin(sorted(features["origin_week"].unique())[-3:])]


@pytest.fixture(scope="module")
def store(origins: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store of Feast's after `feast apply`, over a lake with these origins."""
    folder = tmp_path_factory.mktemp("feast")
    repository = folder / "feature_store"
    lake = ParquetLake(uri=str(folder / "lake"))
    for origin, rows in origins.groupby("origin_week"):
        lake.write("demand_features", week_key(pd.Timestamp(str(origin))), rows)
    shutil.copytree(DEFINITIONS, repository, ignore=shutil.ignore_patterns("data", "__pycache__"))
    applied = subprocess.run(
        [Path(sys.executable).with_name("feast"), "-c", str(repository), "apply"],
        env={**os.environ, "DEMAND_LAKE_URI": lake.uri}, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert applied.returncode == 0, applied.stderr
    return feast.FeatureStore(repo_path=str(repository))


def names(store: Any) -> list[str]:
    return [f"demand_features:{field.name}" for field in store.get_feature_view("demand_features").features]


def as_in_lake(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in order, the weeks as the lake's frames have them."""
    weeks = {name: pd.to_datetime(rows[name]).dt.as_unit("ns") for name in ("origin_week", "target_week")}
    return rows.assign(**weeks).sort_values(["origin_week", *KEYS], ignore_index=True)


def test_past_origins_have_every_column_of_demand_features(store: Any, origins: pd.DataFrame) -> None:
    asked = origins[[*KEYS, "origin_week"]].rename(columns={"origin_week": "event_timestamp"})
    given = store.get_historical_features(entity_df=asked, features=names(store)).to_df()
    found = given.assign(origin_week=given["event_timestamp"].dt.tz_localize(None))[[*origins.columns]]
    pd.testing.assert_frame_equal(as_in_lake(found), as_in_lake(origins), check_dtype=False, check_exact=True)


def test_a_week_without_an_origin_has_no_features(store: Any, origins: pd.DataFrame) -> None:
    later = origins.tail(1)[[*KEYS]].assign(event_timestamp=origins["origin_week"].max() + pd.Timedelta(weeks=1))
    given = store.get_historical_features(entity_df=later, features=["demand_features:base"]).to_df()
    assert given["base"].isna().tolist() == [True]


def test_online_is_the_newest_origin(store: Any, origins: pd.DataFrame) -> None:
    newest = origins["origin_week"].max().tz_localize("UTC")
    store.materialize(newest - pd.Timedelta(weeks=2), newest + pd.Timedelta(hours=1))
    expected = origins[origins["origin_week"] == origins["origin_week"].max()].tail(3)
    asked = expected[KEYS].to_dict("records")
    given = store.get_online_features(features=names(store), entity_rows=asked).to_df()
    columns = [name for name in origins.columns if name not in ("origin_week", "target_week")]
    pd.testing.assert_frame_equal(
        given[columns], expected[columns].reset_index(drop=True), check_dtype=False, check_exact=True
    )


def test_the_python_of_the_page_gives_the_rows_of_the_lake(
    store: Any, origins: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = origins["origin_week"].max()
    first = origins[origins["origin_week"] == newest].iloc[0]
    store.materialize(newest.tz_localize("UTC") - pd.Timedelta(days=1), newest.tz_localize("UTC"))
    monkeypatch.chdir(store.repo_path.parent)
    found: dict[str, Any] = {}
    for text in PYTHON:
        here = re.sub(r'"(\w+)": (\[?)1\b', lambda key: f'"{key[1]}": {key[2]}{first[key[1]]}', text)
        exec(compile(here.replace("2012-06-29", week_key(newest)), "feature-store.md", "exec"), found)
    for name in ("lag_0", "base"):
        assert found["rows"][name].tolist() == found["row"][name] == [first[name]]
