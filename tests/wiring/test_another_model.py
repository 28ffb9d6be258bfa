"""Another model, written in one file and registered as an entry point, goes through the whole main job."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from demand_assets.forecasting.models import model_named, models
from demand_assets.resources import build_resources
from demand_assets.settings import read_settings
from tests.ridge import Ridge
from tests.wiring.conftest import SETTINGS, started


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip makes of a package that names tests/ridge.py as a model."""
    described = tmp_path / "packages" / "ridge_model-1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: ridge-model\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[demand_assets.models]\nridge = tests.ridge:Ridge\n")
    monkeypatch.setenv("PYTHONPATH", f"{described.parent}:{Path(__file__).parents[2]}")
    monkeypatch.syspath_prepend(str(described.parent))
    models.cache_clear()
    yield
    models.cache_clear()


@pytest.mark.long
@pytest.mark.usefixtures("registered")
def test_a_model_in_one_file_is_judged_promoted_explained_and_published(
    csv_folder: Path, first_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model_named("ridge") is Ridge
    own = {"DEMAND_MODEL": "ridge", "DEMAND_MODEL_SETTINGS": '{"alpha": 50.0, "members": 2, "subsample": 0.5}'}
    monkeypatch.setattr("tests.wiring.conftest.SETTINGS", {**SETTINGS, **own})
    process = started(first_home, csv_folder, "--json")
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    summary = json.loads(printed)
    assert summary["promoted"], summary["promotion_reasons"]
    assert summary["wmae"]["ridge"] < summary["wmae"]["seasonal_naive"]
    assert "xgboost" not in summary["wmae"]

    registry = build_resources(read_settings(home=first_home))["registry"]
    version = registry.newest()
    assert version.model == "ridge"
    assert [type(member) for member in registry.load(version).members] == [Ridge, Ridge]

    with closing(sqlite3.connect(first_home / "store.db")) as connection:
        vintages, forecasts, reasons = (
            pd.read_sql(f"select * from {table}", connection)
            for table in ("forecast_vintages", "forecasts", "forecast_attributions")
        )
    assert set(vintages["method"]) == {"ridge"}
    forecasts = forecasts[forecasts["vintage_id"] == summary["vintage"]]
    keys = ["vintage_id", "store_key", "dept_key", "target_week"]
    both = forecasts.merge(reasons, on=keys, validate="one_to_one")
    assert len(both) == len(forecasts) > 0
    moved = both[[name for name in reasons if name not in keys]].sum(axis=1)
    assert moved.to_numpy() == pytest.approx(both["forecast"].to_numpy(), rel=1e-9, abs=1e-6)
