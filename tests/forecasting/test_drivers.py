"""Drivers: what an origin knows of them, their features, and the effects that the base has."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting.attributions import attributions
from demand_assets.forecasting.drivers import ALL, DriverFrames, column_names
from demand_assets.forecasting.elasticities import LEVEL_WEEKS, PRIOR_WEEKS, deviations, effects, evidence
from demand_assets.forecasting.features import (
    FEATURES,
    block_features,
    build_features,
    column_texts,
    feature_blocks,
    features_of,
)
from demand_assets.forecasting.forecaster import Forecaster, fit
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.forecasting.panel import Panel, build_panel
from demand_assets.forecasting.weeks import add_weeks, weeks_between
from demand_assets.monitoring.drift import drift_report
from demand_assets.monitoring.drift_metrics import measured
from demand_assets.sample import SampleData
from tests.conftest import us_calendar

HORIZON = 4
ORIGIN = pd.Timestamp("2011-07-29")
NAMES = ("Promo", "price")
FRAMES = ("of_stores", "of_series", "plans")


def _driven(retailer: SampleData) -> tuple[pd.DataFrame, DriverFrames]:
    """The sample's sales, doubled by promotions of stores and halved by a doubled price of series."""
    random = np.random.default_rng(5)
    sales = retailer.sales
    weeks = weeks_between(sales["week"].min(), add_weeks(sales["week"].max(), HORIZON))
    every = pd.DataFrame({"week": weeks})
    of_stores = sales[["store_id"]].drop_duplicates().merge(every, how="cross")
    of_stores["Promo"] = random.integers(0, 2, len(of_stores)).astype(float)
    of_series = sales[["store_id", "dept_id"]].drop_duplicates().merge(every, how="cross")
    of_series["price"] = random.choice([2.0, 4.0], len(of_series))
    held = sales.merge(of_stores).merge(of_series)
    moved = held["sales"] * 2.0 ** held["Promo"] * held["price"] / 2.0 * (2.0 / held["price"]) ** 2
    plans = of_series.iloc[:0].assign(origin_week=weeks[:0], Promo=0.0)
    return held[["store_id", "dept_id", "week"]].assign(sales=moved), DriverFrames(NAMES, of_stores, of_series, plans)


@pytest.fixture(scope="module")
def driven(retailer: SampleData) -> tuple[pd.DataFrame, DriverFrames]:
    return _driven(retailer)


def _panel(retailer: SampleData, sales: pd.DataFrame, drivers: DriverFrames | None) -> Panel:
    calendar = us_calendar(retailer, HORIZON)
    return build_panel(sales, retailer.conditions, retailer.stores, calendar, HORIZON, drivers=drivers)


@pytest.fixture(scope="module")
def panel(retailer: SampleData, driven: tuple[pd.DataFrame, DriverFrames]) -> Panel:
    return _panel(retailer, *driven)


def _plans(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"dept_id": ALL, **columns})


def _small(plans: pd.DataFrame | None = None) -> Panel:
    """Two stores of two departments in six weeks and two to come; a promotion per store and a price per series."""
    weeks = pd.date_range("2020-01-03", periods=8, freq="7D")
    keys = pd.MultiIndex.from_product([[1, 2], [1, 2], weeks], names=["store_id", "dept_id", "week"])
    rows = keys.to_frame(index=False).assign(sales=10.0, price=np.arange(1.0, 33.0))
    of_stores = rows[rows["dept_id"] == 1].assign(promo=np.tile([0.0, 1.0], 8))[["store_id", "week", "promo"]]
    of_series = rows[["store_id", "dept_id", "week", "price"]]
    none = of_series.iloc[:0].assign(origin_week=weeks[:0], promo=0.0)
    drivers = DriverFrames(("promo", "price"), of_stores, of_series, none if plans is None else plans)
    calendar = pd.DataFrame({"week": weeks, "is_holiday": False, "holiday": "", "is_landed": True})
    stores = pd.DataFrame({"store_id": [1, 2]})
    known = rows[rows["week"] < weeks[6]]
    return build_panel(known, rows[["store_id", "week"]].iloc[:0], stores, calendar, 2, drivers=drivers)


def test_names_of_columns_are_plain_and_unique() -> None:
    names = ("Price [EUR]", "price__eur", "<b>", "%", "Aktion_ä", "price_eur_2")
    assert list(column_names(names).values()) == [
        "price_eur",
        "price_eur_2",
        "b",
        "driver",
        "aktion_ä",
        "price_eur_2_2",
    ]


def test_an_origin_without_plans_knows_the_values_of_its_targets() -> None:
    promo, price = _small().drivers
    np.testing.assert_array_equal(promo.known_at(3, 2), [[0, 0], [1, 1]] * 3)
    np.testing.assert_array_equal(price.known_at(0, 1), [[1, 9, 17, 25], [2, 10, 18, 26]])
    assert (promo.level, promo.is_ratio, price.level, price.is_ratio) == ("store", False, "series", True)


def test_an_origin_uses_the_plan_known_at_it() -> None:
    weeks = pd.date_range("2020-01-03", periods=8, freq="7D")
    plans = _plans(
        origin_week=weeks[[2, 2, 3, 3]],
        week=weeks[[3, 4, 4, 5]],
        store_id=[1, 2, 1, 1],
        promo=[7.0, 8.0, 9.0, np.nan],
        price=np.nan,
    )
    promo, price = _small(plans).drivers
    unknown = np.nan
    # What was not planned at an origin with plans is not known, though the value came later.
    np.testing.assert_array_equal(promo.known_at(2, 2)[2:], [[0, 0], [7, unknown], [unknown, 8]])
    np.testing.assert_array_equal(promo.known_at(3, 2)[2:], [[0, 0], [1, 1], [9, unknown], [unknown, unknown]])
    np.testing.assert_array_equal(promo.known_at(4, 2)[4:], [[0, 0], [1, 1], [0, 0]])
    assert not np.isnan(price.known_at(3, 2)).any()


def test_a_plan_of_a_store_is_that_of_each_series_without_its_own() -> None:
    weeks = pd.date_range("2020-01-03", periods=8, freq="7D")
    plans = pd.DataFrame(
        {
            "origin_week": weeks[5],
            "store_id": [2, 2, 9],
            "dept_id": [2, ALL, ALL],
            "week": weeks[6],
            "price": [5.0, 6, 7],
        }
    )
    whole = _small(plans)
    price = whole.drivers[1]
    np.testing.assert_array_equal(price.known_at(5, 1)[-1], [np.nan, np.nan, 6, 5])
    np.testing.assert_array_equal(whole.of(np.array([3, 0])).drivers[1].known_at(5, 1)[-1], [5, np.nan])


def test_a_dataset_without_drivers_has_the_features_of_before(panel: Panel) -> None:
    without = build_features(dataclasses.replace(panel, drivers=()), [ORIGIN], HORIZON)
    assert list(without.columns) == list(column_texts())
    assert list(features_of(without.columns)) == list(FEATURES)


def test_features_of_a_driver(panel: Panel) -> None:
    made = build_features(panel, [ORIGIN], HORIZON)
    row = int(panel.position(pd.DatetimeIndex([ORIGIN]))[0])
    promo, price = panel.drivers
    first = made.iloc[:HORIZON]
    values = promo.known_at(row, HORIZON)[row - 7 :, 0].astype(float)
    prices = price.known_at(row, HORIZON)[:, 0].astype(float)
    # A year before an origin in July every week is matched to the one 52 weeks before.
    last_year = prices[row + 1 - 52 : row + 5 - 52]
    expected = {
        "store__promo__value": values[8:],
        "store__promo__change": values[8:] - values[:8].mean(),
        "store__promo__before": values[7:11],
        "store__promo__after": [*values[9:], np.nan],
        "series__price__value": prices[row + 1 : row + 5],
        "series__price__change": prices[row + 1 : row + 5] / prices[row - 7 : row + 1].mean(),
        "series__price__yearly_change": prices[row + 1 : row + 5] / last_year,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(first[name], values, rtol=1e-6, err_msg=name)


def test_a_driver_that_is_not_stated_is_missing_and_moves_nothing(
    retailer: SampleData, driven: tuple[pd.DataFrame, DriverFrames]
) -> None:
    sales, drivers = driven
    ahead = dataclasses.replace(
        drivers,
        of_stores=drivers.of_stores.assign(Promo=drivers.of_stores["Promo"].where(drivers.of_stores["week"] <= ORIGIN)),
        of_series=drivers.of_series.assign(price=drivers.of_series["price"].where(drivers.of_series["week"] <= ORIGIN)),
    )
    made = build_features(_panel(retailer, sales, ahead), [ORIGIN], HORIZON)
    assert made["series__price__value"].isna().all()
    assert (made["driver_effect"] == 1).all()


def _moved(frame: pd.DataFrame, name: str, after: pd.Timestamp, value: float) -> pd.DataFrame:
    return frame.assign(**{name: frame[name].where(frame["week"] <= after, value)})


def test_only_known_ahead_values_of_target_weeks_move_a_feature(
    retailer: SampleData, driven: tuple[pd.DataFrame, DriverFrames]
) -> None:
    sales, drivers = driven
    expected = build_features(_panel(retailer, sales, drivers), [ORIGIN], HORIZON)
    last = add_weeks(ORIGIN, HORIZON)
    later = dataclasses.replace(
        drivers,
        of_stores=_moved(drivers.of_stores, "Promo", last, -7.0),
        of_series=_moved(drivers.of_series, "price", last, 900.0),
    )
    beyond = _panel(retailer, _moved(sales, "sales", ORIGIN, 1e6), later)
    pd.testing.assert_frame_equal(build_features(beyond, [ORIGIN], HORIZON), expected, check_exact=True)
    # A target week's value moves the forecast's start, and nothing that is no driver's.
    ahead = dataclasses.replace(drivers, of_stores=_moved(drivers.of_stores, "Promo", ORIGIN, 3.0))
    moved = build_features(_panel(retailer, sales, ahead), [ORIGIN], HORIZON)
    with_effect = ["base", "base_scaled", "aligned", "decomposition", "smooth_base", "driver_effect"]
    changed = [name for name in expected if not moved[name].equals(expected[name])]
    assert set(changed) == {*with_effect, *(f"store__promo__{part}" for part in (
        "value", "change", "yearly_change", "before", "after"
    ))}  # fmt: skip


def test_a_plan_hides_what_came_instead_and_its_revision_counts_later(
    retailer: SampleData, driven: tuple[pd.DataFrame, DriverFrames]
) -> None:
    sales, drivers = driven
    weeks = weeks_between(add_weeks(ORIGIN, 1), add_weeks(ORIGIN, HORIZON))
    stores = drivers.of_stores[["store_id"]].drop_duplicates()
    planned = stores.merge(pd.DataFrame({"week": weeks}), how="cross").assign(dept_id=ALL, Promo=0.0)
    revised = add_weeks(ORIGIN, 1)
    plans = pd.concat([planned.assign(origin_week=ORIGIN), planned.assign(origin_week=revised, Promo=1.0)])
    origins = [ORIGIN, revised]
    made = build_features(_panel(retailer, sales, dataclasses.replace(drivers, plans=plans)), origins, HORIZON)
    value = made.groupby("origin_week")["store__promo__value"]
    assert (value.max()[ORIGIN], value.min()[revised]) == (0.0, 1.0)
    # Another outcome of the planned weeks moves nothing at the origin that planned them.
    outcome = dataclasses.replace(drivers, plans=plans, of_stores=_moved(drivers.of_stores, "Promo", ORIGIN, 5.0))
    again = build_features(_panel(retailer, sales, outcome), [ORIGIN], HORIZON)
    first = made[made["origin_week"] == ORIGIN].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, first, check_exact=True)


def test_features_made_in_blocks_are_those_made_at_once(panel: Panel) -> None:
    whole = build_features(panel, [ORIGIN], HORIZON)
    made = [
        pd.DataFrame(columns)
        for block in feature_blocks(panel, 3)
        for _, columns in block_features(block, [ORIGIN], HORIZON)
    ]
    assert len(made) > 1
    together = pd.concat(made).sort_values(["origin_week", "store_id", "dept_id", "horizon"], ignore_index=True)
    pd.testing.assert_frame_equal(together, whole, rtol=1e-10, atol=1e-10)


def test_the_base_follows_a_promotion_and_a_price_as_history_did(
    panel: Panel, driven: tuple[pd.DataFrame, DriverFrames]
) -> None:
    made, plain = (build_features(one, [ORIGIN], HORIZON) for one in (panel, dataclasses.replace(panel, drivers=())))
    on, cheap = made["store__promo__value"] == 1, made["series__price__value"] == 2
    effect = made["driver_effect"]
    assert effect[on & cheap].median() / effect[~on & cheap].median() == pytest.approx(2.0, rel=0.1)
    assert effect[on & cheap].median() / effect[on & ~cheap].median() == pytest.approx(2.0, rel=0.1)
    actual = made.merge(driven[0].rename(columns={"week": "target_week"}))["sales"]
    assert (made["base"] - actual).abs().mean() < 0.5 * (plain["base"] - actual).abs().mean()
    # Baselines are those of the sales as they were.
    pd.testing.assert_series_equal(made["aligned_seasonal_naive"], plain["aligned_seasonal_naive"])


def _plain_deviation(values: list[float], row: int) -> float:
    before = [value for value in values[max(row - LEVEL_WEEKS, 0) : row] if not np.isnan(value)]
    return 0.0 if np.isnan(values[row]) or not before else values[row] - sum(before) / len(before)


def test_effects_are_those_of_a_plain_ridge_regression() -> None:
    random = np.random.default_rng(3)
    dept = np.array([0, 0, 1, 1, 1])
    sales = random.lognormal(3.0, 0.2, (40, 5))
    sales[random.random(sales.shape) < 0.2] = np.nan
    sales[7, 0] = 0.0
    drivers = [random.normal(size=sales.shape), random.integers(0, 2, sales.shape).astype(float)]
    drivers[0][random.random(sales.shape) < 0.1] = np.nan
    logs = [[np.log(value) if value > 0 else np.nan for value in column] for column in sales.T]
    sold = sales > 0
    held = [[list(np.where(sold[:, s], values[:, s], np.nan)) for values in drivers] for s in range(5)]
    gram, moment, weeks = np.zeros((5, 2, 2)), np.zeros((5, 2)), np.zeros(5)
    for s in range(5):
        for row in range(40):
            x = np.array([_plain_deviation(values, row) for values in held[s]])
            y = min(max(_plain_deviation(logs[s], row), -1.5), 1.5)
            gram[s] += np.outer(x, x)
            moment[s] += x * y
            weeks[s] += not np.isnan(logs[s][row])
    size = np.diag(gram.sum(axis=0))
    towards = np.linalg.solve(gram.sum(axis=0) + np.diag(1e-6 * size), moment.sum(axis=0))
    prior = gram.sum(axis=0) / weeks.sum() + np.diag(1e-6 * size)
    expected = np.empty((5, 2))
    for d in (0, 1):
        own = gram[dept == d].sum(axis=0) + PRIOR_WEEKS * prior
        of_dept = np.linalg.solve(own, moment[dept == d].sum(axis=0) + PRIOR_WEEKS * prior @ towards)
        mean = own / (weeks[dept == d].sum() + PRIOR_WEEKS)
        for s in np.flatnonzero(dept == d):
            pull = PRIOR_WEEKS * mean
            expected[s] = np.linalg.solve(gram[s] + pull, moment[s] + pull @ of_dept)
    sums = np.stack([values.sum(axis=0) for values in evidence(sales, drivers)])
    by_dept = np.stack([sums[:, dept == d].sum(axis=1) for d in (0, 1)], axis=1)
    found = effects(sums.sum(axis=1, keepdims=True), by_dept, sums, dept, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_driver_that_never_moved_has_no_effect() -> None:
    sales = np.random.default_rng(1).lognormal(3.0, 0.2, (30, 2))
    sums = np.stack([values.sum(axis=0) for values in evidence(sales, [np.ones_like(sales)])])
    whole = sums.sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(effects(whole, whole, sums, np.array([0, 0]), 1), [[0.0], [0.0]])


def test_a_deviation_is_against_the_weeks_before() -> None:
    values = np.array([[1.0], [3.0], [np.nan], [8.0]])
    np.testing.assert_array_equal(deviations(values), [[0.0], [2.0], [0.0], [6.0]])


def test_drivers_are_learnt_from_kept_attributed_and_watched(
    panel: Panel, driven: tuple[pd.DataFrame, DriverFrames], tmp_path: Any
) -> None:
    origins = list(weeks_between(add_weeks(ORIGIN, -12), ORIGIN))
    made = build_features(panel, origins, HORIZON)
    forecaster = fit(made, driven[0], ORIGIN, XGBoostConfig(rounds=10, seed=3, threads=1, min_child_weight=0.0))
    assert forecaster.features == tuple(features_of(made.columns))
    assert forecaster.features[-1] == "driver_effect"
    forecaster.save(tmp_path)
    rows = made[made["origin_week"] == ORIGIN]
    loaded = Forecaster.load(tmp_path)
    pd.testing.assert_frame_equal(loaded.predict(rows), forecaster.predict(rows))
    why = attributions(loaded, rows).iloc[:, 5:]
    np.testing.assert_allclose(why.sum(axis=1), loaded.predict(rows)["forecast"], rtol=1e-4, atol=0.5)
    # What the start owes to drivers is theirs.
    assert why["promotion"].corr(rows["base"].reset_index(drop=True) * (1 - 1 / rows["driver_effect"].to_numpy())) > 0.9
    watched = measured(made, made["base"].to_numpy())
    now = watched["origin_week"] == ORIGIN
    report = drift_report(watched[now], watched[~now], ORIGIN, rows[["target_week", "is_holiday"]], panel.calendar)
    kinds = report[report["variable"] == "store__promo__value"]["group_kind"]
    assert set(kinds) == {"chain", "store_type"}
