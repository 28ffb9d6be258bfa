"""Quantiles and histograms of a week by hand, and of missing and infinite values."""

import numpy as np
import pandas as pd
import pytest

from demand_assets.contract.distributions import HISTOGRAMS, QUANTILES
from demand_assets.monitoring.distributions import EDGES, histograms, quantiles

WEEK = pd.Timestamp("2012-10-26")


def test_a_variable_has_its_quantiles_and_what_is_missing() -> None:
    found = quantiles(WEEK, pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0, np.nan], "b": [np.nan] * 5}))
    assert list(found) == list(QUANTILES.names)
    a = found.iloc[0]
    assert (a["week"], a["sample"], a["points"], a["missing"], a["mean"]) == (WEEK, "week", 4, 1, 1.5)
    assert (a["q000"], a["q025"], a["q050"], a["q100"]) == (0.0, 0.75, 1.5, 3.0)
    assert a["deviation"] == pytest.approx(np.sqrt(1.25))
    assert found.iloc[1][["points", "missing"]].tolist() == [0, 5]
    assert found.iloc[1][["mean", "q050"]].isna().all()


def test_each_value_is_in_one_bin_of_its_variable() -> None:
    values = pd.DataFrame(
        {"a": [0.0, 0.0005, 1.0, 1.1, np.nan, np.inf], "b": [-5.1, -5.2, 2e9, np.nan, np.nan, np.nan]}
    )
    found = histograms(WEEK, values)
    assert list(found) == list(HISTOGRAMS.names)
    assert found[["variable", "points"]].to_numpy().tolist() == [["a", 2], ["a", 2], ["a", 1], ["b", 2], ["b", 1]]
    around_zero, near_one, last = found.iloc[:3].itertuples()
    assert (around_zero.low, around_zero.high) == (-0.001, 0.001)
    assert near_one.low == 1.0
    assert (last.bin, np.isnan(last.high)) == (len(EDGES) - 2, True)


def test_the_bins_hold_every_row_that_has_a_value() -> None:
    values = pd.DataFrame(np.random.default_rng(1).normal(0, 1000, (500, 4)), columns=list("abcd"))
    values.iloc[:20, 1] = np.nan
    found = histograms(WEEK, values)
    assert found.groupby("variable")["points"].sum().to_dict() == values.count().to_dict()
    counts = np.histogram(values["c"], EDGES[1:-1])[0]
    assert found.loc[found["variable"] == "c", "points"].tolist() == counts[counts > 0].tolist()
