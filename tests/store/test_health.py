"""What the store says about health, on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine, insert

from demand_assets.store.health import chain_wmae, refusals_in_a_row, severe_drift, vintages_of
from demand_assets.store.tables import drift_reports, forecast_accuracy, forecast_vintages, promotions
from tests.monitoring_rows import accuracy, decision, drift, vintage

WEEK = date(2012, 6, 29)


def test_severe_rows_of_the_newest_report_come_largest_first(engine: Engine) -> None:
    rows = [
        drift(WEEK, "lag_52", 0.3, "severe"),
        drift(WEEK, "cpi", 2.0, "severe"),
        drift(WEEK, "missing", None, "severe"),
        drift(WEEK, "size", 9.0, "none"),
        drift(WEEK - timedelta(weeks=1), "old", 9.0, "severe"),
    ]
    with engine.begin() as connection:
        assert severe_drift(connection) == []
        connection.execute(insert(drift_reports), rows)
        assert [row["variable"] for row in severe_drift(connection)] == ["cpi", "lag_52", "missing"]


def test_a_week_without_severe_rows_hides_the_severe_week_before(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            insert(drift_reports),
            [drift(WEEK, "cpi", 0.1, "none"), drift(WEEK - timedelta(weeks=1), "cpi", 2.0, "severe")],
        )
        assert severe_drift(connection) == []


def test_wmae_is_pooled_over_horizons_of_the_vintages_published_last(engine: Engine) -> None:
    one, two = WEEK - timedelta(weeks=1), WEEK - timedelta(weeks=2)
    early, late = datetime(2012, 6, 25, tzinfo=UTC), datetime(2012, 6, 26, tzinfo=UTC)
    with engine.begin() as connection:
        connection.execute(
            insert(forecast_vintages),
            [vintage("a", one, late), vintage("z", one, early), vintage("b", two, early)],
        )
        connection.execute(
            insert(forecast_accuracy),
            [
                accuracy("a", 1, 300, 1000.0),
                accuracy("z", 1, 300, 9000.0),
                accuracy("b", 2, 100, 2000.0),
                accuracy("a", 1, 300, 5000.0, model="seasonal_naive"),
            ],
        )
        assert chain_wmae(connection) == {WEEK: pytest.approx(1250.0)}
        assert (vintages_of(connection, one), vintages_of(connection, WEEK)) == (2, 0)


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
