"""The ledger, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from dataclasses import asdict, replace
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Engine, insert, text

from demand_assets.errors import StoreError
from demand_assets.store.engine import write_transaction
from demand_assets.store.ledger import (
    _LOCK_PROMOTIONS,
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
from demand_assets.store.reads import decisions as reads
from demand_assets.store.tables import promotions
from tests.monitoring_rows import decision
from tests.waiting import until

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
    assert row == {**asdict(FIRST), "reasons": ["better", "no bias"], "promotion_id": row["promotion_id"]}


def test_ledgers_of_two_models_do_not_mix(engine: Engine) -> None:
    promote(engine, "1", None)
    promote(engine, "2", "1")
    other = replace(FIRST, model_name="another", to_version="7", decision_key=None)
    assert record_decision(engine, other) == other  # over no champion of its own
    assert champion(engine) == "2"
    with engine.connect() as conn:
        assert (champion_version(conn, "another"), previous_champion(conn, "another")) == ("7", None)
        assert previous_champion(conn, "m") == "1"
        assert [row["to_version"] for row in history(conn, "m")] == ["2", "1"]
    with pytest.raises(StoreError, match="version 7 is the first champion"):
        record_rollback(engine, "another", ("x",), "ann", NOW)


def test_a_refusal_judged_against_a_former_champion_stays_a_refusal(engine: Engine) -> None:
    promote(engine, "1", None)
    promote(engine, "2", "1")
    late = replace(FIRST, outcome=REFUSED, from_version="1", to_version="3", decision_key="k3")
    assert record_decision(engine, late) == late


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
    promote(engine, "1", None)
    second = replace(FIRST, to_version="2", from_version="1", decision_key=None)
    record_decision(engine, replace(second, data_version="d2", as_of=date(2012, 7, 6)))
    promote(engine, "3", "2")
    first = record_rollback(engine, "m", ("looks wrong",), "ann", NOW)
    assert first == PromotionRecord(
        model_name="m", action="rollback", outcome=PROMOTED, from_version="3", to_version="2", requested_by="ann",
        decided_at=NOW, reasons=("looks wrong",), figures={}, data_version="d2", code_version="c1",
        as_of=date(2012, 7, 6),
    )  # fmt: skip
    record_rollback(engine, "m", ("still",), "ann", NOW)
    assert champion(engine) == "1"
    promote(engine, "4", "1")
    with engine.connect() as conn:
        assert previous_champion(conn, "m") == "1"


def test_a_rollback_waits_for_the_decision_that_is_being_recorded(engine: Engine) -> None:
    promote(engine, "1", None)
    promote(engine, "2", "1")
    made: list[PromotionRecord] = []
    thread = threading.Thread(target=lambda: made.append(record_rollback(engine, "m", ("worse",), "ann", NOW)))
    with write_transaction(engine, _LOCK_PROMOTIONS) as conn:
        conn.execute(insert(promotions).values(decision(PROMOTED, "k3") | {"from_version": "2", "to_version": "3"}))
        thread.start()
        if engine.dialect.name == "postgresql":
            waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            until(lambda: made != [] or conn.execute(waiting).scalar_one() > 0)
    thread.join()
    assert [(record.from_version, record.to_version) for record in made] == [("3", "2")]


def test_a_rollback_brings_back_what_that_champion_was_made_of(engine: Engine) -> None:
    parts = {
        version: {"data_version": f"d{version}", "code_version": f"c{version}", "as_of": date(2012, 6, 1 + 7 * number)}
        for number, version in enumerate(("1", "2", "3"))
    }
    # Of another model and of the same versions, which are not in the way.
    other = replace(FIRST, model_name="another", decision_key=None, data_version="x", code_version="x")
    record_decision(engine, replace(other, to_version="2"))
    before = None
    for version, made_of in parts.items():
        record_decision(engine, replace(FIRST, to_version=version, from_version=before, decision_key=None, **made_of))
        before = version
    record_decision(engine, replace(other, to_version="9", from_version="2"))
    later = datetime(2012, 7, 9, tzinfo=UTC)
    made = record_rollback(engine, "m", ("looks wrong",), "ann", later)
    assert made == PromotionRecord(
        model_name="m", action="rollback", outcome=PROMOTED, from_version="3", to_version="2", requested_by="ann",
        decided_at=later, reasons=("looks wrong",), figures={}, data_version="d2", code_version="c2",
        as_of=parts["2"]["as_of"], forced=False, decision_key=None,
    )  # fmt: skip
    with engine.connect() as conn:
        assert (champion_version(conn, "m"), champion_version(conn, "another")) == ("2", "9")
        assert (previous_champion(conn, "m"), previous_champion(conn, "another")) == ("1", "2")
        assert [row["to_version"] for row in history(conn, "m")] == ["2", "3", "2", "1"]


def test_of_each_version_the_newest_decision_is_listed(engine: Engine) -> None:
    promote(engine, "1", None)
    record_decision(engine, replace(FIRST, outcome=REFUSED, from_version="1", to_version="2", decision_key="k2"))
    promote(engine, "2", "1")
    record_decision(engine, replace(FIRST, model_name="another", outcome=REFUSED, decision_key="k3"))
    with engine.connect() as conn:
        found = conn.execute(reads.PROMOTIONS_ORDER.page(reads.judged_versions(), None, None)).mappings().all()
        champions = [tuple(row) for row in conn.execute(reads.CHAMPIONS)]
    assert [(row["promotion_id"], row["model_name"], row["to_version"], row["outcome"]) for row in found] == [
        (4, "another", "1", REFUSED), (3, "m", "2", PROMOTED), (1, "m", "1", PROMOTED),
    ]  # fmt: skip
    assert champions == [("m", "1"), ("m", "2")]


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
        assert [row["decision_key"] for row in refusals_in_a_row(connection, limit=1)] == ["k5"]
