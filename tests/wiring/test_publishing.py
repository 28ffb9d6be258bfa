"""What is published together belongs together, and what a killed run left out is found."""

from pathlib import Path

import pandas as pd
import pytest

from demand_assets.adapters.landing import LandingZone
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.assets.forecasting import require_attributions_of
from demand_assets.assets.rows import members_of
from demand_assets.errors import ModelError
from demand_assets.ingestion.ahead import weeks_ahead
from demand_assets.planning import unpublished_weeks
from demand_assets.store.dataset import Member


def test_reasons_of_another_model_version_are_refused() -> None:
    forecast, reasons = pd.DataFrame({"model_version": ["7", "7"]}), pd.DataFrame({"model_version": ["7"]})
    require_attributions_of(forecast, reasons)
    with pytest.raises(ModelError, match=r"of model version 7, its attributions are of version 8: another model"):
        require_attributions_of(forecast, pd.DataFrame({"model_version": ["8"]}))
    with pytest.raises(ModelError, match="attributions are of version unknown"):
        require_attributions_of(forecast, pd.DataFrame({"store": [1.0]}))


def test_conditions_that_did_not_reach_the_store_are_due(workspace: tuple[Path, Path]) -> None:
    home, zone = workspace
    lake, deliveries = ParquetLake(uri=str(home / "lake")), LandingZone(str(zone)).read_all()
    assert unpublished_weeks(lake, deliveries) == []
    weeks = lake.partitions("published_conditions")
    (home / "lake" / "published_conditions" / f"{weeks[3]}.parquet").unlink()
    assert unpublished_weeks(lake, deliveries) == [weeks[3]]
    # Other weeks ahead than those that were published with the newest week.
    assert weeks_ahead(deliveries, weeks[-1]).conditions is not None
    assert unpublished_weeks(lake, []) == [weeks[3], weeks[-1]]


def test_drivers_that_did_not_reach_the_store_are_due_with_the_newest_week(workspace: tuple[Path, Path]) -> None:
    home, zone = workspace
    lake, deliveries = ParquetLake(uri=str(home / "lake")), LandingZone(str(zone)).read_all()
    newest = lake.partitions("raw_sales")[-1]
    (home / "lake" / "published_drivers.parquet").unlink()
    assert unpublished_weeks(lake, deliveries) == [newest]


def test_a_member_has_a_name_only_where_one_was_brought() -> None:
    frame = pd.DataFrame({"store_id": [1, 2], "id": ["1", "ZRH"], "name": ["1", "Lakeside"], "size": [5.0, None]})
    assert members_of(frame) == [Member("1", None, {"size": 5.0}), Member("ZRH", "Lakeside", None)]
