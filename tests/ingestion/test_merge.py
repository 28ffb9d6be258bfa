from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from demand_assets.errors import SchemaError
from demand_assets.ingestion.delivery import KEYS, Delivery, LandedFile
from demand_assets.ingestion.merge import Landing, merge_table, merge_week_partitions

W1, W2, W3 = pd.date_range("2012-10-19", periods=3, freq="W-FRI")
WEEKS = pd.DatetimeIndex([W1, W2, W3])
SALES_KEYS, STORES_KEYS = KEYS["sales"], KEYS["stores"]
Row = tuple[pd.Timestamp, int, int, float]


def sales(*rows: Row) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["week", "store_id", "dept_id", "sales"])
    types = {"store_id": "int32", "dept_id": "int32", "sales": "float64", "week": "datetime64[ns]"}
    frame = frame.astype(types).assign(is_holiday=False)
    return frame[["store_id", "dept_id", "week", "sales", "is_holiday"]]


NOTHING = sales()


def delivery(name: str, frame: pd.DataFrame, content: str = "") -> Delivery:
    file = LandedFile(name, f"/in/{name}", 1, datetime(2012, 11, 5, tzinfo=UTC), "f")
    weeks = pd.DatetimeIndex(frame["week"].unique() if "week" in frame else []).sort_values()
    return Delivery(file, "sales" if "week" in frame else "stores", frame, content or name, weeks)


def landing(name: str, added: int, replaced: int, unchanged: int) -> Landing:
    return Landing(name, name, "2012-11-05T00:00:00+00:00", added, replaced, unchanged)


FIRST = delivery("first", sales((W1, 1, 1, 10), (W1, 1, 2, 20), (W2, 1, 1, 11)))


def test_a_first_delivery_adds_its_rows_in_key_order() -> None:
    shuffled = delivery("first", FIRST.frame.iloc[[2, 0, 1]])
    merged = merge_week_partitions(NOTHING, {}, [shuffled], SALES_KEYS, weeks=WEEKS)
    pd.testing.assert_frame_equal(merged.frame, FIRST.frame)
    assert merged.landings == {W1: (landing("first", 2, 0, 0),), W2: (landing("first", 1, 0, 0),), W3: ()}
    assert merged.changed_weeks.tolist() == merged.recorded_weeks.tolist() == [W1, W2]


def test_the_same_file_twice_changes_nothing() -> None:
    once = merge_week_partitions(NOTHING, {}, [FIRST], SALES_KEYS, weeks=WEEKS)
    again = delivery("first-copy.csv.gz", FIRST.frame, content="first")
    twice = merge_week_partitions(once.frame, once.landings, [FIRST, again], SALES_KEYS, weeks=WEEKS)
    pd.testing.assert_frame_equal(twice.frame, once.frame)
    assert twice.landings == once.landings
    assert twice.changed_weeks.empty
    assert twice.recorded_weeks.empty
    beside = merge_week_partitions(NOTHING, {}, [FIRST, again], SALES_KEYS, weeks=WEEKS)
    assert beside.landings == once.landings


def test_a_correction_replaces_the_rows_it_names_and_is_recorded() -> None:
    once = merge_week_partitions(NOTHING, {}, [FIRST], SALES_KEYS, weeks=WEEKS)
    fix = delivery("fix", sales((W1, 1, 1, 10), (W1, 1, 2, 99), (W1, 1, 3, 30)))
    merged = merge_week_partitions(once.frame, once.landings, [FIRST, fix], SALES_KEYS, weeks=WEEKS)
    pd.testing.assert_frame_equal(merged.frame, sales((W1, 1, 1, 10), (W1, 1, 2, 99), (W1, 1, 3, 30), (W2, 1, 1, 11)))
    assert merged.landings[W1] == (landing("first", 2, 0, 0), landing("fix", 1, 1, 1))
    assert merged.changed_weeks.tolist() == merged.recorded_weeks.tolist() == [W1]


def test_the_last_of_three_overlapping_files_wins_whatever_is_stored_in_between() -> None:
    second = delivery("second", sales((W1, 1, 1, 12), (W1, 1, 2, 22)))
    third = delivery("third", sales((W1, 1, 1, 13), (W2, 1, 1, 11)))
    at_once = merge_week_partitions(NOTHING, {}, [FIRST, second, third], SALES_KEYS, weeks=WEEKS)
    pd.testing.assert_frame_equal(at_once.frame, sales((W1, 1, 1, 13), (W1, 1, 2, 22), (W2, 1, 1, 11)))
    assert at_once.landings == {
        W1: (landing("first", 2, 0, 0), landing("second", 0, 2, 0), landing("third", 0, 1, 0)),
        W2: (landing("first", 1, 0, 0), landing("third", 0, 0, 1)),
        W3: (),
    }
    stepwise = merge_week_partitions(NOTHING, {}, [FIRST], SALES_KEYS, weeks=WEEKS)
    for known in ([FIRST, second], [FIRST, second, third]):
        stepwise = merge_week_partitions(stepwise.frame, stepwise.landings, known, SALES_KEYS, weeks=WEEKS)
    pd.testing.assert_frame_equal(stepwise.frame, at_once.frame)
    assert stepwise.landings == at_once.landings


def test_a_file_that_changed_nothing_is_remembered_so_that_it_cannot_undo_a_later_correction() -> None:
    once = merge_week_partitions(NOTHING, {}, [FIRST], SALES_KEYS, weeks=WEEKS)
    copy = delivery("copy", FIRST.frame)
    same = merge_week_partitions(once.frame, once.landings, [copy], SALES_KEYS, weeks=WEEKS)
    assert same.changed_weeks.empty
    assert same.recorded_weeks.tolist() == [W1, W2]
    fix = delivery("fix", sales((W1, 1, 1, 99)))
    fixed = merge_week_partitions(same.frame, same.landings, [FIRST, copy, fix], SALES_KEYS, weeks=WEEKS)
    assert fixed.frame["sales"].tolist() == [99, 20, 11]


def test_only_the_weeks_asked_for_are_touched() -> None:
    asked = pd.DatetimeIndex([W2])
    merged = merge_week_partitions(NOTHING, {}, [FIRST], SALES_KEYS, weeks=asked)
    pd.testing.assert_frame_equal(merged.frame, sales((W2, 1, 1, 11)))
    assert merged.landings == {W2: (landing("first", 1, 0, 0),)}


def test_a_key_twice_in_one_file_stays_twice_until_a_corrected_file_lands() -> None:
    double = delivery("double", sales((W1, 1, 1, 10), (W1, 1, 1, 12)))
    bad = merge_week_partitions(NOTHING, {}, [double], SALES_KEYS, weeks=WEEKS)
    assert bad.frame["sales"].tolist() == [10, 12]
    fix = delivery("fix", sales((W1, 1, 1, 12)))
    good = merge_week_partitions(bad.frame, bad.landings, [double, fix], SALES_KEYS, weeks=WEEKS)
    pd.testing.assert_frame_equal(good.frame, fix.frame)
    assert good.landings[W1][1] == landing("fix", 0, 1, 0)
    assert good.changed_weeks.tolist() == [W1]


@pytest.mark.parametrize(
    ("again", "effect"), [((10, 12), (0, 0, 2)), ((12, 10), (0, 2, 0)), ((10,), (0, 1, 0)), ((10, 12, 12), (0, 3, 0))]
)
def test_rows_of_a_key_that_is_there_twice_are_compared_one_by_one(
    again: tuple[int, ...], effect: tuple[int, int, int]
) -> None:
    stored = sales((W1, 1, 1, 10), (W1, 1, 1, 12), (W1, 1, 2, 20))
    new = sales(*((W1, 1, 1, usd) for usd in again))
    merged = merge_week_partitions(stored, {}, [delivery("again", new)], SALES_KEYS, weeks=WEEKS[:1])
    pd.testing.assert_frame_equal(merged.frame, pd.concat([new, stored[2:]], ignore_index=True))
    assert merged.landings == {W1: (landing("again", *effect),)}
    assert merged.changed_weeks.tolist() == ([] if effect[2] else [W1])


def test_a_week_is_changed_by_other_rows_only_and_recorded_by_any() -> None:
    stored = sales((W1, 1, 1, 10), (W2, 1, 1, 11), (W3, 1, 1, 12))
    file = delivery("file", sales((W1, 1, 1, 10), (W2, 1, 1, 99), (W3, 1, 1, 12)))
    merged = merge_week_partitions(stored, {}, [file], SALES_KEYS, weeks=WEEKS[::-1])
    pd.testing.assert_frame_equal(merged.frame, file.frame)
    assert merged.landings == {
        W1: (landing("file", 0, 0, 1),),
        W2: (landing("file", 0, 1, 0),),
        W3: (landing("file", 0, 0, 1),),
    }
    pd.testing.assert_index_equal(merged.changed_weeks, pd.DatetimeIndex([W2], name="week"))
    pd.testing.assert_index_equal(merged.recorded_weeks, WEEKS.rename("week"))


def test_two_files_over_nothing_are_laid_over_each_other() -> None:
    fix = delivery("fix", sales((W2, 1, 1, 12), (W3, 2, 1, 5)))
    merged = merge_week_partitions(NOTHING, {}, [FIRST, fix], SALES_KEYS, weeks=WEEKS)
    pd.testing.assert_frame_equal(merged.frame, sales((W1, 1, 1, 10), (W1, 1, 2, 20), (W2, 1, 1, 12), (W3, 2, 1, 5)))
    assert merged.landings == {
        W1: (landing("first", 2, 0, 0),),
        W2: (landing("first", 1, 0, 0), landing("fix", 0, 1, 0)),
        W3: (landing("fix", 1, 0, 0),),
    }


def test_a_week_takes_only_the_files_it_has_not_had() -> None:
    # W1 has had the correction, W2 has not; a file that was there before neither lays its rows over both.
    stored = sales((W1, 1, 1, 99), (W2, 1, 1, 11))
    had = {W1: (landing("first", 1, 0, 0), landing("fix", 0, 1, 0)), W2: (landing("first", 1, 0, 0),)}
    first = delivery("first", sales((W1, 1, 1, 10), (W2, 1, 1, 11)))
    fix = delivery("fix", sales((W1, 1, 1, 99), (W2, 1, 1, 98)))
    merged = merge_week_partitions(stored, had, [first, fix], SALES_KEYS, weeks=WEEKS)
    pd.testing.assert_frame_equal(merged.frame, fix.frame)
    assert merged.landings == {**had, W2: (*had[W2], landing("fix", 0, 1, 0)), W3: ()}
    assert merged.changed_weeks.tolist() == merged.recorded_weeks.tolist() == [W2]


def test_a_missing_value_that_stays_missing_is_unchanged() -> None:
    stored = merge_week_partitions(NOTHING, {}, [delivery("a", sales((W1, 1, 1, np.nan)))], SALES_KEYS, weeks=WEEKS)
    again = delivery("b", sales((W1, 1, 1, np.nan)))
    assert merge_week_partitions(stored.frame, stored.landings, [again], SALES_KEYS, weeks=WEEKS).changed_weeks.empty
    known = delivery("c", sales((W1, 1, 1, 0)))
    merged = merge_week_partitions(stored.frame, stored.landings, [known], SALES_KEYS, weeks=WEEKS)
    assert merged.landings[W1][-1] == landing("c", 0, 1, 0)


def test_a_row_on_a_thursday_is_refused_rather_than_lost() -> None:
    days = pd.to_datetime(["2010-02-04", "2010-02-05", "2010-02-06"])
    thursday = delivery("train.csv", sales(*((day, 1, 1, 10) for day in days)))
    with pytest.raises(SchemaError) as raised:
        merge_week_partitions(NOTHING, {}, [FIRST, thursday], SALES_KEYS, weeks=WEEKS)
    assert str(raised.value) == (
        "train.csv has rows on Thursday 2010-02-04; weeks end on Friday: correct and land it again"
    )


def test_nothing_in_gives_nothing_out() -> None:
    merged = merge_week_partitions(NOTHING, {}, [], SALES_KEYS, weeks=WEEKS)
    assert merged.frame is NOTHING
    assert merged.landings == {W1: (), W2: (), W3: ()}
    assert merged.changed_weeks.tolist() == merged.recorded_weeks.tolist() == []


def test_a_table_merges_like_a_partition() -> None:
    def stores(*rows: tuple[int, str, int]) -> pd.DataFrame:
        return pd.DataFrame(rows, columns=["store_id", "store_type", "size_sqft"]).astype({"store_id": "int32"})

    first, fix = (
        delivery("first", stores((1, "A", 10), (2, "B", 20))),
        delivery("fix", stores((2, "C", 20), (3, "A", 5))),
    )
    once = merge_table(stores(), [], [first], STORES_KEYS)
    both = merge_table(once.frame, once.landings, [first, fix], STORES_KEYS)
    pd.testing.assert_frame_equal(both.frame, stores((1, "A", 10), (2, "C", 20), (3, "A", 5)))
    assert both.landings == (landing("first", 2, 0, 0), landing("fix", 1, 1, 0))
    assert (both.changed, both.recorded) == (True, True)
    again = merge_table(both.frame, both.landings, [first, fix], STORES_KEYS)
    assert (again.frame is both.frame, again.landings, again.changed, again.recorded) == (
        True,
        both.landings,
        False,
        False,
    )
    known = merge_table(both.frame, both.landings, [delivery("copy", both.frame)], STORES_KEYS)
    assert (known.changed, known.recorded, known.landings[-1]) == (False, True, landing("copy", 0, 0, 3))
    # A file and its gzip side by side are one; of two files the last wins, and each has its own counts.
    gzipped = delivery("first.gz", first.frame, content="first")
    at_once = merge_table(stores(), [], [first, gzipped, fix, delivery("copy", both.frame)], STORES_KEYS)
    pd.testing.assert_frame_equal(at_once.frame, both.frame)
    assert at_once.landings == (*both.landings, landing("copy", 0, 0, 3))
    assert (at_once.changed, at_once.recorded) == (True, True)
    replaced = merge_table(both.frame, both.landings, [delivery("size", stores((3, "A", 6)))], STORES_KEYS)
    assert (replaced.changed, replaced.landings[2:]) == (True, (landing("size", 0, 1, 0),))


def plain_merge(existing: pd.DataFrame, deliveries: Sequence[Delivery]) -> tuple[pd.DataFrame, dict[object, list[int]]]:
    """The slow reference: a dictionary, row by row; keys are unique within a file here."""
    held = {(row.week, row.store_id, row.dept_id): row for row in existing.itertuples(index=False)}
    counts: dict[object, list[int]] = {}
    for one in deliveries:
        for row in one.frame.itertuples(index=False):
            key = (row.week, row.store_id, row.dept_id)
            old = held.get(key)
            counts.setdefault((one.file.name, row.week), [0, 0, 0])[0 if old is None else 2 if old == row else 1] += 1
            held[key] = row
    frame = pd.DataFrame([held[key] for key in sorted(held)]).astype(dict(existing.dtypes))
    return frame, counts


@pytest.mark.parametrize("seed", range(10))
def test_the_merge_is_the_plain_one_on_random_files(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def some(rows: int) -> pd.DataFrame:
        picked = rng.choice(3 * 4 * 4, size=rows, replace=False)
        values = rng.integers(0, 2, size=rows)
        return sales(*((WEEKS[k % 3], k // 3 % 4, k // 12, float(v)) for k, v in zip(picked, values, strict=True)))

    existing = some(20).sort_values(list(SALES_KEYS))
    files = [delivery(f"f{i}", some(int(rng.integers(1, 30)))) for i in range(4)]
    merged = merge_week_partitions(existing, {}, files, SALES_KEYS, weeks=WEEKS)
    frame, counts = plain_merge(existing, files)
    pd.testing.assert_frame_equal(merged.frame, frame)
    found = {
        (one.file, week): [one.rows_added, one.rows_replaced, one.rows_unchanged]
        for week, landings in merged.landings.items()
        for one in landings
    }
    assert found == counts
