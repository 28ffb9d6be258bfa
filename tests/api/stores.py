"""Stores for the tests: a small one, and one with something in every table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from demand_assets.store.dataset import Member, publish_members
from demand_assets.store.engine import create_engine_for
from demand_assets.store.ledger import PROMOTE, PROMOTED, REFUSED, PromotionRecord, record_decision
from demand_assets.store.migrations import migrate
from demand_assets.store.overrides import OverrideRequest, record_override
from demand_assets.store.publish import (
    VintageRecord,
    publish_accuracy,
    publish_actuals,
    publish_conditions,
    publish_distributions,
    publish_drift,
    publish_drivers,
    publish_exceptions,
    publish_vintage,
)

ORIGIN = date(2012, 10, 26)
WEEK = date(2012, 11, 2)
RECORD = VintageRecord(ORIGIN, 2, "xgboost", "7", "data-1", "0.1.0", datetime(2012, 10, 27, 6, tzinfo=UTC), "USD")
ASKED = {"store_id": "1", "dept_id": "3", "week": "2012-11-02"}
NOW = datetime(2012, 10, 29, 8, tzinfo=UTC)


def fill(folder: Path) -> str:
    url = f"sqlite:///{folder / 'store.db'}"
    migrate(url)
    engine = create_engine_for(url)
    rows = [
        ("1", "3", WEEK, 1, 100.5, 80.0, 99.0, 130.0, 120.0),
        ("1", "3", WEEK + timedelta(weeks=1), 2, 110.0, 85.0, 109.0, 140.0, None),
    ]
    publish_vintage(engine, RECORD, rows)
    publish_vintage(
        engine,
        replace(RECORD, origin_week=ORIGIN - timedelta(weeks=1), model_version="6"),
        [(*rows[0][:3], 2, *rows[0][4:])],
    )
    engine.dispose()
    return url


SERIES = (("1", "3"), ("1", "4"), ("2", "3"))
ORIGINS = (ORIGIN - timedelta(weeks=2), ORIGIN - timedelta(weeks=1), ORIGIN)
LAST_YEAR = WEEK - timedelta(weeks=52)
# A text that a spreadsheet would run, and one that is not ASCII.
FORMULA, UNICODE = '=HYPERLINK("http://x")', "Straßenfest, 日本 🎪"


def forecast_rows(origin: date, more: float = 0.0) -> list[tuple[Any, ...]]:
    """Two weeks of each series: 100 x store + 10 x dept + horizon + `more`, p10 10 less, p90 20 more."""
    rows = []
    for store, dept in SERIES:
        for horizon in (1, 2):
            made = 100.0 * int(store) + 10 * int(dept) + horizon + more
            week = origin + timedelta(weeks=horizon)
            rows.append(
                (store, dept, week, horizon, made, made - 10, made, made + 20, None if dept == "4" else made + 5)
            )
    return rows


def publish_full_vintage(engine: Any, origin: date, more: float = 0.0, **record: Any) -> str:
    """A vintage with totals and attributions."""
    rows = forecast_rows(origin, more)
    keys = (
        {(store, None, "store") for store, _ in SERIES}
        | {(None, dept, "department") for _, dept in SERIES}
        | {(None, None, "chain")}
    )
    totals = []
    for store, dept, level in keys:
        for horizon in (1, 2):
            parts = [row for row in rows if store in (None, row[0]) and dept in (None, row[1]) and row[3] == horizon]
            made = sum(row[4] for row in parts)
            totals.append((level, store, dept, parts[0][2], horizon, made, made - 30, made, made + 30, len(parts)))
    attributions = [(*row[:3], row[4] - 21, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0) for row in rows]
    made = replace(
        RECORD,
        origin_week=origin,
        published_at=datetime.combine(origin, RECORD.published_at.timetz()) + timedelta(days=1),
    )
    return publish_vintage(engine, replace(made, **record), rows, totals, attributions).vintage_id


def fill_full(url: str) -> None:
    """Something in every table: three origins, the newest run twice; sales, scores, decisions, overrides."""
    migrate(url)
    engine = create_engine_for(url)
    first, before = (publish_full_vintage(engine, origin, model_version="6") for origin in ORIGINS[:2])
    publish_full_vintage(engine, ORIGIN, 50.0)
    publish_full_vintage(engine, ORIGIN, data_version="data-2", published_at=RECORD.published_at + timedelta(hours=3))
    # Of 2/9 there are sales and no forecast.
    publish_actuals(
        engine,
        [
            (*key, week, 100.0 * number + 10 * int(key[1]) + int(key[0]), week == LAST_YEAR)
            for number, week in enumerate((LAST_YEAR, *ORIGINS[1:]), start=1)
            for key in (*SERIES, ("2", "9"))
        ],
    )
    publish_conditions(
        engine,
        [(store, week, week == WEEK, 55.5, 3.2, 210.0, 7.9) for store in ("1", "2") for week in (*ORIGINS, WEEK)],
    )
    past = (LAST_YEAR, ORIGIN)
    publish_drivers(
        engine,
        [(1, "price", "number", True), (2, "promo=b", "flag", True), (3, "markdown", "number", False)],
        [
            *((*key, 1, *past, 2.5, False) for key in SERIES),
            *((*key, 1, WEEK, WEEK + timedelta(weeks=1), 1.99, True) for key in SERIES),
            ("1", None, 2, *past, 0.0, False),
            ("1", None, 2, WEEK, WEEK, 1.0, True),
            *((store, None, 3, ORIGIN, ORIGIN, 1500.0, False) for store in ("1", "2")),
        ],
    )
    model, naive, chain = RECORD.method, "seasonal_naive", ("chain", None, None)
    publish_accuracy(
        engine,
        [
            #   points, wmae, mae, rmse, bias, actual, error, coverage, fva, tracking signal
            (ORIGINS[1], first, model, 1, *chain, 3, 8.0, 8.0, 9.0, 1.0, 880.0, 3.0, None, None, None),
            (ORIGIN, before, model, 1, *chain, 3, 10.0, 10.0, 12.0, -2.0, 900.0, -6.0, 0.8, 5.0, 1.5),
            (ORIGIN, before, "final", 1, *chain, 3, 9.0, 9.0, 11.0, -1.0, 900.0, -3.0, 0.8, 6.0, None),
            (ORIGIN, before, naive, 1, *chain, 3, 15.0, 15.0, 16.0, 0.0, 900.0, 0.0, None, None, None),
            (ORIGIN, first, model, 2, *chain, 1, 20.0, 20.0, 20.0, 6.0, 300.0, 6.0, None, -1.0, None),
            (ORIGIN, first, "final", 2, *chain, 1, 20.0, 20.0, 20.0, 6.0, 300.0, 6.0, None, -1.0, None),
            (ORIGIN, first, naive, 2, *chain, 1, 19.0, 19.0, 19.0, 0.0, 300.0, 0.0, None, None, None),
            (ORIGIN, before, model, 1, "store", "1", None, 2, 9.0, 9.0, 9.5, 1.0, 500.0, 2.0, 1.0, 2.0, 0.5),
        ],
    )
    for week, sample in ((ORIGINS[1], "week"), (ORIGIN, "last_season")):
        of = (week, "weekly_sales", sample)
        bins = [(*of, 120, None, -1.0, 1), (*of, 121, -1.0, 5.0, 39)]
        publish_distributions(engine, week, [(*of, 40, 0, 2.5, 1.0, *map(float, range(11)))], bins)
    for week, severity in ((ORIGINS[1], "none"), (ORIGIN, "severe")):
        publish_drift(
            engine,
            week,
            [
                (
                    week,
                    "training",
                    "chain",
                    "all",
                    "weekly_sales",
                    "number",
                    40,
                    400,
                    0.31,
                    0.2,
                    0.01,
                    0.5,
                    None,
                    severity,
                ),
                (week, "last_season", "store", "1", "weekly_sales", "number", 9, 40, 0.12, 0.1, 0.2, 0.1, None, "warn"),
                (week, "training", "store", "2", "markdown", "number", 3, 40, None, None, None, None, 0.4, "few"),
            ],
        )
    publish_exceptions(
        engine,
        ORIGIN,
        [
            (ORIGIN, before, *key, rank, 1, 131.0, 121.0, 151.0, None, 340.0, 209.0 / rank, reason)
            for key, rank, reason in ((SERIES[0], 1, FORMULA), (SERIES[1], 2, UNICODE), (SERIES[2], 3, "above p90"))
        ],
    )
    facts = [Member(name, None, {"region": "north", "size = m²": 100.5, "open": name == "1"}) for name in ("1", "2")]
    publish_members(engine, facts, [Member("3", None, {"kind": FORMULA}), Member("4", None, {"kind": "dry"})], NOW)
    decided = PromotionRecord(
        "demand_forecaster", PROMOTE, PROMOTED, None, "6", "gate", datetime(2012, 10, 20, tzinfo=UTC), ("first model",),
        {"challenger_wmae": 11.0, "seasonal_naive_wmae": 16.0}, "data-1", "0.1.0", ORIGINS[1],
    )  # fmt: skip
    record_decision(engine, decided)
    later = {"from_version": "6", "decided_at": datetime(2012, 10, 27, tzinfo=UTC), "as_of": ORIGIN}
    record_decision(engine, replace(decided, **later, to_version="7", reasons=(), figures={"challenger_wmae": 9.5}))
    record_decision(
        engine,
        replace(decided, **later | {"from_version": "7"}, to_version="8", outcome=REFUSED, reasons=("worse", "biased")),
    )
    wanted = OverrideRequest("1", "3", ORIGIN, 300.0, "Ada", UNICODE, None, "key-1")
    early = datetime(2012, 10, 24, tzinfo=UTC)
    record_override(engine, wanted, early)
    record_override(
        engine, replace(wanted, dept_id="4", override=120.0, reason=FORMULA, idempotency_key="key-2"), early
    )
    record_override(engine, replace(wanted, store_id="2", override=331.0, idempotency_key="key-3"), early)
    record_override(engine, replace(wanted, target_week=WEEK, override=160.0, idempotency_key="key-4"), NOW)
    record_override(engine, replace(wanted, target_week=WEEK, override=170.0, idempotency_key="key-5"), NOW)
    record_override(engine, replace(wanted, dept_id="4", target_week=WEEK, override=9.0, idempotency_key="key-6"), NOW)
    record_override(engine, replace(wanted, dept_id="4", target_week=WEEK, override=None, idempotency_key="key-7"), NOW)
    engine.dispose()
