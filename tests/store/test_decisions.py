"""Numbers that need a second person, weeks that are locked, and codes of reasons."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from demand_assets.errors import OverrideError, UnknownOverrideError
from demand_assets.store.overrides import OverrideRequest, OverrideRules, record_override
from demand_assets.store.publish import VintageRecord, publish_actuals, publish_vintage
from demand_assets.store.reads.overrides import active_overrides, override_scores, overrides_of
from demand_assets.store.reviews import Review, review_override

ORIGIN, WEEK = date(2012, 10, 26), date(2012, 11, 2)
NOW = datetime(2012, 10, 29, 9, 30, tzinfo=UTC)
RECORD = VintageRecord(ORIGIN, 1, "m", "1", "d", "c", datetime(2012, 10, 27, 6, tzinfo=UTC), "USD")
REQUEST = OverrideRequest("1", "3", WEEK, 110.0, "ann", "local fair", None, "small")
RULES = OverrideRules(approval_percent=20.0)


@pytest.fixture(autouse=True)
def forecast(engine: Engine) -> None:
    """100 for one series."""
    publish_vintage(engine, RECORD, [("1", "3", WEEK, 1, 100.0, 80.0, 99.0, 130.0, None)])


def give(engine: Engine, number: float | None, key: str, rules: OverrideRules = RULES) -> Any:
    return record_override(engine, replace(REQUEST, override=number, idempotency_key=key), NOW, rules)[0]


def in_force(engine: Engine) -> list[float]:
    with engine.connect() as connection:
        return [row["override"] for row in connection.execute(active_overrides(NOW)).mappings()]


def statuses(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        found = connection.execute(overrides_of({}, NOW)).mappings()
        return [row["status"] for row in sorted(found, key=lambda row: row["override_id"])]


def test_a_number_over_a_limit_waits_and_the_one_before_counts(engine: Engine) -> None:
    give(engine, 110.0, "small")
    assert give(engine, 121.0, "large")["needs_approval"]
    assert (in_force(engine), statuses(engine)) == ([110.0], ["active", "waiting"])
    review_override(engine, Review(2, True, "bob", "seen"), NOW, RULES)
    assert (in_force(engine), statuses(engine)) == ([121.0], ["superseded", "active"])


def test_a_rejected_number_never_counts(engine: Engine) -> None:
    give(engine, 110.0, "small")
    give(engine, 500.0, "large")
    row = review_override(engine, Review(2, False, "bob", "too many", "10.0.0.7"), NOW, RULES)
    assert (row["status"], row["reviewer"], row["review_comment"]) == ("rejected", "bob", "too many")
    assert in_force(engine) == [110.0]
    # The same word again is one; another is refused.
    assert review_override(engine, Review(2, False, "bob"), NOW, RULES) == row
    with pytest.raises(OverrideError, match="override 2 does not wait for approval: it is rejected, by bob"):
        review_override(engine, Review(2, True, "cid"), NOW, RULES)


def test_only_a_second_person_reviews_what_waits(engine: Engine) -> None:
    give(engine, 500.0, "large")
    with pytest.raises(OverrideError, match="override 1 is by ann; a second person has to review it"):
        review_override(engine, Review(1, True, "ann"), NOW, RULES)
    give(engine, 600.0, "larger")
    with pytest.raises(OverrideError, match="override 1 does not wait for approval: it is superseded"):
        review_override(engine, Review(1, True, "bob"), NOW, RULES)
    with pytest.raises(UnknownOverrideError, match="there is no override 7"):
        review_override(engine, Review(7, True, "bob"), NOW, RULES)


@pytest.mark.parametrize(
    ("rules", "number", "waits"),
    [
        (OverrideRules(), 1e9, False),
        (OverrideRules(approval_percent=20.0), 120.0, False),
        (OverrideRules(approval_percent=20.0), 79.9, True),
        (OverrideRules(approval_amount=5.0), 105.1, True),
        (OverrideRules(approval_percent=20.0, approval_amount=500.0), 130.0, True),
        (OverrideRules(approval_percent=20.0), None, False),
    ],
)
def test_the_limits(rules: OverrideRules, number: float | None, waits: bool) -> None:
    assert rules.needs_approval(100.0, number) is waits


def test_a_week_is_locked_from_its_order_on(engine: Engine) -> None:
    # The week begins on Saturday the 27th; three days before is the 24th.
    rules = OverrideRules(lock_days=3)
    rules.require_open(WEEK, datetime(2012, 10, 23, 23, 59, tzinfo=UTC))
    with pytest.raises(OverrideError, match="week 2012-11-02 is locked since 2012-10-24: its order is placed"):
        give(engine, 110.0, "late", rules)
    with pytest.raises(OverrideError, match="locked"):
        give(engine, None, "withdrawn", rules)
    give(engine, 500.0, "early")
    with pytest.raises(OverrideError, match="locked"):
        review_override(engine, Review(1, True, "bob"), NOW, replace(RULES, lock_days=3))


def test_a_reason_is_one_of_the_codes(engine: Engine) -> None:
    rules = OverrideRules(reason_codes=("promotion", "event"))
    with pytest.raises(OverrideError, match="expected a reason code of promotion, event, got none"):
        give(engine, 110.0, "none", rules)
    row, _ = record_override(engine, replace(REQUEST, reason_code="event"), NOW, rules)
    assert row["reason_code"] == "event"


def test_a_number_approved_after_its_week_is_not_scored(engine: Engine) -> None:
    give(engine, 500.0, "large")
    review_override(engine, Review(1, True, "bob"), NOW + timedelta(days=9), RULES)
    publish_actuals(engine, [("1", "3", WEEK, 490.0, False)])
    with engine.connect() as connection:
        assert connection.execute(override_scores()).all() == []


def test_the_view_has_the_final_number(engine: Engine) -> None:
    def viewed() -> tuple[Any, ...]:
        with engine.connect() as connection:
            return tuple(connection.execute(text('SELECT forecast, "override", final FROM latest_forecast')).one())

    assert viewed() == (100.0, None, 100.0)
    give(engine, 500.0, "large")
    assert viewed() == (100.0, None, 100.0)
    review_override(engine, Review(1, True, "bob"), NOW, RULES)
    assert viewed() == (100.0, 500.0, 500.0)
    # Over since long, by the clock of the database.
    record_override(
        engine, replace(REQUEST, override=70.0, expires_at=NOW + timedelta(hours=1), idempotency_key="short"), NOW
    )
    assert viewed() == (100.0, None, 100.0)
