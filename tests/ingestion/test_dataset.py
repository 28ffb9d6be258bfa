"""The facts of a data set, in its spec, its table and its weeks."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from demand_assets.ingestion.dataset import TEXTS, Dataset
from demand_assets.ingestion.dataspec import Closed, DataSpec, read_spec

SPEC = """
[data]
unit = "EUR"
week_ends = "sunday"
closed = [2020-03-22, { week = 2020-04-05, stores = ["ZRH-01"] }]
[series]
store_label = "Shop"
[sales]
missing = "zero"
[holidays]
country = "DE"
subdivision = "BY"
[[accept]]
week = 2020-03-29
check = "no_week_is_missing"
reason = "a strike"
"""
FACTS = Dataset.of(read_spec(SPEC), "m5")


def test_the_facts_are_those_of_the_spec() -> None:
    assert (FACTS.unit, FACTS.week_ends, FACTS.missing, FACTS.form) == ("EUR", 6, "zero", "m5")
    assert (FACTS.store_label, FACTS.dept_label) == ("Shop", "Department")
    assert FACTS.closed == (
        Closed(week=date(2020, 3, 22)),
        Closed(week=date(2020, 4, 5), stores=("ZRH-01",)),
    )
    with pytest.raises(ValueError, match="which weekday ends a week"):
        Dataset.of(DataSpec(), "")


def test_the_facts_come_back_from_their_table_as_they_were() -> None:
    frame = FACTS.frame()
    assert list(frame) == list(TEXTS)
    assert len(frame) == 1
    assert Dataset.read(frame) == FACTS


def test_closed_weeks_are_those_of_the_stores_named_or_of_all_that_are_known() -> None:
    expected = pd.DataFrame(
        {
            "week": pd.to_datetime(["2020-03-22", "2020-03-22", "2020-04-05"]).astype("datetime64[ns]"),
            "store_id": np.array([1, 2, 1], np.int32),
        }
    )
    pd.testing.assert_frame_equal(FACTS.closed_weeks({"ZRH-01": 1, "BRN-02": 2}), expected)
    assert FACTS.closed_weeks({"BRN-02": 2})["store_id"].tolist() == [2]
    assert FACTS.closed_weeks({}).dtypes.astype(str).tolist() == ["datetime64[ns]", "int32"]


def test_weeks_of_public_holidays_are_flagged() -> None:
    weeks = pd.DatetimeIndex(["2020-12-13", "2020-12-27"])
    assert FACTS.calendar()(weeks).tolist() == [False, True]
    assert FACTS.calendar()(weeks[:0]).tolist() == []
    without = Dataset.of(read_spec('[data]\nweek_ends = "sunday"'), "")
    assert without.calendar()(weeks).tolist() == [False, False]
