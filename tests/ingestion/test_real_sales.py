"""The real files, where DEMAND_REAL_DATA names the folder that holds them: sales to 2012-06-29."""

from __future__ import annotations

import os
from datetime import date

import pandas as pd
import pytest

from demand_assets.adapters.landing import LandingZone
from demand_assets.ingestion.context import Context
from demand_assets.ingestion.delivery import KEYS
from demand_assets.ingestion.merge import merge_week_partitions
from demand_assets.ingestion.outcome import raise_on_failure
from demand_assets.ingestion.quality import check_covariates, check_members, check_sales, validate_deliveries

JUDGING = Context(today=date(2012, 7, 1))
FOLDER = os.environ.get("DEMAND_REAL_DATA", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="set DEMAND_REAL_DATA to the folder with the real train.csv")


def test_no_real_row_is_lost_and_every_check_passes() -> None:
    deliveries = LandingZone(FOLDER).read_all()
    raise_on_failure(validate_deliveries(deliveries, None, JUDGING))
    by_kind = {delivery.kind: delivery for delivery in deliveries}
    covariates, stores = by_kind["covariates"].frame, by_kind["stores"].frame
    sales = by_kind["sales"]
    empty = sales.frame.iloc[:0]
    merged = merge_week_partitions(empty, {}, [sales], KEYS["sales"], weeks=sales.weeks)
    assert len(merged.frame) == 371_242
    assert sum(one.rows_added for landings in merged.landings.values() for one in landings) == 371_242
    assert int((merged.frame["sales"] < 0).sum()) == 1_137
    assert len(merged.changed_weeks) == 126
    outcomes = check_sales(merged.frame, pd.DataFrame(), covariates, stores, JUDGING)
    raise_on_failure(
        [*outcomes, *check_covariates(covariates, stores, JUDGING), *check_members("stores", stores, JUDGING)]
    )
    assert [outcome.name for outcome in outcomes if not outcome.passed] == ["negative_sales_are_returns"]
