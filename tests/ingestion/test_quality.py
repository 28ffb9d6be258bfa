from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from demand_assets.errors import SchemaError
from demand_assets.ingestion import plausibility
from demand_assets.ingestion.delivery import Delivery, LandedFile
from demand_assets.ingestion.formats import Kind
from demand_assets.ingestion.outcome import CheckOutcome, raise_on_failure
from demand_assets.ingestion.quality import CHECKS, check_conditions, check_sales, check_stores, validate_deliveries
from demand_assets.ingestion.structure import columns_and_types
from tests.ingestion.test_parsing import parse_csv

FRIDAYS = pd.date_range("2012-01-06", periods=20, freq="W-FRI")
LAST = FRIDAYS[-1]
NONE = pd.DataFrame()


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


def judge(
    sales: pd.DataFrame, history: pd.DataFrame = NONE, conditions: pd.DataFrame = CONDITIONS
) -> dict[str, CheckOutcome]:
    outcomes = check_sales(sales, history, conditions, STORES)
    assert [outcome.name for outcome in outcomes] == [spec.name for spec in CHECKS["sales"]]
    assert all("\n" not in outcome.description and len(outcome.failing_rows) <= 20 for outcome in outcomes)
    return failed(outcomes)


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
    assert failed(check_conditions(CONDITIONS, STORES)) == {}
    assert failed(check_stores(STORES)) == {}


def test_only_the_needed_columns_of_the_other_frames_are_asked_for() -> None:
    history = SALES.drop(columns="is_holiday")
    outcomes = check_sales(
        sales_of(FRIDAYS[-1:]), history, CONDITIONS[["store_id", "week", "is_holiday"]], STORES[["store_id"]]
    )
    assert failed(outcomes) == {}
    assert failed(check_sales(SALES, None, CONDITIONS, STORES)) == {}


def test_a_missing_or_mistyped_column_fails_and_leaves_the_rest_unjudged() -> None:
    found = judge(SALES.drop(columns="sales"))
    assert len(found) == len(CHECKS["sales"])
    assert found["sales_columns_and_types_are_right"].description.startswith(
        "sales lacks sales; has store_id, dept_id, week, is_holiday; expected store_id,"
    )
    assert found["sales_are_finite"].description == "not judged: sales lacks sales"
    typed = only(judge(SALES.astype({"store_id": "int64"})), "sales_columns_and_types_are_right")
    assert typed.description == "store_id has type int64, expected int32"
    unknown = only(judge(SALES.assign(promo=1), sales_of(FRIDAYS[:2])), "sales_columns_and_types_are_right")
    assert unknown.description == "unknown column promo"


def test_values_out_of_range_are_shown_with_their_rows() -> None:
    bad = changed(CONDITIONS, 3, unemployment_pct=250.0)
    outcome = only(failed(check_conditions(bad, STORES)), "conditions_columns_and_types_are_right")
    assert outcome.description == "unemployment_pct is outside 0 to 100 in 1 row, first 250.0"
    pd.testing.assert_frame_equal(outcome.failing_rows, bad.iloc[[3]].reset_index(drop=True))
    assert "conditions_columns_and_types_are_right" in failed(
        check_conditions(changed(CONDITIONS, 3, cpi=np.inf), STORES)
    )


@pytest.mark.parametrize(
    ("kind", "frame", "fault"),
    [
        ("sales", changed(SALES, 3, sales=np.nan), ""),
        ("sales", changed(SALES, 3, week=pd.NaT), "week is missing in 1 row"),
        ("sales", SALES.astype({"is_holiday": "object"}), "is_holiday has type object, expected bool"),
        ("conditions", CONDITIONS.assign(cpi=np.nan), ""),
        ("conditions", changed(CONDITIONS, 0, cpi=np.inf), "cpi is outside 0 to 10,000 in 1 row, first inf"),
        ("stores", STORES.assign(store_type=["A", 7]), "store_type is outside 1 to 40 characters in 1 row, first 7"),
        ("stores", STORES.assign(store_type=["A", None]), "store_type is missing in 1 row"),
    ],
)
def test_what_a_schema_does_not_allow_is_told(kind: Kind, frame: pd.DataFrame, fault: str) -> None:
    outcome = columns_and_types(CHECKS[kind][0], kind, frame)
    assert (outcome.passed, outcome.description if fault else "") == (not fault, fault)


def test_duplicate_keys_fail_with_all_their_rows() -> None:
    found = judge(pd.concat([SALES, changed(SALES.iloc[[4]], 0, sales=7.0)]))
    outcome = only(found, "sales_keys_are_unique")
    assert outcome.description == (
        "2 rows share their key with another, first 2012-01-06 store 1 dept 5; "
        "expected one row per week, store and dept"
    )
    assert outcome.failing_rows["sales"].tolist() == [SALES["sales"][4], 7.0]
    assert outcome.metrics == {"rows": 241, "rows_sharing_a_key": 2, "keys": 240}
    assert "conditions_keys_are_unique" in failed(
        check_conditions(pd.concat([CONDITIONS, CONDITIONS.iloc[:1]]), STORES)
    )
    assert "stores_keys_are_unique" in failed(check_stores(pd.concat([STORES, STORES])))


def test_a_thursday_fails() -> None:
    bad = changed(SALES, 0, week=FRIDAYS[0] - pd.Timedelta(days=1))
    outcome = judge(bad)["sales_weeks_are_fridays"]
    assert outcome.description == "1 row falls on a Thursday, first 2012-01-05 store 1 dept 1; weeks are Fridays"
    assert len(outcome.failing_rows) == 1


def test_an_unknown_store_fails() -> None:
    found = judge(sales_of(FRIDAYS, 3), conditions=conditions_of(FRIDAYS, 3))
    outcome = only(found, "sales_stores_are_known")
    assert outcome.description == ("120 rows of 1 unknown store (3), first 2012-01-06 store 3 dept 1; 2 stores known")
    assert outcome.metrics["rows_of_unknown_stores"] == 120
    assert len(outcome.failing_rows) == 20


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_amount_that_is_no_number_fails(value: float) -> None:
    outcome = judge(changed(SALES, 30, sales=value))["sales_are_finite"]
    assert outcome.description.startswith("1 row without a finite amount")


def test_a_row_beyond_20x_of_its_past_fails_and_one_below_passes() -> None:
    last = sales_of(FRIDAYS[-1:])
    most = SALES.query("store_id == 1 and dept_id == 2")["sales"].max()
    assert judge(changed(last, 1, sales=20 * most), SALES) == {}
    outcome = judge(changed(last, 1, sales=20 * most + 1), SALES)["sales_are_within_20x_of_their_past"]
    assert outcome.description.startswith(
        "1 row over 20x their series' past, largest 20x, first 2012-05-18 store 1 dept 2"
    )
    assert outcome.failing_rows["largest_before"].tolist() == [most]


def test_tiny_and_young_series_may_jump() -> None:
    tiny = SALES.assign(sales=SALES["sales"].where(SALES["dept_id"] > 1, 1.0))
    assert judge(changed(sales_of(FRIDAYS[-1:]), 0, sales=20_000.0), tiny) == {}
    young = sales_of(FRIDAYS[:9])
    assert judge(changed(young.query("week < @FRIDAYS[8]"), 84, sales=1e9)) == {}
    assert "sales_are_within_20x_of_their_past" in judge(changed(young, 96, sales=1e9))


@pytest.mark.parametrize("factor", [100.0, 0.01])
def test_a_store_in_another_unit_fails(factor: float) -> None:
    last = sales_of(FRIDAYS[-1:])
    last.loc[last["store_id"] == 2, "sales"] *= factor
    outcome = only(judge(last, SALES), "sales_are_within_20x_of_their_past")
    assert outcome.metrics["store_weeks_off"] == 1
    assert "1 store-week at" in outcome.description
    assert set(outcome.failing_rows["store_id"]) == {2}


def test_a_week_is_judged_by_the_weeks_before_it_only() -> None:
    early = changed(sales_of(FRIDAYS[10:11]), 0, sales=1e6)
    huge_later = SALES.assign(sales=SALES["sales"].where(SALES["week"] <= FRIDAYS[10], 1e9))
    assert list(judge(early, huge_later)) == ["sales_are_within_20x_of_their_past"]


def plain_past(sales: pd.DataFrame) -> list[tuple[int, float, float]]:
    """The slow reference: for each row, the earlier weeks of its series, one at a time."""
    found = []
    for row in sales.itertuples():
        past = sales[(sales.store_id == row.store_id) & (sales.dept_id == row.dept_id) & (sales.week < row.week)]
        amounts = past["sales"].abs()
        found.append((len(past), amounts.max() if len(past) else 0.0, amounts.mean() if len(past) else 0.0))
    return found


@pytest.mark.parametrize("small_grid", [0, 1 << 22], ids=["keys", "grid"])
def test_the_past_of_every_row_is_the_plain_one(small_grid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plausibility, "_SMALL_GRID", small_grid)
    rng = np.random.default_rng(7)
    sales = SALES.assign(sales=rng.normal(0, 100, len(SALES)))
    if not small_grid:
        sales["dept_id"] = sales["dept_id"].replace(6, 1_000_000).astype("int32")
    sales = sales.sample(150, random_state=1).sort_values(["week", "store_id", "dept_id"], ignore_index=True)
    history, last = sales[sales["week"] < FRIDAYS[12]], sales[sales["week"] >= FRIDAYS[9]].reset_index(drop=True)
    for given, before in ((sales, NONE), (last, history)):
        parts = list(plausibility.pasts(given, before))
        assert [row for rows, *_ in parts for row in range(rows.start, rows.stop)] == list(range(len(given)))
        past = pd.DataFrame(
            {
                name: np.concatenate([part[at] for part in parts])
                for at, name in enumerate(["weeks", "largest", "mean"], 1)
            }
        )
        expected = pd.DataFrame(plain_past(sales), columns=["weeks", "largest", "mean"])[-len(given) :]
        pd.testing.assert_frame_equal(past, expected.reset_index(drop=True), check_dtype=False)


def test_holiday_flags_must_agree_within_a_week_and_between_files() -> None:
    odd = judge(changed(SALES, 0, is_holiday=True))
    outcome = only(odd, "holiday_flags_agree")
    assert outcome.metrics["rows_against_conditions"] == outcome.metrics["rows_against_their_week"] == 1
    assert outcome.failing_rows[["store_id", "dept_id", "conditions_flag"]].to_numpy().tolist() == [[1, 1, False]]
    other = CONDITIONS.assign(is_holiday=CONDITIONS["week"] == FRIDAYS[6])
    assert only(judge(SALES, conditions=other), "holiday_flags_agree").metrics["rows_against_conditions"] == 24
    assert list(failed(check_conditions(changed(CONDITIONS, 0, is_holiday=True), STORES))) == [
        "conditions_holiday_flags_agree"
    ]


def test_a_week_with_too_few_or_too_many_rows_fails_once_there_is_a_past() -> None:
    half = sales_of(FRIDAYS[-1:], depts=3)
    outcome = only(judge(half, SALES), "row_count_is_in_band")
    assert outcome.description == (
        "1 week outside 70% to 130% of the usual row count, first 2012-05-18 with 6 against 12; is the delivery whole?"
    )
    assert outcome.failing_rows.to_dict("records") == [{"week": LAST, "rows": 6, "median_before": 12.0, "share": 0.5}]
    assert list(judge(sales_of(FRIDAYS[-1:], depts=9), SALES)) == ["row_count_is_in_band"]
    growing = pd.concat([sales_of(FRIDAYS[:1], depts=2), sales_of(FRIDAYS[1:4], depts=6)])
    assert judge(growing) == {}


def test_a_week_missing_in_the_middle_fails_here_or_against_what_is_stored() -> None:
    outcome = only(judge(SALES[~SALES["week"].isin(FRIDAYS[7:9])]), "no_week_is_missing")
    assert outcome.description == "2 weeks missing, first 2012-02-24, in 2012-01-06 to 2012-05-18; land them"
    assert outcome.failing_rows["week"].tolist() == [FRIDAYS[7], FRIDAYS[8]]
    assert list(judge(sales_of(FRIDAYS[-1:]), SALES.query("week < @FRIDAYS[-2]"))) == ["no_week_is_missing"]
    assert judge(sales_of(FRIDAYS[5:6]), SALES.query("week != @FRIDAYS[-2]")) == {}


def test_a_store_that_sells_without_conditions_fails() -> None:
    outcome = only(judge(SALES, conditions=CONDITIONS.iloc[:-1]), "conditions_cover_the_stores_that_sell")
    assert outcome.description.startswith(
        "1 of 40 store-weeks with sales have no conditions, first 2012-05-18 store 2;"
    )
    assert list(judge(SALES, conditions=NONE)) == ["conditions_cover_the_stores_that_sell"]


def test_negative_sales_warn_and_raise_nothing() -> None:
    outcomes = check_sales(changed(SALES, 0, sales=-5.25), NONE, CONDITIONS, STORES)
    outcome = only(failed(outcomes), "negative_sales_are_returns")
    assert outcome.severity == "warn"
    assert (outcome.metrics["negative_rows"], outcome.metrics["negative"]) == (1, -5.25)
    raise_on_failure(outcomes)


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
    assert check_sales(SALES, NONE, bad, bad)
    assert failed(check_conditions(bad, bad))
    assert failed(check_stores(bad))
    with pytest.raises(SchemaError):
        raise_on_failure(check_sales(bad, SALES, CONDITIONS, STORES))


def deliver(name: str, text: str) -> Delivery:
    format_, frame = parse_csv(name, text.encode())
    weeks = pd.DatetimeIndex(frame["week"].unique() if "week" in frame else [])
    return Delivery(LandedFile(name, name, 1, datetime(2012, 1, 1, tzinfo=UTC), ""), format_.kind, frame, name, weeks)


HEADER = "Store,Dept,Date,Weekly_Sales,IsHoliday\n"
STORES_CSV = deliver("stores.csv", "Store,Type,Size\n1,A,10\n")


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (
            "1,1,2010-02-04,5,FALSE\n1,2,2010-02-04,5,FALSE\n",
            "train.csv: 2 rows fall on a Thursday, first 2010-02-04 store 1 dept 1; weeks are Fridays",
        ),
        (
            "1,1,2010-02-05,5,FALSE\n1,1,2010-02-05,6,FALSE\n",
            "train.csv: 2 rows share their key with another, first 2010-02-05 store 1 dept 1; "
            "expected one row per week, store and dept",
        ),
        (
            "1,1,2010-02-05,5,FALSE\n99,1,2010-02-05,5,FALSE\n",
            "train.csv: 1 row of 1 unknown store (99), first 2010-02-05 store 99 dept 1; 1 store known",
        ),
        (
            "1,1,2010-02-05,NA,FALSE\n1,2,2010-02-05,inf,FALSE\n",
            "train.csv: 2 rows without a finite amount (1 missing), first 2010-02-05 store 1 dept 1; "
            "expected an amount in every row",
        ),
        (
            "-1,1,2010-02-05,5,FALSE\n",
            "train.csv: store_id is below 0 in 1 row, first -1 (and 1 more check failed)",
        ),
    ],
)
def test_a_bad_file_is_refused_before_anything_is_stored(rows: str, fault: str) -> None:
    outcomes = validate_deliveries([STORES_CSV, deliver("train.csv", HEADER + rows)], None)
    assert all(outcome.file for outcome in outcomes)
    with pytest.raises(SchemaError) as raised:
        raise_on_failure(outcomes)
    assert str(raised.value) == fault


def test_stores_are_known_from_the_stored_table_or_from_the_files() -> None:
    train = deliver("train.csv", HEADER + "1,1,2010-02-05,-5,FALSE\n")
    raise_on_failure(validate_deliveries([train], STORES))
    raise_on_failure(validate_deliveries([train, STORES_CSV], None))
    with pytest.raises(SchemaError, match=r"unknown store \(1\).*no stores are known: land a stores\.csv first"):
        raise_on_failure(validate_deliveries([train], None))


def test_a_failure_without_a_file_is_named_by_its_check() -> None:
    outcome = replace(check_stores(STORES)[0], passed=False, description="why")
    with pytest.raises(SchemaError, match=r"^stores_columns_and_types_are_right: why$"):
        raise_on_failure([outcome])
