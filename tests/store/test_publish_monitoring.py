"""What monitoring publishes of a week, in place of what it published before, on both databases."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from demand_assets.errors import StoreError
from demand_assets.store.publish import publish_distributions, publish_drift

ORIGIN = date(2012, 10, 26)


def _drift(group: str, severity: str, psi: float | None) -> tuple[Any, ...]:
    numbers = (psi, 0.1, None, 0.3, 0.0)
    return (ORIGIN, "training", "department", group, "lag_0", "feature", 45, 2000, *numbers, severity)


def test_a_drift_report_replaces_that_of_its_week_only(engine: Engine) -> None:
    earlier = ORIGIN - timedelta(weeks=1)
    publish_drift(engine, earlier, [(earlier, *_drift("1", "none", 0.1)[1:])])
    publish_drift(engine, ORIGIN, [_drift("1", "warn", 0.4), _drift("2", "none", None)])
    assert publish_drift(engine, ORIGIN, [_drift("1", "severe", 0.5)]) == 1
    with engine.connect() as connection:
        rows = connection.execute(text("select week, group_id, severity, psi, ks_p from drift_reports order by week"))
        assert [(str(week), *rest) for week, *rest in rows] == [
            (earlier.isoformat(), "1", "none", 0.1, None),
            (ORIGIN.isoformat(), "1", "severe", 0.5, None),
        ]
    with pytest.raises(StoreError, match=f"expected rows of {earlier}"):
        publish_drift(engine, earlier, [_drift("1", "none", 0.1)])


def test_distributions_replace_those_of_their_week_together(engine: Engine) -> None:
    earlier = ORIGIN - timedelta(weeks=1)

    def published(week: date, value: float, of: date | None = None) -> int:
        quantiles = (of or week, "lag_1", "week", 4, 1, value, None, *[value] * 11)
        return publish_distributions(engine, week, [quantiles], [(week, "lag_1", "week", 120, value, None, 4)])

    assert [published(week, value) for week, value in ((earlier, 1.0), (ORIGIN, 2.0), (ORIGIN, 3.0))] == [2, 2, 2]
    with pytest.raises(StoreError, match="distribution_quantiles: expected rows of"):
        published(ORIGIN, 4.0, earlier)
    with engine.connect() as connection:
        for statement in (
            "select mean, deviation, q050 from distribution_quantiles order by week",
            "select low, high, low from distribution_histograms order by week",
        ):
            assert [tuple(row) for row in connection.execute(text(statement))] == [(1.0, None, 1.0), (3.0, None, 3.0)]
