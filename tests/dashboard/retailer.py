"""A small invented retailer in a store, as the pipeline would have published it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from math import sin

from sqlalchemy import select

from demand_assets.store.dataset import Member, publish_holidays, publish_members
from demand_assets.store.engine import create_engine_for
from demand_assets.store.keys import create_key
from demand_assets.store.ledger import PROMOTE, PROMOTED, REFUSED, PromotionRecord, record_decision
from demand_assets.store.migrations import migrate
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
from demand_assets.store.queries import forecasts_of, newest_vintage
from demand_assets.store.scenarios import ScenarioRecord, publish_scenario
from demand_assets.store.tables import forecast_vintages

STORES, DEPTS, HORIZON = ("1", "2"), ("3", "7", "11"), 4
VINTAGES, WEEKS = 3, 60
MODEL = "xgboost"


def friday(now: datetime) -> date:
    """The last Friday whose week has ended at `now`."""
    day = now.date() - timedelta(days=1)
    return day - timedelta(days=(day.weekday() - 4) % 7)


def sales(store: str, dept: str, week: date) -> float:
    """A level per series and a season."""
    level = 9000.0 * int(dept) / 3 + 1500.0 * int(store)
    season = 1 + 0.2 * sin(week.timetuple().tm_yday / 58)
    noise = 1 + 0.04 * sin(week.toordinal() * (int(store) + 3 * int(dept)))
    return round(level * season * noise, 2)


def is_holiday(week: date) -> bool:
    """One in thirteen."""
    return (week.toordinal() // 7) % 13 == 0


def family(dept: str) -> str:
    """An attribute that departments share."""
    return "fresh" if int(dept) < 10 else "dry"


def fill(url: str, origin: date, stores: tuple[str, ...] = STORES, depts: tuple[str, ...] = DEPTS,
         vintages: int = VINTAGES, weeks: int = WEEKS) -> None:  # fmt: skip
    """Publish everything that the service shows, the newest origin `origin`."""
    migrate(url)
    engine = create_engine_for(url)
    sold = [origin - timedelta(weeks=back) for back in range(weeks)]
    ahead = [origin + timedelta(weeks=horizon) for horizon in range(1, HORIZON + 1)]
    keys = [(store, dept) for store in stores for dept in depts]
    publish_actuals(engine, [(*key, week, sales(*key, week), is_holiday(week)) for key in keys for week in sold])
    publish_conditions(
        engine,
        [(store, week, is_holiday(week), 60.0, 3.5, 211.0, 8.1) for store in stores for week in [*sold, *ahead]],
    )
    publish_drivers(engine, DRIVERS, _drivers(keys, sorted(sold), ahead))
    publish_members(
        engine,
        [Member(store, None, {"region": "north", "area": 100.0 * int(store)}) for store in stores],
        [Member(dept, None, {"family": family(dept)}) for dept in depts],
        datetime.combine(origin, time(6), UTC),
    )
    named = [week for week in [*sold, *ahead] if is_holiday(week)]
    publish_holidays(engine, {week: f"Feast {number}" for number, week in enumerate(sorted(named)[1:], 1)})
    for back in reversed(range(vintages)):
        _vintage(url, origin - timedelta(weeks=back), keys)
    scored = [origin - timedelta(weeks=back) for back in range(vintages - 1)]
    for week in scored:
        _scores(url, week, keys)
    for back in range(vintages + 2):
        _drift(url, origin - timedelta(weeks=back), keys)
    _ledger(url, origin)
    _scenario(url, origin, keys)
    engine.dispose()


DRIVERS = [
    (1, "shelf_price", "number", True), (2, "promo", "flag", True), (3, "strike", "flag", True),
    (4, "markdown", "number", False),
]  # fmt: skip


def _drivers(keys: list[tuple[str, str]], sold: list[date], ahead: list[date]) -> list[tuple[object, ...]]:
    """A price that is cut in the second week ahead, promotions of a store, markdowns; a strike never."""
    cut, usual = 1234.5, 1999.95
    rows: list[tuple[object, ...]] = []
    for key in keys:
        rows += [(*key, 1, sold[0], sold[-9], usual, False), (*key, 1, sold[-8], sold[-8], cut, False)]
        rows += [(*key, 1, sold[-7], sold[-1], usual, False), (*key, 1, ahead[0], ahead[0], usual, True)]
        rows += [(*key, 1, ahead[1], ahead[1], cut, True), (*key, 1, ahead[2], ahead[-1], usual, True)]
    for store in dict.fromkeys(store for store, _ in keys):
        for number, is_planned, weeks in ((2, False, sold), (2, True, ahead), (3, False, sold)):
            rows += [
                (store, None, number, week, week, float(number == 2 and not is_planned and week.day < 8), is_planned)
                for week in weeks
            ]
        rows += [(store, None, 4, week, week, 4000.0, week > sold[-1]) for week in [*sold, *ahead] if week.day < 8]
    # One series has its own promotion in the second week ahead.
    return [*rows, (*keys[0], 2, ahead[1], ahead[1], 1.0, True)]


def forecast(store: str, dept: str, week: date) -> float:
    """A little under what is sold."""
    return round(sales(store, dept, week) * (0.97 + 0.03 * sin(week.toordinal() + int(dept))), 2)


def _vintage(url: str, origin: date, keys: list[tuple[str, str]]) -> None:
    engine = create_engine_for(url)
    rows, attributions, totals = [], [], {}
    for store, dept in keys:
        for horizon in range(1, HORIZON + 1):
            week = origin + timedelta(weeks=horizon)
            value = forecast(store, dept, week) + 20.0 * horizon
            spread = value * (0.05 + 0.02 * horizon)
            rows.append(
                (store, dept, week, horizon, value, value - spread, value, value + 1.2 * spread, value + spread)
            )
            parts = (value * 0.04, -value * 0.02, value * 0.015, value * 0.01, -value * 0.005, value * 0.002)
            attributions.append((store, dept, week, value - sum(parts), *parts))
            for key in (("chain", None, None), ("store", store, None), ("department", None, dept)):
                entry = totals.setdefault((*key, week, horizon), [0.0, 0])
                entry[0] += value
                entry[1] += 1
    record = VintageRecord(
        origin, HORIZON, MODEL, "2", "5be1d20a9c3f7e61", "0.3.0",
        datetime.combine(origin + timedelta(days=1), time(6), UTC), "USD",
    )  # fmt: skip
    summed = [(*key, value, value * 0.94, value, value * 1.07, series) for key, (value, series) in totals.items()]
    publish_vintage(engine, record, rows, summed, attributions)
    engine.dispose()


def _scenario(url: str, origin: date, keys: list[tuple[str, str]]) -> None:
    """What if the first series sold a fifth more."""
    engine = create_engine_for(url)
    with engine.connect() as connection:
        base = newest_vintage(connection)
        assert base is not None
        stored = forecasts_of(connection, base["vintage_id"])
    rows = [(*row[:4], *(each * (1.2 if row[:2] == keys[0] else 1.0) for each in row[4:])) for row in stored]
    totals = []
    for horizon in range(1, HORIZON + 1):
        value = sum(row[4] for row in rows if row[3] == horizon)
        week = origin + timedelta(weeks=horizon)
        totals.append(("chain", None, None, week, horizon, value, value * 0.94, value, value * 1.07, len(keys)))
    names = ("horizon_weeks", "method", "model_version", "code_version", "unit")
    asked = datetime.combine(origin + timedelta(days=2), time(9), UTC)
    record = VintageRecord(
        origin_week=origin, data_version="changed", published_at=asked, kind="scenario",
        **{name: base[name] for name in names},
    )  # fmt: skip
    scenario = ScenarioRecord("half-price", base["vintage_id"], "covariate,change\nprice,*0.5\n", 1, "ann")
    publish_scenario(engine, scenario, record, rows, totals)
    engine.dispose()


def _risk(store: str, dept: str, week: date) -> float:
    return abs(sales(store, dept, week) - forecast(store, dept, week)) * 0.75


def _scores(url: str, week: date, keys: list[tuple[str, str]]) -> None:
    engine = create_engine_for(url)
    with engine.connect() as connection:
        of_origin = select(forecast_vintages.c.vintage_id).where(
            forecast_vintages.c.origin_week == week - timedelta(weeks=1)
        )
        found = connection.execute(of_origin).scalar_one()
    wave = sin(week.toordinal())
    rows = []
    totals: list[tuple[str, str | None, str | None]] = [("chain", None, None)]
    totals += [("store", store, None) for store in sorted({store for store, _ in keys})]
    totals += [("department", None, dept) for dept in sorted({dept for _, dept in keys})]
    for total in totals:
        for model, wmae, more in (
            (MODEL, 900 + 90 * wave, (0.8 + 0.05 * wave, 380 - 200 * wave)),
            ("final", 870 + 90 * wave, (0.8 + 0.05 * wave, 410 - 200 * wave)),
            ("seasonal_naive", 1280 - 110 * wave, (None, None)),
        ):
            errors = (wmae, wmae * 0.9, wmae * 1.3, -120.0, 1e6, -2e4)
            rows.append((week, found, model, 1, *total, len(keys), *errors, *more, 1.2))
    publish_accuracy(engine, rows)
    exceptions = []
    worst = sorted(keys, key=lambda key: -_risk(*key, week))[: max(3, len(keys) // 4)]
    for rank, (store, dept) in enumerate(worst, 1):
        sold, value = sales(store, dept, week), forecast(store, dept, week)
        above = rank % 3 > 0
        low, high = (value * 0.8, sold * 0.95) if above else (sold * 1.04, sold * 1.3)
        side = "above p90" if above else "below p10"
        reason = f"sold {sold:,.0f} USD, {side}, after a forecast of {value:,.0f} USD"
        risk = _risk(store, dept, week)
        exceptions.append((week, found, store, dept, rank, 1, value, low, high, value * 1.05, sold, risk, reason))
    publish_exceptions(engine, week, exceptions)
    engine.dispose()


VARIABLES = ("cpi_change", "fuel_change", "growth_4", "lag_1", "markdown", "mean_13", "prediction", "temperature")


def _drift(url: str, week: date, keys: list[tuple[str, str]]) -> None:
    engine = create_engine_for(url)
    rows = []
    groups = [("chain", "all"), *(("store", store) for store in sorted({store for store, _ in keys}))]
    for place, variable in enumerate(VARIABLES):
        for reference in ("training", "last_season"):
            for at, (kind, group) in enumerate(groups):
                shift = 1.4 * sin(week.toordinal() / 30 + 2 * place) - 0.1 * at
                severity = "severe" if shift > 1.1 else "warn" if shift > 0.85 else "none"
                if variable == "markdown" and reference == "training":
                    severity = "few"
                what = "prediction" if variable == "prediction" else "feature"
                size = (abs(shift) / 5, abs(shift) / 4, 0.01, shift, 0.0)
                rows.append((week, reference, kind, group, variable, what, 40, 2000, *size, severity))
    publish_drift(engine, week, rows)
    samples = [(week, variable, sample) for variable in VARIABLES for sample in ("week", "last_season")]
    levels = [-1.65, -1.6, -1.2, -0.8, -0.3, 0.1, 0.6, 1.1, 1.4, 1.6, 1.7]
    moved = {of: sin(week.toordinal() / 30 + len(of[1])) + (of[2] == "week") for of in samples}
    publish_distributions(
        engine,
        week,
        [(*of, 40, 2, by, 1.0, *(by + level for level in levels)) for of, by in moved.items()],
        [
            (*of, 130 + place, 10 ** (place / 10), 10 ** ((place + 1) / 10), 5 + (place * (3 if by > 1 else 2)) % 11)
            for of, by in moved.items()
            for place in range(8)
        ],
    )
    engine.dispose()


def _ledger(url: str, origin: date) -> None:
    engine = create_engine_for(url)
    figures = {"challenger_wmae": 1290.7, "seasonal_naive_wmae": 1837.5, "coverage": 0.825, "bias_share": -0.012}
    decided = datetime.combine(origin - timedelta(weeks=8), time(7), UTC)
    first = PromotionRecord(
        "demand_forecaster", PROMOTE, PROMOTED, None, "1", "gate of train_and_forecast", decided,
        ("WMAE 1,291 beats seasonal naive's 1,838 by 29.8%", "no champion yet"), figures, "9c3f7e61", "0.3.0",
        origin - timedelta(weeks=8), decision_key="a",
    )  # fmt: skip
    record_decision(engine, first)
    for version, outcome, weeks, wmae, reason in (
        ("2", PROMOTED, 5, 1241.2, "WMAE 1,241 beats the champion's 1,302 by 4.7% (p = 0.003)"),
        ("3", REFUSED, 2, 1339.9, "WMAE 1,340 is worse than the champion's 1,250"),
    ):
        record_decision(
            engine,
            PromotionRecord(
                "demand_forecaster",
                PROMOTE,
                outcome,
                "1" if version == "2" else "2",
                version,
                "gate of train_and_forecast",
                datetime.combine(origin - timedelta(weeks=weeks), time(7), UTC),
                (reason, "p10 to p90 hold 81%, 60% to 95% allowed"),
                {**figures, "challenger_wmae": wmae, "champion_wmae": 1250.0},
                "5be1d20a9c3f7e61",
                "0.3.0",
                origin - timedelta(weeks=weeks),
                decision_key=version,
            ),
        )
    engine.dispose()


def key(url: str) -> str:
    """A new API key that may read and write."""
    engine = create_engine_for(url)
    token, _ = create_key(engine, "dashboard", ("read", "write"), datetime.now(UTC))
    engine.dispose()
    return token
