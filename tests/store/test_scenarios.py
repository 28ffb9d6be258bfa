"""Scenarios beside their base vintage, and what adopting one writes, on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from demand_assets.errors import ScenarioError
from demand_assets.store.overrides import OverrideRequest, record_override
from demand_assets.store.publish import VintageRecord, publish_vintage
from demand_assets.store.queries import counts, newest_vintage
from demand_assets.store.reads import scenarios as reads
from demand_assets.store.reads.overrides import active_overrides
from demand_assets.store.scenarios import ScenarioRecord, adopt_scenario, publish_scenario
from demand_assets.store.tables import overrides, scenarios

ORIGIN = date(2012, 10, 26)
W1, W2 = (ORIGIN + timedelta(weeks=ahead) for ahead in (1, 2))
NOW = datetime(2012, 10, 29, 9, 30, tzinfo=UTC)
RECORD = VintageRecord(ORIGIN, 2, "m", "1", "d", "c", datetime(2012, 10, 27, 6, tzinfo=UTC), "pieces")
SCENARIO_VINTAGE = replace(RECORD, data_version="d2", kind="scenario", published_at=NOW)
CHANGES = "covariate,change\nprice,*0.5\n"


def row(dept: str, week: date, forecast: float, order: float | None) -> tuple[Any, ...]:
    horizon = (week - ORIGIN).days // 7
    return ("A", dept, week, horizon, forecast, forecast - 1, forecast, forecast + 1, order)


def chain(week: date, forecast: float) -> tuple[Any, ...]:
    horizon = (week - ORIGIN).days // 7
    return ("chain", None, None, week, horizon, forecast, forecast - 5, forecast, forecast + 5, 2)


BASE = [row("3", W1, 10.0, 12.0), row("3", W2, 10.0, 12.0), row("4", W1, 5.0, None), row("4", W2, 5.0, 6.0)]
HALVED = [row("3", W1, 14.0, 17.0), row("3", W2, 13.0, 16.0), row("4", W1, 5.0, None), row("4", W2, 4.0, 5.0)]


@pytest.fixture
def base(engine: Engine) -> str:
    return publish_vintage(engine, RECORD, BASE, [chain(W1, 15.0), chain(W2, 15.0)]).vintage_id


def publish(engine: Engine, base: str, **changes: Any) -> tuple[Any, bool]:
    record = replace(ScenarioRecord("halved", base, CHANGES, 2, "ann", {"2012-11-02": [30.0, 19.0]}), **changes)
    return publish_scenario(engine, record, SCENARIO_VINTAGE, HALVED, [chain(W1, 19.0), chain(W2, 17.0)])


def rows_of(engine: Engine, statement: Any) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement)]


def test_a_scenario_records_its_base_changes_author_and_time(engine: Engine, base: str) -> None:
    made, is_new = publish(engine, base)
    assert is_new
    vintage_id = made["vintage_id"]
    assert made == {
        "name": "halved",
        "vintage_id": vintage_id,
        "base_vintage_id": base,
        "changes": CHANGES,
        "series": 2,
        "author": "ann",
        "created_at": NOW,
        "money": {"2012-11-02": [30.0, 19.0]},
        "adopted_by": None,
        "adopted_at": None,
        "sequence": 2,
        "origin_week": ORIGIN,
        "horizon_weeks": 2,
        "unit": "pieces",
        "method": "m",
        "model_version": "1",
        "data_version": "d2",
        "code_version": "c",
        "forecast": 36.0,
        "base_forecast": 30.0,
    }
    with engine.connect() as connection:
        newest = newest_vintage(connection)
    assert newest is not None
    assert newest["vintage_id"] == base


def test_the_same_scenario_again_adds_nothing(engine: Engine, base: str) -> None:
    made, _ = publish(engine, base)
    before = counts_of(engine)
    assert publish(engine, base, author="bob") == (made, False)
    assert counts_of(engine) == before


def counts_of(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return counts(connection)


def test_two_names_of_one_forecast_share_its_vintage(engine: Engine, base: str) -> None:
    first, _ = publish(engine, base)
    second, is_new = publish(engine, base, name="also", changes="covariate,change\nprice,-50%\n")
    assert (is_new, second["vintage_id"]) == (True, first["vintage_id"])
    names = rows_of(engine, reads.SCENARIOS_ORDER.page(reads.scenarios_with_totals(), None, None))
    assert [row[0] for row in names] == ["halved", "also"]


def test_a_name_stands_for_one_scenario(engine: Engine, base: str) -> None:
    publish(engine, base)
    with pytest.raises(ScenarioError, match=r"scenario halved exists, by ann, of other changes; .* another name"):
        publish(engine, base, changes="covariate,change\nprice,*0.6\n")
    record = ScenarioRecord("halved", base, CHANGES, 2, "ann")
    with pytest.raises(ScenarioError, match=r"is vintage .*, of code c; now it is .*, of code c2"):
        publish_scenario(engine, record, replace(SCENARIO_VINTAGE, code_version="c2"), HALVED)
    with pytest.raises(ScenarioError, match="expected a name of letters, digits"):
        publish(engine, base, name="../x")


def test_weeks_and_series_stand_beside_those_of_the_base(engine: Engine, base: str) -> None:
    made, _ = publish(engine, base)
    ids = (made["vintage_id"], base)
    assert rows_of(engine, reads.weeks_of(*ids)) == [
        (W1, 19.0, 14.0, 19.0, 24.0, 17.0, 15.0, 10.0, 15.0, 20.0, 12.0),
        (W2, 17.0, 12.0, 17.0, 22.0, 21.0, 15.0, 10.0, 15.0, 20.0, 18.0),
    ]
    statement, order = reads.differences_of(*ids, dept_id="4")
    assert rows_of(engine, order.page(statement, None, None)) == [
        ("A", "4", W1, 1, 5.0, 4.0, 5.0, 6.0, None, 5.0, None, 0.0),
        ("A", "4", W2, 2, 4.0, 3.0, 4.0, 5.0, 5.0, 5.0, 6.0, -1.0),
    ]
    assert rows_of(engine, reads.movers(*ids, most=9)) == [
        ("A", "3", 27.0, 20.0, 7.0),
        ("A", "4", 4.0, 5.0, -1.0),
    ]


def test_adopting_makes_overrides_of_the_moved_forecasts_alone(engine: Engine, base: str) -> None:
    publish(engine, base)
    ann = OverrideRequest("A", "3", W2, 99.0, "ann", "local fair", None, "key-1")
    record_override(engine, ann, NOW)
    record_override(engine, replace(ann, target_week=W1, idempotency_key="key-2"), NOW)
    record_override(engine, replace(ann, target_week=W1, override=None, idempotency_key="key-3"), NOW)
    adoption = adopt_scenario(engine, "halved", "bob", NOW)
    assert (adoption.added, adoption.kept) == (2, 1)
    names = ("dept_id", "target_week", "override", "forecast", "version", "author", "reason", "vintage_id")
    with engine.connect() as connection:
        found = connection.execute(active_overrides(NOW)).mappings().all()
    assert sorted(tuple(each[name] for name in names) for each in found) == [
        ("3", W1, 14.0, 10.0, 3, "bob", "scenario halved", base),
        ("3", W2, 99.0, 10.0, 1, "ann", "local fair", base),
        ("4", W2, 4.0, 5.0, 1, "bob", "scenario halved", base),
    ]
    assert rows_of(engine, select(overrides.c.idempotency_key).where(overrides.c.author == "bob").limit(1)) == [
        ("scenario:halved:1:1:2012-11-02",)
    ]


def test_adopting_again_adds_nothing(engine: Engine, base: str) -> None:
    publish(engine, base)
    adopt_scenario(engine, "halved", "bob", NOW)
    again = adopt_scenario(engine, "halved", "ann", NOW + timedelta(days=1))
    assert (again.added, again.kept) == (0, 0)
    adopted = rows_of(engine, select(scenarios.c.adopted_by, scenarios.c.adopted_at))
    assert adopted == [("bob", NOW)]


def test_a_scenario_beside_an_old_forecast_is_not_adopted(engine: Engine, base: str) -> None:
    publish(engine, base)
    publish_vintage(engine, replace(RECORD, model_version="2"), BASE)
    with pytest.raises(ScenarioError, match=f"stands beside forecast {base}, which is no longer the newest"):
        adopt_scenario(engine, "halved", "bob", NOW)
    with pytest.raises(ScenarioError, match=r"expected the name of a scenario \(halved\), got 'other'"):
        adopt_scenario(engine, "other", "bob", NOW)
    assert counts_of(engine)["overrides"] == 0


def test_a_scenario_that_moves_nothing_has_nothing_to_adopt(engine: Engine, base: str) -> None:
    record = ScenarioRecord("same", base, CHANGES, 2, "ann")
    publish_scenario(engine, record, SCENARIO_VINTAGE, BASE)
    with pytest.raises(ScenarioError, match="scenario same has nothing to adopt: it moves no forecast"):
        adopt_scenario(engine, "same", "bob", NOW)
