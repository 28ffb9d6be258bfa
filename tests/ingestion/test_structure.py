"""What the checks on one frame say, word for word, and what they are given where a frame does not fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from demand_assets.errors import SchemaError
from demand_assets.ingestion import structure
from demand_assets.ingestion.formats import SALES as SALES_FORMAT
from demand_assets.ingestion.formats import STORES as STORES_FORMAT
from demand_assets.ingestion.outcome import CheckOutcome, CheckSpec, count, first_of, raise_on_failure
from demand_assets.ingestion.quality import CHECKS, check_conditions, check_sales, check_stores, validate_deliveries
from tests.ingestion.test_merge import sales
from tests.ingestion.test_quality import (
    CONDITIONS,
    FRIDAYS,
    HEADER,
    NONE,
    SALES,
    STORES,
    STORES_CSV,
    changed,
    deliver,
    sales_of,
)

SPEC = CheckSpec("the_check", "its rule", "warn")
W1, W2, W3 = FRIDAYS[:3]
NO_DATE = pd.NaT
COLUMNS = "store_id, dept_id, week, sales, is_holiday"


def said(outcome: CheckOutcome) -> tuple[bool, str, dict[str, object]]:
    return outcome.passed, outcome.description, dict(outcome.metrics)


def shown(outcome: CheckOutcome) -> list[list[object]]:
    """Store and department of the rows shown."""
    return outcome.failing_rows[["store_id", "dept_id"]].to_numpy().tolist()


def test_every_structural_check_says_what_it_looked_at() -> None:
    conditions = ", ".join(CONDITIONS.columns)
    assert [said(outcome) for outcome in check_sales(SALES, NONE, CONDITIONS, STORES)[:5]] == [
        (True, f"240 rows of {COLUMNS}, typed and within range", {"rows": 240, "columns": 5}),
        (True, "240 rows, one per week, store and dept", {"rows": 240, "rows_sharing_a_key": 0, "keys": 240}),
        (True, "240 rows, all on Fridays", {"rows": 240, "rows_not_on_a_friday": 0, "weeks": 20}),
        (
            True,
            "2 stores, all among the 2 known",
            {"rows": 240, "rows_of_unknown_stores": 0, "known_stores": 2},
        ),
        (True, "240 rows, 911,500", {"rows": 240, "rows_missing": 0, "rows_infinite": 0}),
    ]
    assert [said(outcome) for outcome in check_conditions(CONDITIONS, STORES)] == [
        (True, f"40 rows of {conditions}, typed and within range", {"rows": 40, "columns": 12}),
        (True, "40 rows, one per week and store", {"rows": 40, "rows_sharing_a_key": 0, "keys": 40}),
        (True, "40 rows, all on Fridays", {"rows": 40, "rows_not_on_a_friday": 0, "weeks": 20}),
        (True, "2 stores, all among the 2 known", {"rows": 40, "rows_of_unknown_stores": 0, "known_stores": 2}),
        (
            True,
            "20 weeks, 1 of them holidays in every row",
            {"rows": 40, "rows_that_differ": 0, "holiday_weeks": 1},
        ),
    ]
    assert [said(outcome) for outcome in check_stores(STORES)] == [
        (True, "2 rows of store_id, store_type, size_sqft, typed and within range", {"rows": 2, "columns": 3}),
        (True, "2 rows, one per store", {"rows": 2, "rows_sharing_a_key": 0, "keys": 2}),
    ]
    for outcomes in (check_conditions(CONDITIONS, STORES), check_stores(STORES)):
        assert {outcome.severity for outcome in outcomes} == {"error"}


@pytest.mark.parametrize(
    ("frame", "why", "has", "rows"),
    [
        (SALES[["week", "dept_id"]], "lacks store_id, sales, is_holiday", "week, dept_id", 240),
        (
            pd.concat([SALES, SALES[["week", "dept_id"]]], axis=1),
            "has a column twice: week, dept_id",
            f"{COLUMNS}, week, dept_id",
            240,
        ),
        (SALES[:0], "has no rows", COLUMNS, 0),
    ],
    ids=["lacks columns", "columns twice", "no rows"],
)
def test_a_frame_that_cannot_be_judged_says_why(frame: pd.DataFrame, why: str, has: str, rows: int) -> None:
    first, *others = check_sales(frame, SALES, CONDITIONS, STORES)
    assert (first.name, first.severity) == ("sales_columns_and_types_are_right", "error")
    metrics = {"rows": rows, "columns": len(frame.columns)}
    assert said(first) == (False, f"sales {why}; has {has}; expected {COLUMNS}", metrics)
    assert [(one.name, one.severity, *said(one)) for one in others] == [
        (spec.name, spec.severity, False, f"not judged: sales {why}", {}) for spec in CHECKS["sales"][1:]
    ]


def test_all_frames_that_keep_a_check_from_judging_are_named_at_once() -> None:
    past, told, stores = SALES.drop(columns="sales"), CONDITIONS[["week"]], STORES[["size_sqft"]]
    first, *others = check_sales(SALES, past, told, stores)
    assert first.passed
    assert {one.description for one in others} == {
        "not judged: history given: sales lacks sales; "
        "conditions given: conditions lacks store_id, is_holiday; stores given: stores lacks store_id"
    }
    first, *others = check_conditions(CONDITIONS, stores)
    assert first.passed
    assert [(one.name, one.description) for one in others] == [
        (spec.name, "not judged: stores given: stores lacks store_id") for spec in CHECKS["conditions"][1:]
    ]
    for outcomes, kind in ((check_conditions(told, STORES), "conditions"), (check_stores(stores), "stores")):
        assert [one.name for one in outcomes] == [spec.name for spec in CHECKS[kind]]
        assert {one.description.split(" lacks ")[0] for one in outcomes[1:]} == {f"not judged: {kind}"}


def test_all_faults_of_a_schema_are_told_with_the_number_of_their_rows() -> None:
    bad = CONDITIONS.set_axis(range(5, 45))
    bad.loc[8:32, "cpi"] = -1.0
    bad.loc[8, "unemployment_pct"] = 250.0
    outcome = check_conditions(bad, STORES)[0]
    assert said(outcome) == (
        False,
        "cpi is outside 0 to 10,000 in 25 rows, first -1.0; unemployment_pct is outside 0 to 100 in 1 row, first 250.0",
        {"rows": 40, "columns": 12, "faults": 2, "failing_rows": 25},
    )
    assert (outcome.name, outcome.severity) == ("conditions_columns_and_types_are_right", "error")
    # Row 8 has both faults and is shown once; the first rows are shown, in their order.
    pd.testing.assert_frame_equal(outcome.failing_rows, bad.loc[8:27].reset_index(drop=True))
    typed = check_sales(SALES.assign(promo=1, more=2).astype({"store_id": "int64"}), NONE, CONDITIONS, STORES)[0]
    assert said(typed) == (
        False,
        "unknown column promo; unknown column more; store_id has type int64, expected int32",
        {"rows": 240, "columns": 7, "faults": 3, "failing_rows": 0},
    )
    undated = check_sales(changed(SALES, 3, week=NO_DATE), NONE, CONDITIONS, STORES)[0]
    assert undated.description == "week is missing in 1 row"
    assert shown(undated) == [[1, 4]]
    stores = STORES.assign(store_type=["A", "x" * 41], size_sqft=[0, 1])
    assert check_stores(stores)[0].description == (
        f"store_type is outside 1 to 40 characters in 1 row, first {'x' * 41}; size_sqft is below 1 in 1 row, first 0"
    )


@pytest.mark.parametrize(
    ("column", "low", "high"),
    [
        ("temperature_f", -100, 150),
        ("fuel_price", 0, 100),
        *((f"markdown{i}", -1e8, 1e8) for i in range(1, 6)),
        ("cpi", 0, 10_000),
        ("unemployment_pct", 0, 100),
    ],
)
def test_the_ends_of_a_range_belong_to_it(column: str, low: float, high: float) -> None:
    ends = changed(changed(CONDITIONS, 0, **{column: low}), 1, **{column: high})
    assert check_conditions(ends, STORES)[0].passed
    for outside in (np.nextafter(low, -np.inf), np.nextafter(high, np.inf)):
        assert not check_conditions(changed(CONDITIONS, 0, **{column: outside}), STORES)[0].passed


def test_what_does_not_fit_is_replaced_and_rows_are_put_in_order() -> None:
    given = pd.DataFrame(
        {
            "is_holiday": [1, 0, None, "yes"],
            "store_id": ["2", 2**31 - 1, 2**31, None],
            "dept_id": ["7", "x", -(2**31), 3],
            "week": ["2012-01-06", "2012-01-13T00:00:00+02:00", "soon", None],
            "sales": ["1.5", "much", None, 4],
            "more": 1,
        },
        index=[7, 8, 9, 9],
    )
    expected = pd.DataFrame(
        {
            "store_id": [-1, -1, 2, 2**31 - 1],
            "dept_id": [-1, 3, 7, -1],
            "week": pd.to_datetime([NO_DATE, NO_DATE, "2012-01-06T00:00", "2012-01-12T22:00"]),
            "sales": [np.nan, 4.0, 1.5, np.nan],
            "is_holiday": [False, False, True, False],
        }
    )
    fitted = structure.coerce_dtypes(given, "sales", SALES_FORMAT.columns)
    pd.testing.assert_frame_equal(fitted, expected)
    # Only what is needed is looked at.
    pd.testing.assert_frame_equal(
        structure.coerce_dtypes(given, "sales", ("week", "store_id")), expected[["week", "store_id"]]
    )
    stores = pd.DataFrame({"store_id": [2, 1], "store_type": ["B", "A"], "size_sqft": ["20", "big"]})
    pd.testing.assert_frame_equal(
        structure.coerce_dtypes(stores, "stores", STORES_FORMAT.columns),
        pd.DataFrame({"store_id": [1, 2], "store_type": ["A", "B"], "size_sqft": [np.nan, 20.0]}),
    )


def test_what_fits_is_kept_as_it_is_with_rows_counted_from_0() -> None:
    assert structure.coerce_dtypes(SALES, "sales", SALES_FORMAT.columns) is SALES
    small = SALES.astype({"store_id": "uint16", "dept_id": "int64", "sales": "float32"})
    assert structure.coerce_dtypes(small, "sales", SALES_FORMAT.columns) is small
    for size in ("uint32", "int64", "float32"):
        stores = STORES.astype({"size_sqft": size})
        assert structure.coerce_dtypes(stores, "stores", STORES_FORMAT.columns) is stores
    for part in (SALES[12:], SALES[::2]):
        fitted = structure.coerce_dtypes(part, "sales", SALES_FORMAT.columns)
        pd.testing.assert_frame_equal(fitted, part.reset_index(drop=True))


def test_rows_that_share_a_key_are_found_wherever_they_are() -> None:
    rows = [(W1, 1, 1, 1.0), (W1, 2, 1, 2.0), (W2, 1, 1, 3.0), (W1, 1, 1, 4.0), (W2, 1, 2, 5.0), (W1, 1, 1, 6.0)]
    for frame in (sales(*rows), sales(*rows).astype({"store_id": "object"})):
        outcome = structure.keys_are_unique(SPEC, "sales", frame)
        assert (outcome.name, outcome.severity) == ("the_check", "warn")
        assert said(outcome) == (
            False,
            "3 rows share their key with another, first 2012-01-06 store 1 dept 1; "
            "expected one row per week, store and dept",
            {"rows": 6, "rows_sharing_a_key": 3, "keys": 4},
        )
        assert outcome.failing_rows["sales"].tolist() == [1.0, 4.0, 6.0]


@pytest.mark.parametrize(
    ("weeks", "said_of", "wrong", "distinct"),
    [
        ([W1, W1, W2], "", 0, 2),
        ([W1 - pd.Timedelta(days=1), W1, W2], "1 row falls on a Thursday, first 2012-01-05 store 1 dept 1", 1, 3),
        ([W1, W2 + pd.Timedelta(days=1)] * 2, "2 rows fall on a Saturday, first 2012-01-14 store 1 dept 2", 2, 2),
        ([NO_DATE, W1], "1 row falls on a day without a date, first no date store 1 dept 1", 1, 1),
        (
            [NO_DATE, W1, W2 - pd.Timedelta(days=1)],
            "2 rows do not fall on a Friday, first no date store 1 dept 1",
            2,
            2,
        ),
    ],
)
def test_days_that_are_no_fridays_are_named(weeks: list[object], said_of: str, wrong: int, distinct: int) -> None:
    frame = sales(*((week, 1, dept, 1.0) for dept, week in enumerate(weeks, 1)))  # type: ignore[misc]
    outcome = structure.weeks_are_fridays(SPEC, frame)
    assert said(outcome) == (
        not wrong,
        f"{said_of}; weeks are Fridays" if wrong else f"{len(weeks)} rows, all on Fridays",
        {"rows": len(weeks), "rows_not_on_a_friday": wrong, "weeks": distinct},
    )
    assert len(outcome.failing_rows) == wrong


@pytest.mark.parametrize(
    ("known", "description"),
    [
        (
            [1],
            "6 rows of 6 unknown stores (2, 3, 4, 5, 6, ...), first 2012-01-06 store 2 dept 1; 1 store known",
        ),
        (
            [1, 4, 9],
            "5 rows of 5 unknown stores (2, 3, 5, 6, 7), first 2012-01-06 store 2 dept 1; 3 stores known",
        ),
        (
            [],
            "7 rows of 7 unknown stores (1, 2, 3, 4, 5, ...), first 2012-01-06 store 1 dept 1; "
            "no stores are known: land a stores.csv first",
        ),
        ([*range(1, 1001)], "7 stores, all among the 1,000 known"),
    ],
)
def test_five_unknown_stores_are_named(known: list[int], description: str) -> None:
    frame = sales(*((W1, store, 1, 1.0) for store in range(1, 8)))
    outcome = structure.stores_are_known(SPEC, frame, np.array(known, dtype="int64"))
    unknown = [store for store in range(1, 8) if store not in known]
    metrics = {"rows": 7, "rows_of_unknown_stores": len(unknown), "known_stores": len(known)}
    assert said(outcome) == (not unknown, description, metrics)
    assert shown(outcome) == [[store, 1] for store in unknown]


def test_missing_and_infinite_amounts_are_counted_apart() -> None:
    frame = sales((W1, 1, 1, 5.0), (W1, 1, 2, np.nan), (W1, 1, 3, np.inf), (W1, 1, 4, -np.inf))
    outcome = structure.sales_are_finite(SPEC, frame)
    assert said(outcome) == (
        False,
        "3 rows without a finite amount (1 missing), first 2012-01-06 store 1 dept 2; expected an amount in every row",
        {"rows": 4, "rows_missing": 1, "rows_infinite": 2},
    )
    assert shown(outcome) == [[1, 2], [1, 3], [1, 4]]


def test_the_flag_of_a_week_is_that_of_more_than_half_its_rows() -> None:
    # Without a date: no flag is right. W1: two of three. W2: one of two is no majority. W3: all.
    weeks = [NO_DATE, NO_DATE, W1, W1, W1, W2, W2, W3]
    frame = sales(*((week, 1, dept, 1.0) for dept, week in enumerate(weeks)))
    frame["is_holiday"] = [True, True, True, False, True, True, False, True]
    outcome = structure.flags_agree_within_weeks(SPEC, frame)
    assert said(outcome) == (
        False,
        "4 rows with another holiday flag than their week's, first no date store 1 dept 0; expected one flag per week",
        {"rows": 8, "rows_that_differ": 4, "holiday_weeks": 3},
    )
    assert shown(outcome) == [[1, 0], [1, 1], [1, 3], [1, 5]]


def test_the_first_wrong_row_is_told_by_what_it_has() -> None:
    wrong = np.array([False, True, True])
    frame = pd.DataFrame({"week": [W1, W2, W3], "store_id": [1.0, 2.0, 3.0], "dept_id": [4, 5, 6]})
    assert first_of(frame, wrong) == "2012-01-13 store 2 dept 5"
    assert first_of(frame[["dept_id"]], wrong) == "dept 5"
    assert first_of(frame.assign(week=NO_DATE), wrong) == "no date store 2 dept 5"
    assert first_of(frame, ~wrong & wrong) == ""
    assert [count(0, "row"), count(1, "row"), count(1_234, "row")] == ["0 rows", "1 row", "1,234 rows"]
    assert [count(1, "delivery", "deliveries"), count(2, "delivery", "deliveries")] == ["1 delivery", "2 deliveries"]


def test_the_first_error_is_raised_with_the_number_of_others() -> None:
    warning = CheckOutcome("w", False, "warn", "odd")
    fine = CheckOutcome("f", True, "error", "fine")
    faults = [CheckOutcome(name, False, "error", f"{name} is bad", file="a.csv" * (name == "x")) for name in "xyz"]
    raise_on_failure([warning, fine])
    for failed, message in (
        (faults[1:2], "y: y is bad"),
        (faults[:2], "a.csv: x is bad (and 1 more check failed)"),
        (faults, "a.csv: x is bad (and 2 more checks failed)"),
    ):
        with pytest.raises(SchemaError) as raised:
            raise_on_failure([warning, fine, *failed])
        assert str(raised.value) == message


def test_each_file_is_judged_by_the_checks_of_its_kind() -> None:
    conditions = "Store,Date,Temperature,Fuel_Price,MarkDown1,MarkDown2,MarkDown3,MarkDown4,MarkDown5,CPI,Unemployment,"
    features = deliver("features.csv", conditions + "IsHoliday\n3,2012-01-06,1,1,NA,NA,NA,NA,NA,1,1,FALSE\n")
    train = deliver("train.csv", HEADER + "1,1,2012-01-06,5,FALSE\n2,1,2012-01-06,5,FALSE\n")
    outcomes = validate_deliveries([train, STORES_CSV, features], pd.DataFrame({"store_id": [2, 3]}))
    assert [(one.file, one.name) for one in outcomes] == [
        *(("train.csv", spec.name) for spec in CHECKS["sales"][:5]),
        *(("stores.csv", spec.name) for spec in CHECKS["stores"]),
        *(("features.csv", spec.name) for spec in CHECKS["conditions"][:4]),
    ]
    assert all(one.passed for one in outcomes)
    # Stores 2 and 3 are stored, store 1 is in a file.
    assert [one.description for one in outcomes if one.name.endswith("stores_are_known")] == [
        "2 stores, all among the 3 known",
        "1 store, all among the 3 known",
    ]
    cut = replace(train, frame=train.frame.drop(columns="is_holiday"))
    first, *others = validate_deliveries([cut], STORES)
    assert (first.file, first.passed) == ("train.csv", False)
    assert [(one.file, one.description) for one in others] == [
        ("train.csv", "not judged: sales lacks is_holiday") for _ in CHECKS["sales"][1:]
    ]


def test_stores_without_a_number_are_not_known() -> None:
    stores = pd.DataFrame({"store_id": ["1", "x", None, np.inf], "store_type": "A", "size_sqft": 1})
    found = check_sales(sales_of(FRIDAYS), NONE, CONDITIONS, stores)[3]
    assert found.description == ("120 rows of 1 unknown store (2), first 2012-01-06 store 2 dept 1; 1 store known")
