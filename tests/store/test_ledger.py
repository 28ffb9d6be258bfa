"""The ledger, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Engine, insert

from demand_assets.errors import StoreError
from demand_assets.store.ledger import (
    PROMOTED,
    REFUSED,
    SUPERSEDED,
    PromotionRecord,
    champion_version,
    history,
    previous_champion,
    record_decision,
    record_rollback,
    refusals_in_a_row,
)
from demand_assets.store.tables import promotions
from tests.monitoring_rows import decision

NOW = datetime(2012, 7, 2, 6, tzinfo=UTC)
FIRST = PromotionRecord(
    model_name="m", action="promote", outcome=PROMOTED, from_version=None, to_version="1", requested_by="gate",
    decided_at=NOW, reasons=("better", "no bias"), figures={"challenger_wmae": 10.5}, data_version="d1",
    code_version="c1", as_of=date(2012, 6, 29), decision_key="k1",
)  # fmt: skip


def promote(engine: Engine, version: str, over: str | None) -> PromotionRecord:
    return record_decision(engine, replace(FIRST, to_version=version, from_version=over, decision_key=None))


def champion(engine: Engine) -> str | None:
    with engine.connect() as conn:
        return champion_version(conn, "m")


def test_a_decision_is_kept_whole(engine: Engine) -> None:
    assert record_decision(engine, FIRST) == FIRST
    with engine.connect() as conn:
        (row,) = history(conn, "m")
        assert history(conn, "another") == []
    assert row["figures"] == {"challenger_wmae": 10.5}
    assert (row["reasons"], row["decided_at"], row["as_of"]) == (["better", "no bias"], NOW, date(2012, 6, 29))


def test_a_refusal_changes_no_champion(engine: Engine) -> None:
    promote(engine, "1", None)
    record_decision(engine, replace(FIRST, outcome=REFUSED, from_version="1", to_version="2", decision_key="k2"))
    assert champion(engine) == "1"


def test_the_same_decision_is_made_once(engine: Engine) -> None:
    record_decision(engine, FIRST)
    again = record_decision(engine, replace(FIRST, outcome=REFUSED, reasons=("another mind",)))
    assert again == FIRST
    with engine.connect() as conn:
        assert len(history(conn, "m")) == 1


def test_a_promotion_over_a_champion_that_is_gone_comes_too_late(engine: Engine) -> None:
    promote(engine, "1", None)
    promote(engine, "2", "1")
    late = promote(engine, "3", "1")
    assert late.outcome == SUPERSEDED
    assert late.reasons[-1] == "version 2 was promoted meanwhile; it was judged against version 1"
    assert champion(engine) == "2"


def test_rolling_back_goes_one_champion_back_each_time(engine: Engine) -> None:
    for version, over in (("1", None), ("2", "1"), ("3", "2")):
        promote(engine, version, over)
    first = record_rollback(engine, "m", ("looks wrong",), "ann", NOW)
    assert (first.from_version, first.to_version, first.data_version) == ("3", "2", "d1")
    record_rollback(engine, "m", ("still",), "ann", NOW)
    assert champion(engine) == "1"
    promote(engine, "4", "1")
    with engine.connect() as conn:
        assert previous_champion(conn, "m") == "1"


def test_there_must_be_something_to_roll_back_to(engine: Engine) -> None:
    with pytest.raises(StoreError, match="no version is in production"):
        record_rollback(engine, "m", ("x",), "ann", NOW)
    promote(engine, "1", None)
    with pytest.raises(StoreError, match="version 1 is the first champion"):
        record_rollback(engine, "m", ("x",), "ann", NOW)


def test_of_fifty_promotions_at_once_one_wins_and_all_are_recorded(engine: Engine) -> None:
    promote(engine, "0", None)
    outcomes: list[str] = []
    start = threading.Barrier(50)

    def attempt(version: str) -> None:
        start.wait()
        outcomes.append(promote(engine, version, "0").outcome)

    threads = [threading.Thread(target=attempt, args=(str(number),)) for number in range(1, 51)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [PROMOTED, *[SUPERSEDED] * 49]
    with engine.connect() as conn:
        rows = history(conn, "m")
    assert len(rows) == 51
    won = [row["to_version"] for row in rows if row["outcome"] == PROMOTED]
    assert won == [champion(engine), "0"]


def test_refusals_count_back_to_the_last_promotion_and_leave_out_people(engine: Engine) -> None:
    rows = [
        decision("refused", "k1"),
        decision("promoted", "k2"),
        decision("refused", "k3"),
        decision("promoted", None),
        decision("promoted", "k4", action="rollback"),
        decision("refused", "k5"),
    ]
    with engine.begin() as connection:
        for row in rows:
            connection.execute(insert(promotions).values(**row))
        assert [row["decision_key"] for row in refusals_in_a_row(connection)] == ["k5", "k3"]
