"""A retailer whose ids are all that ids can be, and whose weeks end on Sunday."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from demand_assets.store.dataset import Dataset, Member, publish_dataset, publish_members
from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate
from demand_assets.store.overrides import OverrideRequest, record_override
from demand_assets.store.publish import (
    VintageRecord,
    publish_accuracy,
    publish_actuals,
    publish_conditions,
    publish_drift,
    publish_exceptions,
    publish_vintage,
)

# A path, a formula, a tag, escapes, ids that differ by case, a zero, a space or a combining character, and the longest.
IDS = (
    "food/1", "../..", "=1+1", "@x", "<b>", '<img src=x onerror="alert(1)">', "%31", "100%", "a b", "A b", "a  b",
    "a+b", "0", "00", "7", "007", "7.0", "1e3", "all", "null", "chain", "日本 🎪", "é", "e\u0301", "#?&=", "a,b;c",
    "it's", 'say "x"', "back\\slash", "{x}", "x" * 200, "🎪" * 200,
)  # fmt: skip
STORE, NAME = "ZRH-01", "Zürich HB"
ORIGIN = date(2012, 10, 28)
HORIZON = 2
DATASET = Dataset("EUR", ORIGIN.weekday(), "Shop", "Article")
PUBLISHED = datetime(2012, 10, 29, 6, tzinfo=UTC)
NOW = PUBLISHED + timedelta(hours=2)


def name_of(dept: str) -> str | None:
    """Every second department has a name."""
    return f"Name of {dept}"[:40] if IDS.index(dept) % 2 == 0 else None


def fill(url: str, origin: date = ORIGIN, published: datetime = PUBLISHED, weeks: int = 60) -> None:
    """Something in every table: for each id a series of the store, and the id as a store of its own."""
    migrate(url)
    engine = create_engine_for(url)
    publish_dataset(engine, DATASET, published)
    publish_members(
        engine,
        [Member(STORE, NAME, {"region": "ZH", "size": 120.5})],
        [Member(each, name_of(each)) for each in IDS],
        published,
    )
    keys = [(STORE, each) for each in IDS] + [(each, "food/1") for each in IDS]
    sold = [origin - timedelta(weeks=back) for back in range(weeks)]
    publish_actuals(engine, [(*key, week, 100.0 + at, False) for at, key in enumerate(keys) for week in sold])
    publish_conditions(engine, [(STORE, week, False, 60.0, 3.5, 211.0, 8.1) for week in sold])
    for start in (origin - timedelta(weeks=1), origin):
        rows = [
            (*key, start + timedelta(weeks=ahead), ahead, 100.0 + at, 90.0, 100.0 + at, 190.0 + at, 120.0 + at)
            for at, key in enumerate(keys)
            for ahead in range(1, HORIZON + 1)
        ]
        attributions = [(*row[:3], row[4] - 6, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0) for row in rows]
        totals = [
            (level, store, dept, start + timedelta(weeks=ahead), ahead, 500.0, 400.0, 500.0, 700.0, 3)
            for level, store, dept in _totals()
            for ahead in range(1, HORIZON + 1)
        ]
        record = VintageRecord(start, HORIZON, "xgboost", "7", f"data-{start}", "0.1.0", published, DATASET.unit)
        made = publish_vintage(engine, record, rows, totals, attributions).vintage_id
        if start < origin:
            first = made
    scores = (3, 8.0, 8.0, 9.0, 1.0, 880.0, 3.0, 0.8, 1.0, 0.5)
    publish_accuracy(engine, [(origin, first, "xgboost", 1, *total, *scores) for total in _totals()])
    said = "sold 340 EUR, above p90, after a forecast of 131 EUR"
    publish_exceptions(
        engine,
        origin,
        [(origin, first, *key, at, 1, 131.0, 121.0, 151.0, None, 340.0, 9.0, said) for at, key in enumerate(keys, 1)],
    )
    publish_drift(
        engine,
        origin,
        [
            (origin, "training", "department", each, "mean_13", "feature", 9, 40, 0.1, 0.1, 0.1, 1.4, 0.0, "severe")
            for each in IDS
        ],
    )
    for at, each in enumerate(IDS):
        for week, when in ((origin, origin - timedelta(days=2)), (origin + timedelta(weeks=1), origin)):
            moment = datetime.combine(when, published.timetz())
            request = OverrideRequest(STORE, each, week, 150.0, "Ada", "fair", None, f"{at}-{week}")
            record_override(engine, request, moment)
    engine.dispose()


def _totals() -> list[tuple[str, str | None, str | None]]:
    stores = dict.fromkeys((STORE, *IDS))
    return [("chain", None, None), *(("store", each, None) for each in stores),
            *(("department", None, each) for each in IDS)]  # fmt: skip


def rename(url: str, name: str) -> None:
    """Give the store another name, a moment later."""
    engine = create_engine_for(url)
    publish_members(engine, [Member(STORE, name)], [], NOW)
    engine.dispose()
