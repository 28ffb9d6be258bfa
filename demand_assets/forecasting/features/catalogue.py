"""Every feature, declared once. A new one is added here with the block that makes it.

The order is that of the model's inputs: a model trained on the same features in another order is another model.
"""

from collections.abc import Iterable

from demand_assets.forecasting.baselines import BASELINES
from demand_assets.forecasting.features.facts import calendar_of_targets, covariates, series_facts
from demand_assets.forecasting.features.history import DEVIATIONS, MEANS
from demand_assets.forecasting.features.known_ahead import driver_feature
from demand_assets.forecasting.features.last_year import around_last_year, seasons, starting_point
from demand_assets.forecasting.features.recent import (
    GROWTH_WEEKS,
    LAGS,
    RESIDUAL_MEANS,
    group_residuals,
    growth_to_origin,
    residuals,
    windows_to_origin,
)
from demand_assets.forecasting.features.spec import (
    DEPARTMENT,
    HOLIDAY,
    LAST_YEAR,
    OF_CALENDAR,
    OF_DEPARTMENT,
    OF_SERIES,
    OF_STORE,
    PROMOTION,
    RECENT_TREND,
    STORE,
    WEATHER_ECONOMY,
    DriftClass,
    FeatureSpec,
)

KEYS = {
    "store_id": "Store number",
    "dept_id": "Department number within the store",
    "origin_week": "Last week whose sales are known, by the day that ends it",
    "target_week": "Week to forecast, by the day that ends it",
    "horizon": "Weeks from origin to target, 1..H",
}
# Columns in the unit of sales, float64; no inputs of the model.
IN_SALES_UNIT = {
    "base": "Mean of smoothed last year times growth and of the decomposition, of intermittent demand tsb; the "
    "forecast starts here",
    "scale": "Mean weekly sales of the 52 weeks to the origin, without sign; the unit of scaled features",
    "floor": "Least that a forecast may be: 0, or the least sales up to the origin where a week was negative",
    **{name: f"Baseline: {text}" for name, text in BASELINES.items()},
}

_SERIES, _STORE, _DEPARTMENT, _CALENDAR = (DriftClass(of) for of in (OF_SERIES, OF_STORE, OF_DEPARTMENT, OF_CALENDAR))
_STEADY_SERIES, _STEADY_STORE, _STEADY_DEPARTMENT = (
    DriftClass(of, seasonal=False) for of in (OF_SERIES, OF_STORE, OF_DEPARTMENT)
)
_LATER_LAG, _LATER_RESIDUAL = (DriftClass(OF_SERIES, seasonal, delayed=True) for seasonal in (True, False))


_GROWTH = "Sales of the {} weeks to the origin over the same weeks last year"
_MEAN = "over its mean of the 52 weeks to the origin"
_RESIDUAL = "residual of last year times growth over 4 weeks, over its sales"

# fmt: off
_DECLARED = (
    FeatureSpec("horizon", KEYS["horizon"], "weeks", RECENT_TREND, _CALENDAR, calendar_of_targets),
    FeatureSpec("lag_0", "Sales of the origin week", "scale", RECENT_TREND, _SERIES, windows_to_origin),
    *(FeatureSpec(f"lag_{lag}", f"Sales {lag} weeks before the origin", "scale", RECENT_TREND, _LATER_LAG,
                  windows_to_origin) for lag in LAGS[1:]),
    *(FeatureSpec(f"mean_{weeks}", f"Mean sales of the {weeks} weeks to the origin", "scale", RECENT_TREND, _SERIES,
                  windows_to_origin) for weeks in MEANS),
    *(FeatureSpec(f"deviation_{weeks}", f"Standard deviation of the {weeks} weeks to the origin", "scale",
                  RECENT_TREND, _SERIES, windows_to_origin) for weeks in DEVIATIONS),
    FeatureSpec("weeks_observed", "Weeks with sales among the 52 to the origin", "weeks", RECENT_TREND, _STEADY_SERIES,
                windows_to_origin),
    *(FeatureSpec(name, text, "scale", LAST_YEAR, _SERIES, around_last_year) for name, text in (
        ("last_year", "Sales at the aligned week last year"),
        ("last_year_before", "Sales in the week before the aligned one"),
        ("last_year_after", "Sales in the week after the aligned one"),
        ("last_year_mean", "Mean sales of the five weeks around the aligned one"),
        ("two_years_ago", "Sales at the aligned week two years ago"),
    )),
    *(FeatureSpec(name, text, "scale", LAST_YEAR, _SERIES, starting_point) for name, text in (
        ("base_scaled", "The base"),
        ("aligned", "Last year at the aligned week times recent growth; else the recent level in its season"),
        ("decomposition", "Level of the decomposed history plus the season of the target week"),
    )),
    *(FeatureSpec(f"growth_{weeks}", _GROWTH.format(weeks), "ratio", RECENT_TREND, _STEADY_SERIES, growth_to_origin)
      for weeks in GROWTH_WEEKS),
    *(FeatureSpec(f"dept_growth_{weeks}", f"{_GROWTH.format(weeks)}, of the department", "ratio", DEPARTMENT,
                  _STEADY_DEPARTMENT, growth_to_origin) for weeks in GROWTH_WEEKS),
    *(FeatureSpec(f"store_growth_{weeks}", f"{_GROWTH.format(weeks)}, of the store", "ratio", STORE, _STEADY_STORE,
                  growth_to_origin) for weeks in GROWTH_WEEKS),
    FeatureSpec("residual_lag_0", "Origin week less last year times recent growth", "scale", RECENT_TREND,
                _STEADY_SERIES, residuals),
    FeatureSpec("residual_lag_1", "The same one week earlier", "scale", RECENT_TREND, _LATER_RESIDUAL, residuals),
    *(FeatureSpec(f"residual_mean_{weeks}", f"Its mean over {weeks} weeks", "scale", RECENT_TREND, _STEADY_SERIES,
                  residuals) for weeks in RESIDUAL_MEANS),
    FeatureSpec("smooth_last_year", "Sales at the aligned week last year, smoothed over the department's stores",
                "scale", LAST_YEAR, _SERIES, starting_point),
    FeatureSpec("smooth_base", "The same times recent growth", "scale", LAST_YEAR, _SERIES, starting_point),
    FeatureSpec("dept_profile", "Sales of the department's series at the aligned week over their mean week", "ratio",
                DEPARTMENT, _DEPARTMENT, seasons),
    FeatureSpec("store_index", f"Store's sales at the aligned week last year {_MEAN}", "ratio", STORE, _STORE, seasons),
    FeatureSpec("dept_index", f"Department's sales at the aligned week last year {_MEAN}", "ratio", DEPARTMENT,
                _DEPARTMENT, seasons),
    FeatureSpec("dept_index_change", "dept_index over that of the counterparts of the 8 weeks to the origin", "ratio",
                DEPARTMENT, _DEPARTMENT, seasons),
    FeatureSpec("dept_residual_mean_4", f"Department's {_RESIDUAL}", "ratio", DEPARTMENT, _STEADY_DEPARTMENT,
                group_residuals),
    FeatureSpec("store_residual_mean_4", f"Store's {_RESIDUAL}", "ratio", STORE, _STEADY_STORE, group_residuals),
    *(FeatureSpec(name, text, unit, HOLIDAY, _CALENDAR, calendar_of_targets) for name, text, unit in (
        ("alignment_shift", "How far the aligned week lies from 52 weeks before the target", "weeks"),
        ("is_holiday", "1 if the target is a holiday week", "flag"),
        ("holiday_kind", "Its holiday: 1 Super Bowl, 2 Labor Day, 3 Thanksgiving, 4 Christmas, >4 others", "code"),
        ("easter_offset", "Weeks from Easter's week to the target, clipped to -4..4; 4 without Easter", "weeks"),
    )),
    FeatureSpec("origin_is_holiday", "1 if the origin is a holiday week", "flag", HOLIDAY, _CALENDAR, series_facts),
    FeatureSpec("store_type", "Format A, B, C as 0, 1, 2; -1 for another", "code", STORE, _STEADY_STORE, series_facts),
    FeatureSpec("store_size", "Selling area", "thousand square feet", STORE, _STEADY_STORE, series_facts),
    FeatureSpec("department", "Department number", "code", DEPARTMENT, _STEADY_DEPARTMENT, series_facts),
    *(FeatureSpec(name, text, unit, WEATHER_ECONOMY, drift, covariates) for name, text, unit, drift in (
        ("temperature", "Temperature at the origin", "degrees Fahrenheit", _STORE),
        ("temperature_change", "Temperature at the origin less a year before", "degrees Fahrenheit", _STEADY_STORE),
        ("fuel_change", "Fuel price at the origin over that of a year before", "ratio", _STEADY_STORE),
        ("cpi_change", "CPI at the origin over that of a year before", "ratio", _STEADY_STORE),
        ("unemployment_change", "Unemployment at the origin less a year before", "percentage points", _STEADY_STORE),
    )),
    FeatureSpec("markdown", "Store's markdowns at the origin over its mean weekly sales", "ratio", PROMOTION, _STORE,
                covariates),
    FeatureSpec("markdown_4", "The same, mean of the 4 weeks to the origin", "ratio", PROMOTION, _STORE, covariates),
)
# fmt: on
# Name -> feature. Code that brings a feature of its own adds it before the features are built: FEATURES[name] = spec.
FEATURES: dict[str, FeatureSpec] = {spec.name: spec for spec in _DECLARED}


def features_of(columns: Iterable[str]) -> dict[str, FeatureSpec]:
    """Name -> feature, in the order of the model's inputs: `FEATURES`, then those of drivers among the `columns`."""
    found = {name: driver_feature(name) for name in columns}
    return {**FEATURES, **{name: spec for name, spec in found.items() if spec is not None}}


def column_texts(columns: Iterable[str] = ()) -> dict[str, str]:
    """Column of demand_features -> what it holds, with its unit, in order; with drivers' features among `columns`."""
    features = {name: f"{spec.text} [{spec.unit}]" for name, spec in features_of(columns).items() if name not in KEYS}
    return {**KEYS, **IN_SALES_UNIT, **features}


def features_table(features: Iterable[FeatureSpec] | None = None) -> str:
    """Features, `FEATURES` where none are given, as a Markdown table for the docs."""
    rows = [
        f"| `{spec.name}` | {spec.text} | {spec.unit} | {spec.group} | {_judged(spec.drift)} |"
        for spec in features or FEATURES.values()
    ]
    return "\n".join(["| feature | what it is | unit | attributed to | drift |", "|---|---|---|---|---|", *rows])


def _judged(drift: DriftClass) -> str:
    """A drift class in words."""
    if drift.of == OF_CALENDAR:
        return "against the calendar"
    against = "last season" if drift.seasonal else "training and last season"
    return f"per {drift.of}, {against}{', a warning at most' if drift.delayed else ''}"
