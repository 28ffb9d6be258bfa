"""Vintages, accuracy, drift, exceptions, models, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from demand_assets.store.engine import create_engine_for
from demand_assets.store.publish import publish_accuracy
from demand_assets.store.reads.forecasts import NEWEST_VINTAGE
from tests.api.conftest import columns, items, serving, vintage_ids
from tests.api.stores import FORMULA, ORIGIN, UNICODE, WEEK


def test_vintages_say_how_much_is_in_them(full: httpx.Client) -> None:
    found = items(full, "vintages")
    assert columns(found, "origin_week", "data_version", "rows", "series", "forecast") == [
        ("2012-10-26", "data-2", 6, 3, 1009.0),
        ("2012-10-26", "data-1", 6, 3, 1309.0),
        ("2012-10-19", "data-1", 6, 3, 1009.0),
        ("2012-10-12", "data-1", 6, 3, 1009.0),
    ]
    one = full.get(f"/v1/vintages/{found[1]['vintage_id']}").json()
    assert {name: one[name] for name in found[1]} == found[1]
    assert one["vintage"]["vintage_id"] == found[1]["vintage_id"]
    assert one["is_stale"]
    assert items(full, "vintages", origin="2012-10-26") == found[:2]
    assert items(full, "vintages", from_="2012-10-15", to="2012-10-25") == found[2:3]


def test_accuracy_is_narrowed(full: httpx.Client) -> None:
    assert len(items(full, "accuracy")) == 8
    assert columns(items(full, "accuracy", level="store"), "store_id", "wmae", "coverage") == [("1", 9.0, 1.0)]
    assert columns(items(full, "accuracy", model="seasonal_naive", horizon=2), "wmae") == [(19.0,)]
    assert columns(items(full, "accuracy", to="2012-10-19"), "week", "fva") == [("2012-10-19", None)]
    assert len(items(full, "accuracy", vintage_id=vintage_ids(full)[2])) == 4
    assert items(full, "accuracy", vintage_id=vintage_ids(full)[0]) == []
    assert len(items(full, "accuracy", level="chain")) == 7


def test_accuracy_by_week_is_pooled_over_horizons_by_points(full: httpx.Client) -> None:
    first, second = items(full, "accuracy/weeks")
    # (3 x 10 + 1 x 20) / 4; (3 x -2 + 1 x 6) / 4; (3 x 5 + 1 x -1) / 4; (3 x 15 + 1 x 19) / 4; (3 x 9 + 1 x 20) / 4
    assert second | {"coverage": round(second["coverage"], 9)} == {
        "week": "2012-10-26",
        "points": 4,
        "wmae": 12.5,
        "bias": 0.0,
        "coverage": 0.8,
        "fva": 3.5,
        "seasonal_naive_wmae": 16.0,
        "final_wmae": 11.75,
        "actual": 1200.0,
        "total_error": 0.0,
        "tracking_signal": 1.5,
    }
    names = ("week", "wmae", "coverage", "seasonal_naive_wmae")
    assert columns([first], *names) == [("2012-10-19", 8.0, None, None)]
    assert columns(items(full, "accuracy/weeks", level="store", store_id="1"), "wmae", "points") == [(9.0, 2)]
    assert items(full, "accuracy/weeks", level="store", store_id="2") == []
    assert items(full, "accuracy/weeks", from_="2012-10-26", to="2012-10-26") == [second]
    assert items(full, "accuracy/weeks", to="2012-10-19") == [first]


def test_a_week_that_was_scored_on_no_point_has_no_figures(own_url: str) -> None:
    engine = create_engine_for(own_url)
    with engine.connect() as connection:
        made = connection.execute(NEWEST_VINTAGE).mappings().one()
    week, nothing = WEEK + timedelta(weeks=1), (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None, None, None)
    publish_accuracy(engine, [(week, made["vintage_id"], made["method"], 2, "chain", None, None, 0, *nothing)])
    engine.dispose()
    with serving(own_url) as client:
        (found,) = items(client, "accuracy/weeks", from_=str(week))
    assert (found["points"], found["wmae"], found["bias"]) == (0, None, None)


def test_drift_by_week_is_the_worst_of_each_variable(full: httpx.Client) -> None:
    names = (
        "week",
        "variable",
        "severity",
        "warn",
        "severe",
        "worst_group_kind",
        "worst_reference",
        "psi",
        "missing_shift",
    )
    found = columns(items(full, "drift/weeks"), *names)
    assert found == [
        ("2012-10-19", "weekly_sales", "warn", 1, 0, "store", "last_season", 0.12, None),
        ("2012-10-26", "weekly_sales", "severe", 1, 1, "chain", "training", 0.31, None),
    ]
    assert columns(items(full, "drift/weeks", from_="2012-10-26", to="2012-10-26"), *names) == found[1:]
    assert columns(items(full, "drift/weeks", to="2012-10-25"), *names) == found[:1]
    assert columns(items(full, "drift", severity="severe"), "week", "group_id", "psi") == [("2012-10-26", "all", 0.31)]
    assert len(items(full, "drift", week="2012-10-19", reference="training")) == 2
    assert len(items(full, "drift", group_kind="store", group_id="2", variable="markdown")) == 2


def test_exceptions_are_of_the_newest_week_by_rank(full: httpx.Client) -> None:
    body = full.get("/v1/exceptions").json()
    assert body["week"] == "2012-10-26"
    assert columns(body["items"], "rank", "store_id", "dept_id", "reason", "order_quantity") == [
        (1, "1", "3", FORMULA, None),
        (2, "1", "4", UNICODE, None),
        (3, "2", "3", "above p90", None),
    ]
    assert items(full, "exceptions", week="2012-10-19") == []
    assert columns(items(full, "exceptions", store_id="2"), "rank") == [(3,)]


def test_models_and_promotions_are_the_ledger_the_newest_first(full: httpx.Client) -> None:
    assert columns(items(full, "models"), "version", "in_production", "outcome", "wmae", "vintages", "reasons") == [
        ("8", False, "refused", 11.0, 0, ["worse", "biased"]),
        ("7", True, "promoted", 9.5, 2, []),
        ("6", False, "promoted", 11.0, 2, ["first model"]),
    ]
    found = items(full, "promotions")
    assert columns(found, "promotion_id", "from_version", "to_version", "as_of") == [
        (3, "7", "8", "2012-10-26"),
        (2, "6", "7", "2012-10-26"),
        (1, None, "6", "2012-10-19"),
    ]
    assert found[2]["figures"] == {"challenger_wmae": 11.0, "seasonal_naive_wmae": 16.0}
    assert items(full, "promotions", outcome="refused") == found[:1]


def test_models_are_scored_over_all_weeks_beside_each_other(full: httpx.Client) -> None:
    found = columns(items(full, "accuracy/models"), "model", "weeks", "points", "wmae", "fva")
    # By points: (8 x 3 + 10 x 3 + 20) / 7, of the baseline (15 x 3 + 19) / 4; FVA of two of the three scores.
    assert found == [
        ("final", 1, 4, pytest.approx(11.75), pytest.approx(4.25)),
        ("published", 2, 7, pytest.approx(74 / 7), pytest.approx(3.5)),
        ("seasonal_naive", 1, 4, 16.0, None),
    ]
    one = items(full, "accuracy/models", horizon=2, from_=str(ORIGIN))
    assert columns(one, "model", "points", "wmae") == [
        ("final", 1, 20.0),
        ("published", 1, 20.0),
        ("seasonal_naive", 1, 19.0),
    ]
    stores = items(full, "accuracy/models", level="store")
    assert columns(stores, "store_id", "dept_id", "model", "wmae") == [("1", None, "published", 9.0)]


def test_totals_can_be_those_forecast_so_many_weeks_before(full: httpx.Client) -> None:
    newest = items(full, "totals", from_=str(ORIGIN), to=str(ORIGIN))
    early = items(full, "totals", horizon=2, from_=str(ORIGIN), to=str(ORIGIN))
    assert columns(newest, "origin_week", "horizon") == [(str(ORIGIN - timedelta(weeks=1)), 1)]
    assert columns(early, "origin_week", "horizon") == [(str(ORIGIN - timedelta(weeks=2)), 2)]
    assert early[0]["actual"] == newest[0]["actual"]


def test_distributions_are_narrowed_by_week_variable_and_sample(full: httpx.Client) -> None:
    found = items(full, "distributions", variable="weekly_sales")
    assert columns(found, "week", "sample", "points", "q000", "q050", "q100") == [
        ("2012-10-19", "week", 40, 0.0, 5.0, 10.0),
        ("2012-10-26", "last_season", 40, 0.0, 5.0, 10.0),
    ]
    assert items(full, "distributions", sample="week", from_="2012-10-20") == []
    bins = items(full, "distributions/histograms", week="2012-10-26", sample="last_season")
    assert columns(bins, "bin", "low", "high", "points") == [(120, None, -1.0, 1), (121, -1.0, 5.0, 39)]
    assert items(full, "distributions/histograms", variable="none") == []
