"""What the checks on one frame say, word for word, and what they are given where a frame does not fit."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from demand_assets.ingestion import structure
from demand_assets.ingestion.catalogue import CHECKS
from demand_assets.ingestion.context import Context
from demand_assets.ingestion.outcome import CheckOutcome, CheckSpec
from demand_assets.ingestion.quality import check_covariates, check_members, check_sales, validate_deliveries
from demand_assets.ingestion.schemas import schema_of
from tests.ingestion.test_merge import sales
from tests.ingestion.test_quality import (
    CONDITIONS,
    FRIDAYS,
    HEADER,
    JUDGING,
    NONE,
    SALES,
    STORES,
    STORES_CSV,
    changed,
    deliver,
)

SPEC = CheckSpec("the_check", "its rule", "warn", answer="do it")
SALES_SCHEMA = schema_of("sales", SALES)
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
    assert [said(outcome) for outcome in check_sales(SALES, NONE, CONDITIONS, STORES, JUDGING)[:7]] == [
        (True, f"240 rows of {COLUMNS}, typed and within range", {"rows": 240, "columns": 5}),
        (True, "240 rows, one per week, store and dept", {"rows": 240, "rows_contradicting": 0, "keys": 240}),
        (True, "240 rows, none twice", {"rows": 240, "rows_repeated": 0}),
        (True, "240 rows, all on Fridays", {"rows": 240, "rows_on_another_day": 0, "weeks": 20}),
        (True, "newest week 2012-05-18", {"rows": 240, "rows_to_come": 0}),
        (
            True,
            "2 stores, all among the 2 known",
            {"rows": 240, "rows_of_unknown_stores": 0, "known_stores": 2},
        ),
        (True, "240 rows, 911,500 EUR", {"rows": 240, "rows_missing": 0, "rows_infinite": 0}),
    ]
    assert [said(outcome) for outcome in check_covariates(CONDITIONS, STORES, JUDGING)] == [
        (True, f"40 rows of {conditions}, typed and within range", {"rows": 40, "columns": 12}),
        (True, "40 rows, one per week and store", {"rows": 40, "rows_contradicting": 0, "keys": 40}),
        (True, "40 rows, none twice", {"rows": 40, "rows_repeated": 0}),
        (True, "40 rows, all on Fridays", {"rows": 40, "rows_on_another_day": 0, "weeks": 20}),
        (True, "newest week 2012-05-18", {"rows": 40, "rows_to_come": 0}),
        (True, "2 stores, all among the 2 known", {"rows": 40, "rows_of_unknown_stores": 0, "known_stores": 2}),
        (
            True,
            "20 weeks, 1 of them holidays in every row",
            {"rows": 40, "rows_that_differ": 0, "holiday_weeks": 1},
        ),
    ]
    assert [said(outcome) for outcome in check_members("stores", STORES, JUDGING)] == [
        (True, "2 rows of store_id, store_type, size_sqft, typed and within range", {"rows": 2, "columns": 3}),
        (True, "2 rows, one per store", {"rows": 2, "rows_contradicting": 0, "keys": 2}),
        (True, "2 rows, none twice", {"rows": 2, "rows_repeated": 0}),
    ]
    departments = pd.DataFrame({"dept_id": np.array([3, 4], dtype="int32")})
    assert said(check_members("departments", departments, JUDGING)[1]) == (
        True,
        "2 rows, one per dept",
        {"rows": 2, "rows_contradicting": 0, "keys": 2},
    )


@pytest.mark.parametrize(
    ("frame", "why", "has", "rows"),
    [
        (SALES[["week", "dept_id"]], "lacks store_id, sales", "week, dept_id", 240),
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
    first, *others = check_sales(frame, SALES, CONDITIONS, STORES, JUDGING)
    assert (first.name, first.severity) == ("sales_columns_and_types_are_right", "error")
    metrics = {"rows": rows, "columns": len(frame.columns)}
    expected = ", ".join(name for name in COLUMNS.split(", ") if name != "is_holiday" or name in frame)
    assert said(first) == (
        False,
        f"sales {why}; has {has}; expected {expected}; correct the file and land it again",
        metrics,
    )
    assert [(one.name, one.severity, *said(one)) for one in others] == [
        (spec.name, spec.severity, False, f"not judged: sales {why}", {}) for spec in CHECKS["sales"][1:]
    ]


def test_all_frames_that_keep_a_check_from_judging_are_named_at_once() -> None:
    past, told, stores = SALES.drop(columns="sales"), CONDITIONS[["week"]], STORES[["size_sqft"]]
    first, *others = check_sales(SALES, past, told, stores, JUDGING)
    assert first.passed
    assert {one.description for one in others} == {
        "not judged: history given: sales lacks sales; "
        "covariates given: covariates lacks store_id; stores given: stores lacks store_id"
    }
    first, *others = check_covariates(CONDITIONS, stores, JUDGING)
    assert first.passed
    assert [(one.name, one.description) for one in others] == [
        (spec.name, "not judged: stores given: stores lacks store_id") for spec in CHECKS["covariates"][1:]
    ]
    judged = (
        (check_covariates(told, STORES, JUDGING), "covariates"),
        (check_members("stores", stores, JUDGING), "stores"),
    )
    for outcomes, kind in judged:
        assert [one.name for one in outcomes] == [spec.name for spec in CHECKS[kind]]  # type: ignore[index]
        assert {one.description.split(" lacks ")[0] for one in outcomes[1:]} == {f"not judged: {kind}"}


def test_all_faults_of_a_schema_are_told_with_the_number_of_their_rows() -> None:
    bad = CONDITIONS.set_axis(range(5, 45))
    bad.loc[8:32, "cpi"] = -1.0
    bad.loc[8, "unemployment_pct"] = 250.0
    outcome = check_covariates(bad, STORES, JUDGING)[0]
    assert said(outcome) == (
        False,
        "cpi is outside 0 to 10,000 in 25 rows, first -1.0; "
        "unemployment_pct is outside 0 to 100 in 1 row, first 250.0; correct the file and land it again",
        {"rows": 40, "columns": 12, "faults": 2, "failing_rows": 25},
    )
    assert (outcome.name, outcome.severity) == ("covariates_columns_and_types_are_right", "error")
    # Row 8 has both faults and is shown once; the first rows are shown, in their order.
    shown_rows = bad.loc[8:27].reset_index(drop=True)
    pd.testing.assert_frame_equal(outcome.failing_rows, shown_rows.astype({"store_id": "str"}))
    typed = check_sales(SALES.assign(promo=1, more=2).astype({"store_id": "int64"}), NONE, CONDITIONS, STORES, JUDGING)[
        0
    ]
    assert said(typed) == (
        False,
        "unknown column promo; unknown column more; store_id has type int64, expected int32; "
        "correct the file and land it again",
        {"rows": 240, "columns": 7, "faults": 3, "failing_rows": 0},
    )
    undated = check_sales(changed(SALES, 3, week=NO_DATE), NONE, CONDITIONS, STORES, JUDGING)[0]
    assert undated.description == "week is missing in 1 row; correct the file and land it again"
    assert shown(undated) == [["1", "4"]]
    stores = STORES.assign(store_type=["A", "x" * 41], size_sqft=[0, 1])
    assert check_members("stores", stores, JUDGING)[0].description == (
        f"store_type is outside 1 to 40 characters in 1 row, first {'x' * 41}; size_sqft is below 1 in 1 row, first 0; "
        "correct the file and land it again"
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
    assert check_covariates(ends, STORES, JUDGING)[0].passed
    for outside in (np.nextafter(low, -np.inf), np.nextafter(high, np.inf)):
        assert not check_covariates(changed(CONDITIONS, 0, **{column: outside}), STORES, JUDGING)[0].passed


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
    fitted = structure.coerce_dtypes(given, SALES_SCHEMA)
    pd.testing.assert_frame_equal(fitted, expected)
    # Only what is needed is looked at.
    pd.testing.assert_frame_equal(
        structure.coerce_dtypes(given, SALES_SCHEMA.only(["week", "store_id"])), expected[["store_id", "week"]]
    )
    stores = pd.DataFrame({"store_id": [2, 1], "store_type": ["B", "A"], "size_sqft": ["20", "big"]})
    pd.testing.assert_frame_equal(
        structure.coerce_dtypes(stores, schema_of("stores", STORES)),
        pd.DataFrame({"store_id": [1, 2], "store_type": ["A", "B"], "size_sqft": [np.nan, 20.0]}),
    )


def test_what_fits_is_kept_as_it_is_with_rows_counted_from_0() -> None:
    assert structure.coerce_dtypes(SALES, SALES_SCHEMA) is SALES
    small = SALES.astype({"store_id": "uint16", "dept_id": "int64", "sales": "float32"})
    assert structure.coerce_dtypes(small, SALES_SCHEMA) is small
    for size in ("uint32", "int64", "float32"):
        stores = STORES.astype({"size_sqft": size})
        assert structure.coerce_dtypes(stores, schema_of("stores", STORES)) is stores
    for part in (SALES[12:], SALES[::2]):
        fitted = structure.coerce_dtypes(part, SALES_SCHEMA)
        pd.testing.assert_frame_equal(fitted, part.reset_index(drop=True))


def keys(frame: pd.DataFrame) -> tuple[CheckOutcome, CheckOutcome]:
    shared, distinct = structure.shared_keys(frame, SALES_SCHEMA.keys)
    return (
        structure.keys_are_unique(SPEC, frame, SALES_SCHEMA, JUDGING, shared, distinct),
        structure.rows_come_once(SPEC, frame, structure.repeats(frame, SALES_SCHEMA, shared), JUDGING),
    )


def test_rows_that_contradict_and_rows_that_repeat_are_told_apart_wherever_they_are() -> None:
    rows = [(W1, 1, 1, 1.0), (W1, 2, 1, 2.0), (W2, 1, 1, 3.0), (W1, 1, 1, 4.0), (W2, 1, 2, 5.0), (W1, 1, 1, 1.0)]
    rows += [(W3, 1, 1, np.nan), (W3, 1, 1, np.nan)]
    for frame in (sales(*rows), sales(*rows).astype({"store_id": "object"})):
        unique, once = keys(frame)
        assert (unique.name, unique.severity) == ("the_check", "warn")
        assert said(unique) == (
            False,
            "3 rows contradict another of the same week, store and dept, first 2012-01-06 store 1 dept 1; do it",
            {"rows": 8, "rows_contradicting": 3, "keys": 5},
        )
        assert unique.failing_rows["sales"].tolist() == [1.0, 4.0, 1.0]
        assert said(once) == (
            False,
            "2 rows repeat another in all values and count once, first 2012-01-06 store 1 dept 1; do it",
            {"rows": 8, "rows_repeated": 2},
        )


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
def test_days_that_end_no_week_are_named(weeks: list[object], said_of: str, wrong: int, distinct: int) -> None:
    frame = sales(*((week, 1, dept, 1.0) for dept, week in enumerate(weeks, 1)))  # type: ignore[misc]
    outcome = structure.weeks_end_on_the_weekday(SPEC, frame, JUDGING)
    assert said(outcome) == (
        not wrong,
        f"{said_of}; weeks end on Friday; do it" if wrong else f"{len(weeks)} rows, all on Fridays",
        {"rows": len(weeks), "rows_on_another_day": wrong, "weeks": distinct},
    )
    assert len(outcome.failing_rows) == wrong


def test_weeks_end_on_the_weekday_of_the_retailer() -> None:
    sundays = Context(today=date(2012, 6, 1), weekday=6)
    frame = sales((W1, 1, 1, 1.0), (W1 + pd.Timedelta(days=2), 1, 1, 1.0))
    assert structure.weeks_end_on_the_weekday(SPEC, frame, sundays).description == (
        "1 row falls on a Friday, first 2012-01-06 store 1 dept 1; weeks end on Sunday; do it"
    )


def test_the_week_that_runs_has_begun_and_the_next_one_has_not() -> None:
    # 2012-01-07 is the Saturday that starts the week of the 13th.
    frame = sales((W1, 1, 1, 1.0), (W2, 1, 1, 1.0))
    assert said(structure.weeks_have_begun(SPEC, frame, Context(today=date(2012, 1, 7)), "sales")) == (
        True,
        "newest week 2012-01-13",
        {"rows": 2, "rows_to_come": 0},
    )
    assert said(structure.weeks_have_begun(SPEC, frame, Context(today=date(2012, 1, 6)), "sales")) == (
        False,
        "1 row of weeks that have yet to begin, first 2012-01-13 store 1 dept 1; today is 2012-01-06; do it",
        {"rows": 2, "rows_to_come": 1},
    )
    assert said(structure.weeks_have_begun(SPEC, sales((NO_DATE, 1, 1, 1.0)), JUDGING, "sales"))[:2] == (
        True,
        "no dates",
    )


def test_covariates_may_be_planned_ten_years_ahead() -> None:
    frame = CONDITIONS.assign(week=pd.Timestamp("2022-06-03"))
    assert structure.weeks_have_begun(SPEC, frame, JUDGING, "covariates").passed
    later = changed(frame, 39, week=pd.Timestamp("2099-01-02"))
    assert structure.weeks_have_begun(SPEC, later, JUDGING, "covariates").description == (
        "1 row of weeks more than 10 years ahead, first 2099-01-02 store 2; today is 2012-06-01; do it"
    )


def test_missing_and_infinite_amounts_are_counted_apart() -> None:
    frame = sales((W1, 1, 1, 5.0), (W1, 1, 2, np.nan), (W1, 1, 3, np.inf), (W1, 1, 4, -np.inf))
    outcome = structure.sales_are_finite(SPEC, frame, JUDGING)
    assert said(outcome) == (
        False,
        "3 rows without a finite amount (1 missing), first 2012-01-06 store 1 dept 2; "
        "expected an amount in every row; do it",
        {"rows": 4, "rows_missing": 1, "rows_infinite": 2},
    )
    assert shown(outcome) == [["1", "2"], ["1", "3"], ["1", "4"]]


def test_columns_of_any_name_are_numbers_or_texts() -> None:
    frame = STORES.assign(region="north", rent=1.5)
    known = schema_of("stores", frame)
    assert [(name, column.dtype, column.low) for name, column in known.columns.items()] == [
        ("store_id", "int32", 0),
        ("store_type", "str", 1),
        ("size_sqft", "float64", 1),
        ("region", "str", -np.inf),
        ("rent", "float64", -np.inf),
    ]
    by_series = CONDITIONS[["week", "store_id"]].assign(dept_id=np.int32(1), price=2.5)
    assert schema_of("covariates", by_series).keys == ("week", "store_id", "dept_id")
    assert schema_of("covariates", CONDITIONS).keys == ("week", "store_id")
    assert [schema_of(kind, NONE).keys for kind in ("stores", "departments")] == [("store_id",), ("dept_id",)]


def test_each_file_is_judged_by_the_checks_of_its_kind() -> None:
    conditions = "Store,Date,Temperature,Fuel_Price,MarkDown1,MarkDown2,MarkDown3,MarkDown4,MarkDown5,CPI,Unemployment,"
    features = deliver("features.csv", conditions + "IsHoliday\n3,2012-01-06,1,1,NA,NA,NA,NA,NA,1,1,FALSE\n")
    train = deliver("train.csv", HEADER + "1,1,2012-01-06,5,FALSE\n2,1,2012-01-06,5,FALSE\n")
    outcomes = validate_deliveries([train, STORES_CSV, features], pd.DataFrame({"store_id": [2, 3]}), JUDGING)
    assert [(one.file, one.name) for one in outcomes] == [
        *(("train.csv", spec.name) for spec in CHECKS["sales"][:8]),
        *(("stores.csv", spec.name) for spec in CHECKS["stores"]),
        *(("features.csv", spec.name) for spec in CHECKS["covariates"][:6]),
    ]
    assert all(one.passed for one in outcomes)
    # Stores 2 and 3 are stored, store 1 is in a file.
    assert [one.description for one in outcomes if one.name.endswith("stores_are_known")] == [
        "2 stores, all among the 3 known",
        "1 store, all among the 3 known",
    ]


def test_stores_without_a_number_are_not_known() -> None:
    stores = pd.DataFrame({"store_id": ["1", "x", None, np.inf], "store_type": "A", "size_sqft": 1})
    found = check_sales(SALES, NONE, CONDITIONS, stores, JUDGING)[5]
    assert found.description.startswith(
        "1 store without a row in the stores table (2), 120 rows, first 2012-01-06 store 2 dept 1; 1 store known; "
    )
