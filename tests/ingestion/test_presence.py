"""What is said of weeks, stores and departments that are missing, new or gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pandas as pd
import pytest

from demand_assets.ingestion import presence
from demand_assets.ingestion.context import Context, context_of
from demand_assets.ingestion.dataspec import Accept, Closed, read_spec
from demand_assets.ingestion.ids import IdTexts
from demand_assets.ingestion.outcome import CheckSpec
from tests.ingestion.test_merge import sales
from tests.ingestion.test_quality import FRIDAYS, JUDGING
from tests.ingestion.test_structure import NO_DATE, said

SPEC = CheckSpec("the_check", "its rule", "warn", answer="do it")
NOTHING = sales()


def seen(given: pd.DataFrame, history: pd.DataFrame = NOTHING) -> presence.Presence:
    own = presence.week_slices(given)
    earlier = {week: at for week, at in presence.week_slices(history).items() if week < max(own) and week not in own}
    return presence.presence(given, history, own, earlier)


def weeks(*places: int, store: int = 1) -> pd.DataFrame:
    return sales(*((FRIDAYS[0] + pd.Timedelta(weeks=place), store, 1, 1.0) for place in places))


def both(*frames: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(frames).sort_values(["week", "store_id", "dept_id"], ignore_index=True)


def test_the_rows_of_a_week_lie_together() -> None:
    frame = sales((NO_DATE, 1, 1, 1.0), *((week, 1, dept, 1.0) for week in FRIDAYS[:2] for dept in (1, 2)))
    assert presence.week_slices(frame) == {FRIDAYS[0]: slice(1, 3), FRIDAYS[1]: slice(3, 5)}
    assert presence.week_slices(NOTHING) == {}


def test_presence_counts_the_rows_of_each_store_in_each_week() -> None:
    w1, w2 = FRIDAYS[:2]
    found = seen(sales((w2, 2, 1, 1.0), (w2, 2, 2, 1.0)), sales((w1, 1, 1, 1.0), (w1, 2, 1, 1.0), (w2, 9, 9, 1.0)))
    assert found.weeks.tolist() == [w1, w2]
    assert found.brought.tolist() == [False, True]
    assert found.stores.tolist() == [1, 2]
    assert found.rows.tolist() == [[1, 1], [0, 2]]
    assert (found.is_newest, found.new_depts.tolist(), found.gone_depts.tolist()) == (True, [2], [])


def rows_per_week(*counts: int, store: int = 1) -> pd.DataFrame:
    return sales(
        *((week, store, dept, 1.0) for week, rows in zip(FRIDAYS, counts, strict=False) for dept in range(rows))
    )


@pytest.mark.parametrize(
    ("counts", "judged", "shares"),
    [
        ((10, 10, 10, 1), 0, "too few to compare"),
        ((10, 10, 10, 10, 7, 13), 3, "70% to 130%"),
        ((1,), 0, "too few to compare"),
    ],
)
def test_70_to_130_percent_of_the_usual_rows_pass(counts: tuple[int, ...], judged: int, shares: str) -> None:
    outcome = presence.row_count_is_in_band(SPEC, seen(rows_per_week(*counts)), JUDGING)
    metrics = {
        "weeks": len(counts),
        "weeks_judged": judged,
        "weeks_out_of_band": 0,
        "lowest_share": 0.7 if judged else 1.0,
        "highest_share": 1.3 if judged else 1.0,
    }
    assert said(outcome) == (
        True,
        f"{judged} weeks judged, rows against those usual for the same stores: {shares}",
        metrics,
    )


def test_weeks_outside_the_band_are_shown_with_what_is_usual() -> None:
    frame = rows_per_week(100, 100, 100, 100, 100, 100, 69, 131)
    outcome = presence.row_count_is_in_band(SPEC, seen(frame), JUDGING)
    assert said(outcome) == (
        False,
        "2 weeks outside 70% to 130% of the usual rows, first 2012-02-17 with 69 against 100; do it",
        {"weeks": 8, "weeks_judged": 5, "weeks_out_of_band": 2, "lowest_share": 0.69, "highest_share": 1.31},
    )
    assert outcome.failing_rows.to_dict("records") == [
        {"week": FRIDAYS[6], "rows": 69, "usual_rows": 100.0, "share": 0.69},
        {"week": FRIDAYS[7], "rows": 131, "usual_rows": 100.0, "share": 1.31},
    ]


def test_the_first_week_is_compared_with_those_after_it() -> None:
    outcome = presence.row_count_is_in_band(SPEC, seen(rows_per_week(20, 100, 100, 100, 100)), JUDGING)
    assert outcome.description.startswith(
        "1 week outside 70% to 130% of the usual rows, first 2012-01-06 with 20 against 100"
    )


def test_what_is_usual_is_the_median_of_the_eight_weeks_before() -> None:
    # With a ninth week it would be 20, with seven 20 too; later weeks and those that come anew do not count.
    stored = rows_per_week(100, 10, 10, 10, 10, 20, 20, 20, 20, 99, 50)
    outcome = presence.row_count_is_in_band(SPEC, seen(rows_per_week(*[0] * 9, 15), stored), JUDGING)
    assert outcome.passed
    assert (outcome.metrics["lowest_share"], outcome.metrics["highest_share"]) == (1.0, 1.0)


def test_a_store_that_is_absent_or_new_changes_no_row_count() -> None:
    shut = rows_per_week(*[50] * 6, 0, 50, store=2)
    new = rows_per_week(*[0] * 6, 50, 50, store=3)
    outcome = presence.row_count_is_in_band(SPEC, seen(both(rows_per_week(*[10] * 8), shut, new)), JUDGING)
    assert (outcome.passed, outcome.metrics["lowest_share"], outcome.metrics["highest_share"]) == (True, 1.0, 1.0)


def test_gaps_are_those_before_a_week_that_is_judged() -> None:
    for given, stored, passed, description, metrics in (
        (weeks(3), weeks(1, 2, 4), True, "3 weeks without a gap, 2012-01-13 to 2012-01-27", (3, 0)),
        (weeks(0), NOTHING, True, "1 week without a gap, 2012-01-06 to 2012-01-06", (1, 0)),
        # The gap from week 1 to week 3 was named when week 3 landed.
        (weeks(4), weeks(1, 3), True, "3 weeks without a gap, 2012-01-13 to 2012-02-03", (3, 0)),
        (
            weeks(1, 3),
            NOTHING,
            False,
            "1 week of 2012-01-13 to 2012-01-27 without any sale: 2012-01-20; do it",
            (2, 1),
        ),
        (
            weeks(30),
            weeks(0, 4, 31),
            False,
            "25 weeks of 2012-01-06 to 2012-08-03 without any sale: "
            "2012-02-10, 2012-02-17, 2012-02-24, 2012-03-02, 2012-03-09, ...; do it",
            (3, 25),
        ),
    ):
        outcome = presence.no_week_is_missing(SPEC, seen(given, stored), JUDGING)
        assert said(outcome) == (passed, description, dict(zip(("weeks", "weeks_missing"), metrics, strict=True)))
        assert (outcome.name, outcome.severity) == ("the_check", "warn")
    expected = [FRIDAYS[0] + pd.Timedelta(weeks=place) for place in range(5, 25)]
    assert outcome.failing_rows["week"].tolist() == expected


def test_weeks_of_a_closed_chain_are_no_gap() -> None:
    spec = read_spec("[data]\nclosed = [2012-01-20, { week = 2012-01-27, stores = ['1'] }]")
    context = context_of(spec, date(2012, 6, 1), IdTexts())
    outcome = presence.no_week_is_missing(SPEC, seen(weeks(1, 4)), context)
    assert outcome.description == "1 week of 2012-01-13 to 2012-02-03 without any sale: 2012-01-27; do it"
    assert outcome.metrics["weeks_missing"] == 1


def sell_every_week(
    given: pd.DataFrame, stored: pd.DataFrame = NOTHING, context: Context = JUDGING
) -> tuple[bool, str]:
    return said(presence.stores_sell_every_week(SPEC, seen(given, stored), context))[:2]


def test_a_store_that_was_shut_is_named_once_with_how_long() -> None:
    chain, shop = weeks(*range(9)), weeks(1, 2, 5, 7, store=2)
    outcome = presence.stores_sell_every_week(SPEC, seen(both(chain, shop)), JUDGING)
    assert said(outcome) == (
        False,
        "without any sale: store 2 for 2 weeks, 2012-01-27 to 2012-02-03, "
        "store 2 for 1 week, 2012-02-17 to 2012-02-17; these weeks count as unknown; do it",
        {"stores": 2, "times_shut": 2, "store_weeks_shut": 3},
    )
    assert outcome.failing_rows.to_dict("records") == [
        {"store_id": "2", "week": FRIDAYS[3], "until": FRIDAYS[4], "weeks": 2},
        {"store_id": "2", "week": FRIDAYS[6], "until": FRIDAYS[6], "weeks": 1},
    ]
    assert sell_every_week(chain) == (True, "1 store, none absent between weeks in which it sold")


def test_a_shut_store_is_named_when_it_sells_again() -> None:
    stored = both(weeks(*range(5)), weeks(0, 1, store=2))
    assert sell_every_week(weeks(5), stored)[0]
    again = both(weeks(6), weeks(6, store=2))
    assert not sell_every_week(again, both(stored, weeks(5)))[0]
    assert sell_every_week(both(weeks(7), weeks(7, store=2)), both(stored, weeks(5), again))[0]


def test_declared_and_accepted_closures_are_no_finding() -> None:
    frame = both(weeks(*range(6)), weeks(0, 4, store=2))
    ids = IdTexts({2: "ZRH 2"})
    closed = tuple(Closed(week=FRIDAYS[place].date(), stores=("ZRH 2",)) for place in (1, 2, 3))
    assert sell_every_week(frame, context=replace(JUDGING, ids=ids, closed=closed))[0]
    assert sell_every_week(frame, context=replace(JUDGING, ids=ids, closed=closed[:2], missing="zero")) == (
        False,
        "without any sale: store 'ZRH 2' for 1 week, 2012-01-27 to 2012-01-27; these weeks count as zero; do it",
    )
    spec = replace(SPEC, acceptable=True)
    accept = Accept(week=FRIDAYS[1].date(), check="the_check", reason="rebuilt")
    outcome = presence.stores_sell_every_week(spec, seen(frame), replace(JUDGING, accepted=(accept,)))
    assert (outcome.passed, outcome.accepted) == (True, "rebuilt")


def test_what_starts_and_stops_in_the_newest_week_is_news() -> None:
    ids = IdTexts({3: "ZRH-03"}, {7: "food/7"})
    past = both(*(weeks(*range(6), store=store) for store in (1, 2)), weeks(0, 4, store=4))
    newest = sales((FRIDAYS[6], 1, 1, 1.0), (FRIDAYS[6], 1, 7, 1.0), (FRIDAYS[6], 3, 1, 1.0))
    found = seen(newest, past)
    outcome = presence.no_store_or_dept_starts_or_stops(SPEC, found, replace(JUDGING, ids=ids))
    assert said(outcome) == (
        False,
        "in 2012-02-17: starts store ZRH-03, stops store 2, starts dept food/7; do it",
        {"stores_new": 1, "stores_gone": 1, "depts_new": 1, "depts_gone": 0},
    )
    assert outcome.failing_rows.to_dict("records") == [
        {"week": FRIDAYS[6], "change": "starts", "what": "store", "id": "ZRH-03"},
        {"week": FRIDAYS[6], "change": "stops", "what": "store", "id": "2"},
        {"week": FRIDAYS[6], "change": "starts", "what": "dept", "id": "food/7"},
    ]
    shut = (Closed(week=FRIDAYS[6].date(), stores=("2",)),)
    assert (
        presence.no_store_or_dept_starts_or_stops(SPEC, found, replace(JUDGING, closed=shut)).metrics["stores_gone"]
        == 0
    )
    same = presence.no_store_or_dept_starts_or_stops(SPEC, seen(weeks(6), weeks(*range(6))), JUDGING)
    assert said(same)[:2] == (True, "2012-02-17 has the stores and departments of the weeks before")


def test_a_week_that_is_not_the_newest_or_the_only_one_is_no_news() -> None:
    for given, stored in ((weeks(3), NOTHING), (weeks(3, store=9), weeks(1, 2, 4))):
        outcome = presence.no_store_or_dept_starts_or_stops(SPEC, seen(given, stored), JUDGING)
        assert said(outcome) == (True, "no newest week with weeks before it", {})
