"""Findings that somebody took as right, on each of the two stores."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Engine

from demand_assets.errors import StoreError
from demand_assets.store.acceptances import accept_finding, accepted_findings

NOW = datetime(2012, 7, 2, 6, tzinfo=UTC)
WEEK, CHECK = date(2012, 6, 29), "no_week_is_missing"


def test_acceptances_are_added_and_listed_oldest_first(engine: Engine) -> None:
    assert accepted_findings(engine) == []
    rows = [accept_finding(engine, WEEK, CHECK, reason, "ana", NOW) for reason in ("strike", "flood")]
    assert rows[0] == {
        "acceptance": 1, "week": WEEK, "check_name": CHECK, "reason": "strike", "accepted_by": "ana",
        "accepted_at": NOW,
    }  # fmt: skip
    assert accepted_findings(engine) == rows


@pytest.mark.parametrize(
    ("reason", "by", "said"),
    [
        (" ", "ana", "expected a reason, got ' '"),
        ("flood", "", "expected a name of who accepts, got ''"),
        ("a\0b", "ana", "expected a reason, got"),
    ],
)
def test_nobody_accepts_without_a_reason_or_a_name(engine: Engine, reason: str, by: str, said: str) -> None:
    with pytest.raises(StoreError, match=said):
        accept_finding(engine, WEEK, CHECK, reason, by, NOW)
    assert accepted_findings(engine) == []
