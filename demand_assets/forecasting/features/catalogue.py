"""Every feature, declared once. A new one is added here with the block that makes it.

The order is that of the model's inputs: a model trained on the same features in another order is another model.
"""

from collections.abc import Iterator

from demand_assets.forecasting.baselines import BASELINES
from demand_assets.forecasting.features.facts import calendar_of_targets, covariates, series_facts
from demand_assets.forecasting.features.history import DEVIATIONS, MEANS
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
    Block,
    DriftClass,
    FeatureSpec,
)

KEYS = {
    "store_id": "Store number",
    "dept_id": "Department number within the store",
    "origin_week": "Last week whose sales are known (Friday)",
    "target_week": "Week to forecast (Friday)",
    "horizon": "Weeks from origin to target, 1..H",
}
# Columns in the unit of sales, float64; no inputs of the model.
IN_SALES_UNIT = {
    "base": "Mean of smoothed last year times growth and of the decomposition; the forecast starts here",
    "scale": "Mean weekly sales of the 52 weeks to the origin, without sign; the unit of scaled features",
    **{name: f"Baseline: {text}" for name, text in BASELINES.items()},
}

_SERIES, _STORE, _DEPARTMENT, _CALENDAR = (DriftClass(of) for of in (OF_SERIES, OF_STORE, OF_DEPARTMENT, OF_CALENDAR))
_STEADY_SERIES, _STEADY_STORE, _STEADY_DEPARTMENT = (
    DriftClass(of, seasonal=False) for of in (OF_SERIES, OF_STORE, OF_DEPARTMENT)
)
_LATER_LAG, _LATER_RESIDUAL = (DriftClass(OF_SERIES, seasonal, delayed=True) for seasonal in (True, False))


def _of(
    group: str, drift: DriftClass, made_by: Block, unit: str = "scale", **texts: str
) -> Iterator[tuple[str, FeatureSpec]]:
    """Features that share all but their name and text."""
    return ((name, FeatureSpec(name, text, unit, group, drift, made_by)) for name, text in texts.items())


_GROWN = "Sales of the {} weeks to the origin over the same weeks last year"
_STORE_INDEX = "Store's sales at the aligned week last year over its mean of the 52 weeks to the origin"
_DEPT_INDEX = "Department's sales at the aligned week last year over its mean of the 52 weeks to the origin"
_HOLIDAY_KIND = "Holiday of the target week: 1 Super Bowl, 2 Labor Day, 3 Thanksgiving, 4 Christmas, 0 none"

# Name -> feature. Code that brings a feature of its own adds it before the features are built: FEATURES[name] = spec.
FEATURES: dict[str, FeatureSpec] = dict(
    (
        *_of(RECENT_TREND, _CALENDAR, calendar_of_targets, "weeks", horizon=KEYS["horizon"]),
        *_of(RECENT_TREND, _SERIES, windows_to_origin, lag_0="Sales of the origin week"),
        *_of(
            RECENT_TREND,
            _LATER_LAG,
            windows_to_origin,
            **{f"lag_{lag}": f"Sales {lag} weeks before the origin" for lag in LAGS[1:]},
        ),
        *_of(
            RECENT_TREND,
            _SERIES,
            windows_to_origin,
            **{f"mean_{weeks}": f"Mean sales of the {weeks} weeks to the origin" for weeks in MEANS},
            **{f"deviation_{weeks}": f"Standard deviation of the {weeks} weeks to the origin" for weeks in DEVIATIONS},
        ),
        *_of(
            RECENT_TREND,
            _STEADY_SERIES,
            windows_to_origin,
            "weeks",
            weeks_observed="Weeks with sales among the 52 to the origin",
        ),
        *_of(
            LAST_YEAR,
            _SERIES,
            around_last_year,
            last_year="Sales at the aligned week last year",
            last_year_before="Sales in the week before the aligned one",
            last_year_after="Sales in the week after the aligned one",
            last_year_mean="Mean sales of the five weeks around the aligned one",
            two_years_ago="Sales at the aligned week two years ago",
        ),
        *_of(
            LAST_YEAR,
            _SERIES,
            starting_point,
            base_scaled="The base",
            aligned="Last year at the aligned week times recent growth; else the recent level in its season",
            decomposition="Level of the decomposed history plus the season of the target week",
        ),
        *_of(
            RECENT_TREND,
            _STEADY_SERIES,
            growth_to_origin,
            "ratio",
            **{f"growth_{weeks}": _GROWN.format(weeks) for weeks in GROWTH_WEEKS},
        ),
        *_of(
            DEPARTMENT,
            _STEADY_DEPARTMENT,
            growth_to_origin,
            "ratio",
            **{f"dept_growth_{weeks}": f"{_GROWN.format(weeks)}, of the department" for weeks in GROWTH_WEEKS},
        ),
        *_of(
            STORE,
            _STEADY_STORE,
            growth_to_origin,
            "ratio",
            **{f"store_growth_{weeks}": f"{_GROWN.format(weeks)}, of the store" for weeks in GROWTH_WEEKS},
        ),
        *_of(RECENT_TREND, _STEADY_SERIES, residuals, residual_lag_0="Origin week less last year times recent growth"),
        *_of(RECENT_TREND, _LATER_RESIDUAL, residuals, residual_lag_1="The same one week earlier"),
        *_of(
            RECENT_TREND,
            _STEADY_SERIES,
            residuals,
            **{f"residual_mean_{weeks}": f"Its mean over {weeks} weeks" for weeks in RESIDUAL_MEANS},
        ),
        *_of(
            LAST_YEAR,
            _SERIES,
            starting_point,
            smooth_last_year="Sales at the aligned week last year, smoothed over the department's stores",
            smooth_base="The same times recent growth",
        ),
        *_of(
            DEPARTMENT,
            _DEPARTMENT,
            seasons,
            "ratio",
            dept_profile="Sales of the department's series at the aligned week over their mean week",
        ),
        *_of(STORE, _STORE, seasons, "ratio", store_index=_STORE_INDEX),
        *_of(
            DEPARTMENT,
            _DEPARTMENT,
            seasons,
            "ratio",
            dept_index=_DEPT_INDEX,
            dept_index_change="dept_index over that of the counterparts of the 8 weeks to the origin",
        ),
        *_of(
            DEPARTMENT,
            _STEADY_DEPARTMENT,
            group_residuals,
            "ratio",
            dept_residual_mean_4="Department's residual of last year times growth over 4 weeks, over its sales",
        ),
        *_of(
            STORE,
            _STEADY_STORE,
            group_residuals,
            "ratio",
            store_residual_mean_4="Store's residual of last year times growth over 4 weeks, over its sales",
        ),
        *_of(
            HOLIDAY,
            _CALENDAR,
            calendar_of_targets,
            "weeks",
            alignment_shift="How far the aligned week lies from 52 weeks before the target",
        ),
        *_of(HOLIDAY, _CALENDAR, calendar_of_targets, "flag", is_holiday="1 if the target is a holiday week"),
        *_of(HOLIDAY, _CALENDAR, calendar_of_targets, "code", holiday_kind=_HOLIDAY_KIND),
        *_of(
            HOLIDAY,
            _CALENDAR,
            calendar_of_targets,
            "weeks",
            easter_offset="Weeks from Easter's week to the target, clipped to -4..4",
        ),
        *_of(HOLIDAY, _CALENDAR, series_facts, "flag", origin_is_holiday="1 if the origin is a holiday week"),
        *_of(STORE, _STEADY_STORE, series_facts, "code", store_type="Format A, B, C as 0, 1, 2; -1 for any other"),
        *_of(STORE, _STEADY_STORE, series_facts, "thousand square feet", store_size="Selling area"),
        *_of(DEPARTMENT, _STEADY_DEPARTMENT, series_facts, "code", department="Department number"),
        *_of(WEATHER_ECONOMY, _STORE, covariates, "degrees Fahrenheit", temperature="Temperature at the origin"),
        *_of(
            WEATHER_ECONOMY,
            _STEADY_STORE,
            covariates,
            "degrees Fahrenheit",
            temperature_change="Temperature at the origin less that of a year before",
        ),
        *_of(
            WEATHER_ECONOMY,
            _STEADY_STORE,
            covariates,
            "ratio",
            fuel_change="Fuel price at the origin over that of a year before",
            cpi_change="CPI at the origin over that of a year before",
        ),
        *_of(
            WEATHER_ECONOMY,
            _STEADY_STORE,
            covariates,
            "percentage points",
            unemployment_change="Unemployment at the origin less that of a year before",
        ),
        *_of(
            PROMOTION,
            _STORE,
            covariates,
            "ratio",
            markdown="Store's markdowns at the origin over its mean weekly sales",
            markdown_4="The same, mean of the 4 weeks to the origin",
        ),
    )
)


def column_texts() -> dict[str, str]:
    """Column of demand_features -> what it holds, with its unit, in the order of the columns."""
    features = {name: f"{spec.text} [{spec.unit}]" for name, spec in FEATURES.items() if name not in KEYS}
    return {**KEYS, **IN_SALES_UNIT, **features}


def features_table() -> str:
    """The features as a Markdown table for the docs."""
    rows = [
        f"| `{spec.name}` | {spec.text} | {spec.unit} | {spec.group} | {_judged(spec.drift)} |"
        for spec in FEATURES.values()
    ]
    return "\n".join(["| feature | what it is | unit | attributed to | drift |", "|---|---|---|---|---|", *rows])


def _judged(drift: DriftClass) -> str:
    """A drift class in words."""
    if drift.of == OF_CALENDAR:
        return "against the calendar"
    against = "last season" if drift.seasonal else "training and last season"
    return f"per {drift.of}, {against}{', a warning at most' if drift.delayed else ''}"
