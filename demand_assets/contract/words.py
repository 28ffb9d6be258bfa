"""What people call features, drift variables, groups of attributions, methods and figures, and what each means.

Pages, alerts and reports say these words; the names of columns stay in files and addresses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


class Word(NamedTuple):
    """A name for people, and what it means."""

    name: str
    text: str


# # stands for a number of weeks; {store} and {department} for what people call them.
_VARIABLES = {
    "horizon": ("Weeks ahead", "How many weeks after the newest sales the forecast week lies"),
    "lag_0": ("Newest sales", "Sales of the newest week that was known"),
    "lag_1": ("Sales a week earlier", "Sales one week before the newest week that was known"),
    "lag_#": ("Sales # weeks earlier", "Sales # weeks before the newest week that was known"),
    "mean_#": ("Mean sales of # weeks", "Mean sales of the newest # weeks"),
    "deviation_#": (
        "Ups and downs in # weeks",
        "How far weekly sales lay from their mean in the newest # weeks (standard deviation)",
    ),
    "weeks_observed": ("Weeks with sales", "Weeks with sales among the newest 52"),
    "last_year": ("Same week last year", "Sales of the same week last year, moved where a holiday moved"),
    "last_year_before": ("Week before it, last year", "Sales last year, one week before the week to be forecast"),
    "last_year_after": ("Week after it, last year", "Sales last year, one week after the week to be forecast"),
    "last_year_mean": (
        "Five weeks around it, last year",
        "Mean sales last year of the five weeks around the week to be forecast",
    ),
    "two_years_ago": ("Same week two years ago", "Sales of the same week two years ago, moved where a holiday moved"),
    "base_scaled": ("Starting point of the forecast", "What the model starts from before it adds its own corrections"),
    "aligned": ("Last year times growth", "Sales of the same week last year times the growth of recent weeks"),
    "decomposition": ("Level and season", "Level of the whole history plus its season in the week to be forecast"),
    "growth_#": ("Growth on last year, # weeks", "Sales of the newest # weeks over the same weeks last year"),
    "dept_growth_#": ("{department}: growth on last year, # weeks", "The same growth, of the whole {department}"),
    "store_growth_#": ("{store}: growth on last year, # weeks", "The same growth, of the whole {store}"),
    "residual_lag_0": (
        "Newest week against last year",
        "Newest sales less last year's times recent growth: what last year does not explain",
    ),
    "residual_lag_1": ("Week before against last year", "The same of the week before the newest"),
    "residual_mean_#": (
        "# weeks against last year",
        "Mean of the newest # weeks of sales less last year's times recent growth",
    ),
    "smooth_last_year": (
        "Same week last year, smoothed",
        "Sales of the same week last year, with chance evened out over all of the {department}",
    ),
    "smooth_base": (
        "Smoothed last year times growth",
        "The smoothed week of last year times the growth of recent weeks",
    ),
    "dept_profile": (
        "{department}: season of the year",
        "Sales of the {department} in the same week over its mean week",
    ),
    "store_index": (
        "{store}: strength of the week",
        "Sales of the {store} in the same week last year over its mean week",
    ),
    "dept_index": (
        "{department}: strength of the week",
        "Sales of the {department} in the same week last year over its mean week",
    ),
    "dept_index_change": (
        "{department}: stronger than recent weeks",
        "Strength of the week to be forecast over that of the newest 8 weeks",
    ),
    "dept_residual_mean_#": (
        "{department}: # weeks against last year",
        "Mean of the newest # weeks of the {department} less last year's times growth, over its sales",
    ),
    "store_residual_mean_#": (
        "{store}: # weeks against last year",
        "Mean of the newest # weeks of the {store} less last year's times growth, over its sales",
    ),
    "alignment_shift": (
        "Shift by a moved holiday",
        "Weeks by which last year's counterpart was moved so that holidays meet",
    ),
    "is_holiday": ("Holiday in the week", "Whether the week to be forecast holds a holiday"),
    "holiday_kind": ("Which holiday", "The holiday of the week to be forecast, if there is one"),
    "easter_offset": ("Weeks from Easter", "Weeks from Easter to the week to be forecast, 4 at most"),
    "origin_is_holiday": ("Holiday in the newest week", "Whether the newest week that was known holds a holiday"),
    "store_type": ("{store}: type", "Type or format of the {store}"),
    "store_size": ("{store}: size", "Selling area of the {store}"),
    "department": ("{department}: which one", "Which {department} it is"),
    "temperature": ("Temperature", "Temperature in the newest week that was known"),
    "temperature_change": (
        "Temperature against last year",
        "Temperature in the newest week less that of a year before",
    ),
    "fuel_change": ("Fuel price against last year", "Fuel price in the newest week over that of a year before"),
    "cpi_change": (
        "Consumer prices against last year",
        "Consumer price index (CPI) in the newest week over that of a year before",
    ),
    "unemployment_change": (
        "Unemployment against last year",
        "Unemployment in the newest week less that of a year before, in percentage points",
    ),
    "markdown": ("Markdowns", "Markdowns of the {store} in the newest week over its mean weekly sales"),
    "markdown_#": (
        "Markdowns, # weeks",
        "Mean markdowns of the {store} in the newest # weeks over its mean weekly sales",
    ),
    "driver_effect": ("Effect of plans on sales", "What prices, promotions and other plans move the starting point by"),
    "prediction": ("The forecast itself", "Forecasts of the week, over the usual size of their series"),
}
# Of a plan or another column of the retailer, as the files name it; of the forecast week unless said otherwise.
_PARTS = {
    "value": ("{driver}", "{driver} in the week to be forecast, as planned when the forecast was made"),
    "change": ("{driver} against recent weeks", "{driver} in the week to be forecast against the mean of recent weeks"),
    "yearly_change": (
        "{driver} against last year",
        "{driver} in the week to be forecast against the same week last year",
    ),
    "before": ("{driver}, week before", "{driver} in the week before the one to be forecast"),
    "after": ("{driver}, week after", "{driver} in the week after the one to be forecast"),
}
# Of drivers that are no column of the retailer's own; another is called by its name.
_DRIVERS = {"markdown": ("Markdowns", "Promotional markdowns of the {store}, all kinds together")}
_GROUPS = {
    "last year": ("Last year's level", "What the forecast starts from, and last year's weeks around it"),
    "recent trend": ("Recent trend", "Sales of recent weeks and their growth on last year"),
    "holiday": ("Holiday", "Holidays in or near the week"),
    "promotion": ("Promotion", "Markdowns, prices, promotions and other plans"),
    "store": ("{store}", "Size, type and growth of the {store}"),
    "department": ("{department}", "Season and growth of the {department}"),
    "weather and economy": ("Weather and economy", "Temperature, fuel, consumer prices and unemployment"),
}
_METHODS = {
    "published": ("Model", "The method that each forecast was published with"),
    "final": ("Final", "The planner's number in force, else the model's"),
    "xgboost": ("XGBoost", "Gradient-boosted trees on the features, over the starting point"),
    "seasonal_naive": ("Seasonal naive", "Sales of 52 weeks before"),
    "aligned_seasonal_naive": ("Seasonal naive, holidays aligned", "Sales of last year's week with the same holidays"),
    "last_value": ("Last value", "Sales of the newest week that was known"),
    "moving_average": ("Moving average", "Mean sales of recent weeks"),
    "svd_stl": ("Level and season", "Season shared by the {department}, smoothed, over each series' level (SVD, STL)"),
    "tsb": ("Intermittent demand", "Probability of a sale times its mean size (Teunter, Syntetos, Babai)"),
}
_FIGURES = {
    "challenger_wmae": ("WMAE", "Of this version, in its backtest"),
    "champion_wmae": ("WMAE of the champion", "Of the version in production then, on the same weeks"),
    "seasonal_naive_wmae": ("WMAE of seasonal naive", "Of last year's sales, on the same weeks"),
    "coverage": ("Sales within p10 to p90", "Share of weeks; four of five are the target"),
    "bias_share": ("Bias, of sales", "Forecast less sales, over sales"),
    "champion_bias_share": ("Bias of the champion, of sales", "The same of the version in production then"),
}
_BY_KIND: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "variables": _VARIABLES,
    "parts": _PARTS,
    "drivers": _DRIVERS,
    "groups": _GROUPS,
    "methods": _METHODS,
    "figures": _FIGURES,
}
WORDS: Mapping[str, Mapping[str, Word]] = {
    kind: {name: Word(*word) for name, word in words.items()} for kind, words in _BY_KIND.items()
}
"""Kind -> name as the data have it -> its word, with its marks # and {store} unfilled."""


def variable_word(variable: str, store: str = "Store", department: str = "Department") -> Word:
    """The word of a feature or drift variable; one that is not declared here is its own name, without a meaning."""
    number = re.search(r"\d+$", variable)
    known = WORDS["variables"]
    word = known.get(variable) or known.get(re.sub(r"\d+$", "#", variable))
    marks = {"store": store, "department": department, "driver": "", "#": number.group() if number else ""}
    if word is not None:
        return _filled(word, marks)
    level, driver, part, *_ = (*variable.split("__"), "", "")
    if not driver or part not in WORDS["parts"]:
        return Word(_capital(variable), "")
    name, text = _filled(WORDS["parts"][part], marks | {"driver": _capital(driver)})
    return Word(f"{store}: {name}" if level == "store" else name, text)


def _filled(word: Word, marks: Mapping[str, str]) -> Word:
    return Word(*(re.sub(r"#|\{(\w+)\}", lambda mark: marks[mark.group(1) or "#"], text) for text in word))


def _capital(name: str) -> str:
    plain = name.replace("_", " ")
    return plain[:1].upper() + plain[1:]
