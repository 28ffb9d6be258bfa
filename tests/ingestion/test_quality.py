from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from demand_assets.errors import SchemaError
from demand_assets.ingestion.catalogue import CHECKS
from demand_assets.ingestion.context import Context
from demand_assets.ingestion.dataspec import Accept
from demand_assets.ingestion.delivery import Delivery
from demand_assets.ingestion.ids import IdTexts
from demand_assets.ingestion.outcome import CheckOutcome, raise_on_failure
from demand_assets.ingestion.quality import (
    check_covariates,
    check_members,
    check_sales,
    faults_of,
    validate_deliveries,
)
from demand_assets.ingestion.schemas import schema_of
from demand_assets.ingestion.structure import columns_and_types
from demand_assets.ingestion.understanding import Kind
from tests.ingestion.landed import TRAIN, deliveries

FRIDAYS = pd.date_range("2012-01-06", periods=20, freq="W-FRI")
LAST = FRIDAYS[-1]
NONE = pd.DataFrame()
# One date tells neither.
WEEKLY = '[data]\nweek_ends = "friday"\n[sales]\nfrequency = "weekly"\n'


def sales_of(weeks: pd.DatetimeIndex, stores: int = 2, depts: int = 6) -> pd.DataFrame:
    grid = pd.MultiIndex.from_product([weeks, range(1, stores + 1), range(1, depts + 1)]).to_frame(index=False)
    grid.columns = pd.Index(["week", "store_id", "dept_id"])
    usd = 1_000.0 * grid["dept_id"] + 100.0 * (grid.index % 7)
    frame = grid.assign(sales=usd, is_holiday=grid["week"] == FRIDAYS[5])
    return frame[["store_id", "dept_id", "week", "sales", "is_holiday"]].astype(
        {"store_id": "int32", "dept_id": "int32"}
    )


def conditions_of(weeks: pd.DatetimeIndex, stores: int = 2) -> pd.DataFrame:
    frame = sales_of(weeks, stores, 1).drop(columns=["dept_id", "sales"])
    numbers = ["temperature_f", "fuel_price", *(f"markdown{i}" for i in range(1, 6)), "cpi", "unemployment_pct"]
    frame = frame.assign(**dict.fromkeys(numbers, 3.0))
    frame["markdown1"] = np.nan
    return frame[["store_id", "week", *numbers, "is_holiday"]]


SALES, CONDITIONS = sales_of(FRIDAYS), conditions_of(FRIDAYS)
STORES = pd.DataFrame({"store_id": np.array([1, 2], dtype="int32"), "store_type": ["A", "B"], "size_sqft": [10, 20]})


def failed(outcomes: list[CheckOutcome]) -> dict[str, CheckOutcome]:
    return {outcome.name: outcome for outcome in outcomes if not outcome.passed}


JUDGING = Context(today=date(2012, 6, 1), unit="EUR")


def judge(
    sales: pd.DataFrame,
    history: pd.DataFrame = NONE,
    covariates: pd.DataFrame = CONDITIONS,
    stores: pd.DataFrame = STORES,
    context: Context = JUDGING,
) -> dict[str, CheckOutcome]:
    outcomes = check_sales(sales, history, covariates, stores, context)
    assert [(outcome.name, outcome.severity) for outcome in outcomes] == [
        (spec.name, spec.severity) for spec in CHECKS["sales"]
    ]
    assert all("\n" not in outcome.description and len(outcome.failing_rows) <= 20 for outcome in outcomes)
    return failed(outcomes)


def judge_covariates(covariates: pd.DataFrame, stores: pd.DataFrame = STORES) -> dict[str, CheckOutcome]:
    return failed(check_covariates(covariates, stores, JUDGING))


def judge_stores(stores: pd.DataFrame) -> dict[str, CheckOutcome]:
    return failed(check_members("stores", stores, JUDGING))


def only(found: dict[str, CheckOutcome], name: str) -> CheckOutcome:
    assert list(found) == [name]
    return found[name]


def changed(frame: pd.DataFrame, row: int, **values: object) -> pd.DataFrame:
    frame = frame.copy()
    for column, value in values.items():
        frame.loc[frame.index[row], column] = value
    return frame


def test_good_frames_pass_every_check() -> None:
    assert judge(SALES) == {}
    assert judge(sales_of(FRIDAYS[-1:]), SALES) == {}
    assert judge_covariates(CONDITIONS) == {}
    assert judge_stores(STORES) == {}


def test_flags_of_weeks_to_come_that_contradict_between_stores_are_named() -> None:
    week = CONDITIONS["week"].max() + pd.Timedelta(weeks=1)
    ahead = CONDITIONS[CONDITIONS["week"] == CONDITIONS["week"].max()].assign(week=week).reset_index(drop=True)
    wrong = changed(ahead, 0, is_holiday=not ahead["is_holiday"].iloc[0])
    found = only(failed(check_covariates(CONDITIONS, STORES, JUDGING, ahead=wrong)), "covariates_holiday_flags_agree")
    assert f"first {week:%Y-%m-%d} store " in found.description
    assert "the calendar takes what most stores say" in found.description
    assert failed(check_covariates(CONDITIONS, STORES, JUDGING, ahead=ahead)) == {}


def test_only_the_needed_columns_of_the_other_frames_are_asked_for() -> None:
    history = SALES.drop(columns="is_holiday")
    assert judge(sales_of(FRIDAYS[-1:]), history, CONDITIONS[["store_id", "week"]], STORES[["store_id"]]) == {}
    assert failed(check_sales(SALES, None, CONDITIONS, STORES, JUDGING)) == {}


def test_sales_alone_are_enough() -> None:
    assert judge(SALES.drop(columns="is_holiday"), covariates=NONE, stores=NONE) == {}


def test_a_missing_or_mistyped_column_fails_and_leaves_the_rest_unjudged() -> None:
    found = judge(SALES.drop(columns="sales"))
    assert len(found) == len(CHECKS["sales"])
    assert found["sales_columns_and_types_are_right"].description == (
        "sales lacks sales; has store_id, dept_id, week, is_holiday; expected store_id, dept_id, week, sales, "
        "is_holiday; correct the file and land it again"
    )
    assert found["sales_are_finite"].description == "not judged: sales lacks sales"
    typed = only(judge(SALES.astype({"store_id": "int64"})), "sales_columns_and_types_are_right")
    assert typed.description == "store_id has type int64, expected int32; correct the file and land it again"
    unknown = only(judge(SALES.assign(promo=1), sales_of(FRIDAYS[:2])), "sales_columns_and_types_are_right")
    assert unknown.description == "unknown column promo; correct the file and land it again"


@pytest.mark.parametrize(
    ("kind", "frame", "fault"),
    [
        ("sales", changed(SALES, 3, sales=np.nan), ""),
        ("sales", changed(SALES, 3, week=pd.NaT), "week is missing in 1 row"),
        ("sales", SALES.astype({"is_holiday": "object"}), "is_holiday has type object, expected bool"),
        ("covariates", CONDITIONS.assign(cpi=np.nan), ""),
        ("covariates", changed(CONDITIONS, 0, cpi=np.inf), "cpi is outside 0 to 10,000 in 1 row, first inf"),
        ("covariates", CONDITIONS.assign(price=1.5, promotion=True, visitors=3), ""),
        ("covariates", changed(CONDITIONS.assign(price=1.5), 0, price=np.inf), "price is infinite in 1 row"),
        ("covariates", CONDITIONS.assign(price="cheap"), "price has type object, expected float64"),
        ("covariates", CONDITIONS.assign(dept_id=np.int32(1)), ""),
        ("stores", STORES.assign(store_type=["A", 7]), "store_type is outside 1 to 40 characters in 1 row, first 7"),
        ("stores", STORES.assign(store_type=["A", None]), ""),
        ("stores", STORES.assign(region=["north", None], checkouts=[4.0, np.nan]), ""),
        ("stores", STORES.astype({"store_type": "category", "size_sqft": "float64"}), ""),
        ("departments", pd.DataFrame({"dept_id": np.array([1, 2], dtype="int32"), "brand": ["a", "b"]}), ""),
    ],
)
def test_what_a_schema_does_not_allow_is_told(kind: Kind, frame: pd.DataFrame, fault: str) -> None:
    outcome = columns_and_types(CHECKS[kind][0], frame, schema_of(kind, frame), JUDGING)
    assert (outcome.passed, outcome.description if fault else "") == (
        not fault,
        f"{fault}; correct the file and land it again" if fault else "",
    )


def test_values_out_of_range_are_shown_with_their_rows() -> None:
    bad = changed(CONDITIONS, 3, unemployment_pct=250.0)
    outcome = only(judge_covariates(bad), "covariates_columns_and_types_are_right")
    assert outcome.description == (
        "unemployment_pct is outside 0 to 100 in 1 row, first 250.0; correct the file and land it again"
    )
    expected = bad.iloc[[3]].reset_index(drop=True).assign(store_id=["2"])
    pd.testing.assert_frame_equal(outcome.failing_rows, expected)


def test_messages_and_rows_name_the_ids_of_the_retailer() -> None:
    ids = IdTexts({1: "ZRH-01", 2: "Old Town, 5"}, {3: "food/1"})
    context = Context(today=date(2012, 6, 1), ids=ids)
    bad = changed(changed(SALES, 2, sales=np.nan), 8, sales=-1.0)
    found = judge(bad, context=context)
    assert list(found) == ["sales_are_finite", "negative_sales_are_returns"]
    assert "first 2012-01-06 store ZRH-01 dept food/1;" in found["sales_are_finite"].description
    assert "first 2012-01-06 store 'Old Town, 5' dept food/1;" in found["negative_sales_are_returns"].description
    shown = found["negative_sales_are_returns"].failing_rows
    assert shown[["store_id", "dept_id"]].to_numpy().tolist() == [["Old Town, 5", "food/1"]]


def test_an_accepted_finding_passes_and_says_why() -> None:
    last = changed(sales_of(FRIDAYS[-1:]), 0, sales=-5.0)
    name = "negative_sales_are_returns"
    open_ = only(judge(last, SALES), name)
    assert open_.description == (
        "1 of 12 rows negative, -5 EUR together, first 2012-05-18 store 1 dept 1; kept as returns, nothing to do; "
        f"if it is right: demand accept --week 2012-05-18 --check {name} --reason ..."
    )
    accept = Accept(week=LAST.date(), check=name, reason="recall of toys")
    taken = {
        one.name: one for one in check_sales(last, SALES, CONDITIONS, STORES, replace(JUDGING, accepted=(accept,)))
    }
    outcome = taken[name]
    assert (outcome.passed, outcome.accepted, outcome.failing_rows.empty) == (True, "recall of toys", True)
    assert outcome.description == "12 rows, none negative; accepted: recall of toys"
    for other in (
        Accept(week=FRIDAYS[3].date(), check=name, reason="another week"),
        Accept(week=LAST.date(), check="row_count_is_in_band", reason="another check"),
    ):
        found = judge(last, SALES, context=replace(JUDGING, accepted=(other,)))
        assert (list(found), found[name].accepted) == ([name], "")


def test_what_is_accepted_of_one_week_is_still_found_in_another() -> None:
    bad = changed(changed(SALES, 0, sales=-5.0), 12, sales=-6.0)
    accept = Accept(week=FRIDAYS[0].date(), check="negative_sales_are_returns", reason="recall")
    outcome = only(judge(bad, context=replace(JUDGING, accepted=(accept,))), "negative_sales_are_returns")
    assert outcome.metrics == {"rows": 240, "negative_rows": 1, "negative": -6.0}
    assert outcome.description.endswith("--reason ...; accepted: recall")


def test_what_is_certainly_wrong_cannot_be_accepted_but_for_an_impossible_amount() -> None:
    last = sales_of(FRIDAYS[-1:])
    for bad, name, passes in (
        (changed(last, 0, sales=np.inf), "sales_are_finite", False),
        (changed(last, 0, sales=1e12), "sales_are_possible", True),
    ):
        accept = Accept(week=LAST.date(), check=name, reason="really")
        assert list(judge(bad, SALES)) == [name]
        assert list(judge(bad, SALES, context=replace(JUDGING, accepted=(accept,)))) == ([] if passes else [name])


def test_each_oddity_of_a_week_is_named_once() -> None:
    # Store 3 opens, store 2 stops, a week is missing, one amount is absurd, one year is typed wrong.
    past = sales_of(FRIDAYS[:18])
    week = sales_of(FRIDAYS[19:], stores=3).query("store_id != 2").reset_index(drop=True)
    week = changed(week, 3, sales=1e12)
    typo = sales_of(pd.DatetimeIndex(["2099-01-02"]), 1, 1)
    found = judge(
        pd.concat([week, typo], ignore_index=True),
        past,
        conditions_of(FRIDAYS, 3),
        pd.DataFrame({"store_id": [1, 2, 3]}),
    )
    assert {name: outcome.description.split("; ")[0] for name, outcome in found.items()} == {
        "sales_weeks_have_begun": "1 row of weeks that have yet to begin, first 2099-01-02 store 1 dept 1",
        "sales_are_possible": "1 row over 1,000x the largest amount of any store or department, 6,600 EUR",
        "no_week_is_missing": "1 week of 2012-01-06 to 2012-05-18 without any sale: 2012-05-11",
        "no_store_or_dept_starts_or_stops": "in 2012-05-18: starts store 3, stops store 2",
    }
    # The week after there is nothing new to say.
    history = pd.concat([past, week.drop(index=3)], ignore_index=True)
    after = sales_of(pd.DatetimeIndex([FRIDAYS[19] + pd.Timedelta(weeks=1)]), 3).query("store_id != 2")
    assert judge(after, history, NONE, NONE) == {}


@pytest.mark.parametrize(
    "bad",
    [
        changed(SALES, 0, week=pd.NaT, sales=np.inf),
        SALES.assign(week=pd.NaT),
        SALES.assign(week="soon", store_id="one", is_holiday="perhaps"),
        SALES.astype(object),
        SALES.convert_dtypes(),
        SALES.assign(week=SALES["week"].dt.tz_localize("UTC")),
        SALES.assign(sales=np.nan),
        SALES.assign(store_id=np.inf),
        SALES.iloc[:0],
        pd.concat([SALES, SALES]),
        pd.concat([SALES, SALES], axis=1),
        NONE,
    ],
    ids=[
        "nat",
        "all nat",
        "text",
        "object",
        "nullable",
        "zoned",
        "all nan",
        "inf key",
        "no rows",
        "twice",
        "columns twice",
        "none",
    ],
)
def test_bad_frames_fail_and_never_raise(bad: pd.DataFrame) -> None:
    assert judge(bad, SALES)
    assert judge(bad)
    judge(sales_of(FRIDAYS[-1:]), bad)
    judge(SALES, NONE, bad, bad)
    # Any column may be a covariate or an attribute.
    judge_covariates(bad, bad)
    judge_stores(bad)


def deliver(name: str, text: str) -> Delivery:
    """The delivery of one file of Walmart's form, beside good sales: without sales no other file is understood."""
    return deliveries({"beside.csv": TRAIN, name: text}, WEEKLY)[name]


HEADER = "Store,Dept,Date,Weekly_Sales,IsHoliday\n"
STORES_CSV = deliver("stores.csv", "Store,Type,Size\n1,A,10\n")
AGAIN = "correct the file and land it again"


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (
            "1,1,2010-02-04,5,FALSE\n1,2,2010-02-04,5,FALSE\n",
            "2 rows fall on a Thursday, first 2010-02-04 store 1 dept 1; weeks end on Friday; "
            "correct the dates, or set [data] week_ends in demand.toml",
        ),
        (
            "1,1,2010-02-05,5,FALSE\n1,1,2010-02-05,6,FALSE\n",
            "2 rows contradict another of the same week, store and dept, first 2010-02-05 store 1 dept 1; "
            "keep the row that is right and land the file again; "
            'or set [sales] repeated = "sum" in demand.toml if they add up',
        ),
        (
            "1,1,2010-02-05,NA,FALSE\n1,2,2010-02-05,NA,FALSE\n",
            "2 rows without a finite amount (2 missing), first 2010-02-05 store 1 dept 1; "
            f"expected an amount in every row; {AGAIN}",
        ),
        (
            "1,1,2099-01-02,5,FALSE\n",
            f"1 row of weeks that have yet to begin, first 2099-01-02 store 1 dept 1; today is 2012-06-01; {AGAIN}",
        ),
        (
            "-1,1,2010-02-04,5,FALSE\n",
            f"store_id is below 0 in 1 row, first -1; {AGAIN}; 1 row falls on a Thursday, first 2010-02-04 store -1 "
            "dept 1; weeks end on Friday; correct the dates, or set [data] week_ends in demand.toml",
        ),
    ],
)
def test_a_bad_file_is_refused_with_all_that_is_wrong_and_good_ones_are_not(rows: str, fault: str) -> None:
    train = deliver("train.csv", HEADER + rows)
    good = deliver("more.csv", HEADER + "1,1,2010-02-05,5,FALSE\n")
    faults = [faults_of(validate_deliveries([one], None, JUDGING)) for one in (STORES_CSV, train, good)]
    assert ["; ".join(found) for found in faults] == ["", fault, ""]


def test_stores_that_are_not_known_refuse_no_file() -> None:
    train = deliver("train.csv", HEADER + "9,1,2010-02-05,-5,FALSE\n")
    assert faults_of(validate_deliveries([train, STORES_CSV], None, JUDGING)) == []
    found = failed(validate_deliveries([train, STORES_CSV], None, JUDGING))
    assert only(found, "sales_stores_are_known").file == "train.csv"
    assert failed(validate_deliveries([train], None, JUDGING)) == {}
    assert failed(validate_deliveries([train], pd.DataFrame({"store_id": [9]}), JUDGING)) == {}


def test_an_impossible_amount_in_a_file_is_known_by_what_is_stored() -> None:
    train = deliver("train.csv", HEADER + "1,1,2012-05-25,1e12,FALSE\n")
    assert faults_of(validate_deliveries([train], None, JUDGING)) == []
    assert len(faults_of(validate_deliveries([train], None, JUDGING, SALES))) == 1


def test_a_file_that_lacks_a_column_is_refused_with_one_reason() -> None:
    train = deliver("train.csv", HEADER + "1,1,2010-02-05,5,FALSE\n")
    cut = replace(train, frame=train.frame.drop(columns="sales"))
    assert faults_of(validate_deliveries([cut], STORES, JUDGING)) == [
        "sales lacks sales; has store_id, dept_id, week, is_holiday; "
        f"expected store_id, dept_id, week, sales, is_holiday; {AGAIN}",
    ]


def test_a_failure_without_a_file_is_named_by_its_check() -> None:
    outcome = replace(check_members("stores", STORES, JUDGING)[0], passed=False, description="why")
    with pytest.raises(SchemaError, match=r"^stores_columns_and_types_are_right: why$"):
        raise_on_failure([outcome])
