"""The panel, by hand."""

import numpy as np
import pandas as pd
import pytest

from demand_assets.errors import SchemaError
from demand_assets.forecasting.calendar import calendar_for
from demand_assets.forecasting.features import build_features
from demand_assets.forecasting.holidays import HolidayRule
from demand_assets.forecasting.panel import (
    COVARIATE_COLUMNS,
    MARKDOWN_COLUMNS,
    Panel,
    build_panel,
    department_blocks,
)
from demand_assets.forecasting.weeks import weeks_between

WEEKS = weeks_between(pd.Timestamp("2012-08-17"), pd.Timestamp("2012-09-07"))
NAN = np.nan


def _built(unit: int = 1, stores: tuple[int, ...] = (3, 1, 2)) -> Panel:
    """Stores and departments are numbered in units; store 9 has covariates only, store 2 neither them nor sales."""
    sales = pd.DataFrame(
        [
            (3, 5, WEEKS[2], 352.0), (1, 2, WEEKS[2], 122.0), (1, 5, WEEKS[0], 150.0), (3, 5, WEEKS[0], 350.0),
            (1, 5, WEEKS[1], 151.0), (3, 7, WEEKS[1], 371.0),
        ],
        columns=["store_id", "dept_id", "week", "sales"],
    )  # fmt: skip
    sales[["store_id", "dept_id"]] *= unit
    kinds = [*COVARIATE_COLUMNS, *MARKDOWN_COLUMNS]
    held = [(3, WEEKS[0]), (9, WEEKS[1]), (1, WEEKS[2]), (1, WEEKS[3]), (3, WEEKS[0] - pd.Timedelta(days=7))]
    covariates = pd.DataFrame(held, columns=["store_id", "week"]).assign(
        **{name: [10.0 * place + row for row in range(len(held))] for place, name in enumerate(kinds)}
    )
    covariates["store_id"] *= unit
    flags = pd.DataFrame({"week": WEEKS[:3], "is_holiday": [False, True, False]})
    calendar = calendar_for(flags, HolidayRule(), sales["week"], 2)
    known = pd.DataFrame({"store_id": np.array(stores) * unit, "store_type": "A"})
    return build_panel(sales, covariates, known, calendar, 2)


@pytest.mark.parametrize("unit", [1, 1000])
def test_a_panel_has_a_place_for_every_week_and_series_in_order(unit: int) -> None:
    panel = _built(unit)
    pairs = np.array([(1, 2), (1, 5), (3, 5), (3, 7)])
    assert (pairs[:, 0] * unit).tolist() == panel.series["store_id"].tolist()
    assert (pairs[:, 1] * unit).tolist() == panel.series["dept_id"].tolist()
    assert panel.series[["store", "dept"]].to_numpy().tolist() == [[0, 0], [0, 1], [2, 1], [2, 2]]
    assert panel.stores["store_id"].tolist() == [unit, 2 * unit, 3 * unit]
    assert panel.departments == 3
    assert panel.weeks.tolist() == WEEKS[:3].tolist()
    np.testing.assert_array_equal(
        panel.sales, [[NAN, 150.0, 350.0, NAN], [NAN, 151.0, NAN, 371.0], [122.0, NAN, 352.0, NAN]]
    )
    # Covariates of other weeks and of a store that is not known are left out.
    for place, name in enumerate((*COVARIATE_COLUMNS, *MARKDOWN_COLUMNS)):
        expected = [[NAN, NAN, 10.0 * place], [NAN] * 3, [10.0 * place + 2, NAN, NAN]]
        np.testing.assert_array_equal(panel.covariates[name], expected, err_msg=name)


def test_flags_reach_the_horizon_past_the_last_week_and_positions_anywhere() -> None:
    panel = _built()
    # A retailer with a holiday of its own: 2012-09-07 is Labor Day's week, but the calendar does not follow that rule.
    assert panel.is_holiday.T.tolist() == [[False, True, False, False, False]] * 3
    assert panel.flagged_weeks().tolist() == pd.date_range(WEEKS[0], periods=5, freq="7D").tolist()
    asked = pd.DatetimeIndex([WEEKS[1], WEEKS[0] - pd.Timedelta(days=14), WEEKS[3]])
    assert panel.position(asked).tolist() == [1, -2, 3]


def test_a_part_of_a_panel_numbers_its_departments_anew_and_keeps_the_stores() -> None:
    panel = _built()
    part = panel.of(np.array([3, 1]))
    assert part.series.to_dict("list") == {"store_id": [3, 1], "dept_id": [7, 5], "store": [2, 0], "dept": [1, 0]}
    np.testing.assert_array_equal(part.sales, panel.sales[:, [3, 1]])
    assert part.stores is panel.stores


def test_sales_of_an_unknown_store_and_no_sales_are_refused() -> None:
    with pytest.raises(SchemaError, match="store 3 has sales but is not in stores"):
        _built(stores=(1, 2))
    empty = pd.DataFrame({"store_id": [], "dept_id": [], "week": [], "sales": []})
    with pytest.raises(SchemaError, match="there are no sales"):
        build_panel(empty, empty, empty, empty, 2)


def test_blocks_hold_whole_departments_and_at_least_so_many_series() -> None:
    dept = np.array([0, 2, 1, 0, 2, 2, 3, 1, 0, 2])  # 3, 2, 4 and 1 series
    for series, expected in (
        (1, [[0, 3, 8], [2, 7], [1, 4, 5, 9], [6]]),
        (4, [[0, 2, 3, 7, 8], [1, 4, 5, 9], [6]]),
        (5, [[0, 2, 3, 7, 8], [1, 4, 5, 6, 9]]),
        (10, [list(range(10))]),
    ):
        assert [block.tolist() for block in department_blocks(dept, series)] == expected
    with pytest.raises(ValueError, match="at least one series, got 0"):
        department_blocks(dept, 0)


def test_a_store_has_its_own_flag_and_else_that_of_the_chain() -> None:
    sales = pd.DataFrame({"store_id": [1, 2], "dept_id": 1, "week": WEEKS[:2], "sales": 1.0})
    flags = pd.DataFrame({"week": WEEKS, "is_holiday": [True, False, True, False]})
    own = pd.DataFrame({"store_id": [2, 2, 2], "week": WEEKS[[0, 2, 3]], "is_holiday": [False, False, True]})
    stores = pd.DataFrame({"store_id": [1, 2]})
    panel = build_panel(sales, own, stores, calendar_for(flags, HolidayRule(), sales["week"], 2), 2)
    # Flags of weeks to come are known, other covariates of theirs are not.
    assert panel.is_holiday.T.tolist() == [[True, False, True, False], [False, False, False, True]]
    made = build_features(panel, [WEEKS[1]], 2)
    assert made[["store_id", "horizon", "is_holiday", "origin_is_holiday"]].to_numpy().tolist() == [
        [1, 1, 1, 0], [1, 2, 0, 0], [2, 1, 0, 0], [2, 2, 1, 0],
    ]  # fmt: skip


def test_covariates_and_stores_may_lack_columns() -> None:
    sales = pd.DataFrame({"store_id": [1, 1], "dept_id": 1, "week": WEEKS[:2], "sales": 1.0})
    covariates = pd.DataFrame({"store_id": [1], "week": WEEKS[:1], "cpi": [3.0]})
    flags = pd.DataFrame({"week": WEEKS[:0], "is_holiday": np.array([], dtype=bool)})
    calendar = calendar_for(flags, HolidayRule(), sales["week"], 1)
    panel = build_panel(sales, covariates, pd.DataFrame({"store_id": [1]}), calendar, 1)
    assert list(panel.covariates) == [*COVARIATE_COLUMNS, *MARKDOWN_COLUMNS]
    np.testing.assert_array_equal(panel.covariates.pop("cpi"), [[3.0], [NAN]])
    assert all(np.isnan(values).all() for values in panel.covariates.values())


def test_a_calendar_that_ends_before_the_horizon_is_refused() -> None:
    sales = pd.DataFrame({"store_id": [1], "dept_id": 1, "week": WEEKS[:1], "sales": 1.0})
    short = pd.DataFrame({"week": WEEKS[:2], "is_holiday": False})
    with pytest.raises(SchemaError, match="the holiday calendar lacks week 2012-08-31"):
        build_panel(sales, sales[["store_id", "week"]], sales[["store_id"]], short, 2)
