"""All tables of the forecast store, in the order of the data dictionary."""

from __future__ import annotations

from demand_assets.contract import distributions, drivers, store

TABLES = (
    store.DATASET,
    store.STORES,
    store.DEPARTMENTS,
    store.FORECAST_VINTAGES,
    store.FORECASTS,
    store.FORECAST_TOTALS,
    store.FORECAST_ATTRIBUTIONS,
    store.ACTUALS,
    store.STORE_CONDITIONS,
    store.HOLIDAYS,
    drivers.DRIVERS,
    drivers.DRIVER_VALUES,
    store.FORECAST_ACCURACY,
    store.FORECAST_EXCEPTIONS,
    store.DRIFT_REPORTS,
    distributions.QUANTILES,
    distributions.HISTOGRAMS,
    store.PROMOTIONS,
    store.OVERRIDES,
    store.OVERRIDE_REVIEWS,
    store.SCENARIOS,
    store.ACCEPTED_WEEKS,
    store.ALERTS,
    store.EVENT_TARGETS,
    store.API_KEYS,
)
