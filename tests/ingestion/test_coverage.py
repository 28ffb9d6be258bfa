"""What sales say of covariates."""

from __future__ import annotations

import numpy as np
import pandas as pd

from demand_assets.ingestion.coverage import landed_flags, with_facts, with_selling_stores, with_values

W1, W2 = pd.to_datetime(["2012-10-19", "2012-10-26"])


def covariates(*rows: tuple[pd.Timestamp, int, float, bool]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["week", "store_id", "price", "is_holiday"])
    return frame.astype({"week": "datetime64[ns]", "store_id": "int32", "price": "float64", "is_holiday": bool})


def sold(*rows: tuple[pd.Timestamp, int, int, bool]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["week", "store_id", "dept_id", "is_holiday"])
    return frame.astype({"week": "datetime64[ns]", "store_id": "int32", "dept_id": "int32"})


def test_a_store_that_sells_has_a_row_with_its_flag_in_each_week_asked_for() -> None:
    sales = sold((W1, 1, 1, True), (W1, 1, 2, True), (W1, 2, 1, True), (W2, 1, 1, False))
    given = covariates((W1, 1, 2.5, False))
    expected = covariates((W1, 1, 2.5, False), (W1, 2, np.nan, True))
    pd.testing.assert_frame_equal(with_selling_stores(given, [sales], pd.DatetimeIndex([W1])), expected)


def test_the_newest_sales_give_the_flag() -> None:
    frames = [sold((W1, 1, 1, False)), sold((W1, 1, 1, True))]
    found = with_selling_stores(covariates(), frames, pd.DatetimeIndex([W1]))
    pd.testing.assert_frame_equal(found, covariates((W1, 1, np.nan, True)))


def test_covariates_of_every_selling_store_are_left_as_they_are() -> None:
    given = covariates((W1, 1, 2.5, False))
    weeks = pd.DatetimeIndex([W1, W2])
    assert with_selling_stores(given, [sold((W1, 1, 1, True))], weeks) is given
    assert with_selling_stores(given, [sold((W2, 2, 1, True))], weeks[:1]) is given
    assert with_selling_stores(given, [], weeks) is given


def test_a_week_is_what_most_of_its_stores_say() -> None:
    frame = sold((W1, 1, 1, True), (W1, 1, 2, True), (W1, 1, 3, True), (W1, 2, 1, False), (W1, 3, 1, False))
    ahead = covariates((W2, 1, 2.5, True), (W2, 2, 2.5, True), (W2, 3, 2.5, False))
    assert landed_flags([frame, ahead]).to_numpy().tolist() == [[W1, False], [W2, True]]
    assert landed_flags([]).columns.tolist() == ["week", "is_holiday"]


def test_a_later_file_with_one_wrong_store_flips_no_week() -> None:
    whole = covariates((W1, 1, 2.5, False), (W1, 2, 2.5, False), (W1, 3, 2.5, False))
    late = covariates((W1, 1, 2.5, True))
    assert landed_flags([whole, late])["is_holiday"].tolist() == [False]
    corrected = covariates((W1, 1, 2.5, True), (W1, 2, 2.5, True))
    assert landed_flags([whole, corrected])["is_holiday"].tolist() == [True]


def test_where_stores_have_holidays_of_their_own_any_row_makes_the_week_one() -> None:
    flags = landed_flags([sold((W1, 1, 1, False), (W1, 2, 1, True), (W2, 1, 1, False))], by_store=True)
    assert flags.to_numpy().tolist() == [[W1, True], [W2, False]]


def test_rows_of_flags_alone_are_no_covariates() -> None:
    given = covariates((W1, 1, 2.5, False), (W1, 2, np.nan, True))
    assert with_values(given)["store_id"].tolist() == [1]
    assert with_values(given.drop(columns="price")).empty


def test_stores_known_by_their_ids_alone_have_no_facts() -> None:
    stores = pd.DataFrame({"store_id": [1, 2], "id": ["a", "b"], "name": ["a", "b"], "size": [7.0, np.nan]})
    assert with_facts(stores)["id"].tolist() == ["a"]
    assert with_facts(stores.drop(columns="size")).empty
