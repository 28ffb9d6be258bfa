"""Tables of the forecast store in SQL, as `contract.store` declares them."""

from __future__ import annotations

from sqlalchemy import MetaData

from demand_assets.contract import distributions
from demand_assets.contract import drivers as driver_tables
from demand_assets.contract import store as contract
from demand_assets.contract.sql import sql_table

metadata = MetaData()

dataset = sql_table(contract.DATASET, metadata)
stores = sql_table(contract.STORES, metadata)
departments = sql_table(contract.DEPARTMENTS, metadata)
forecast_vintages = sql_table(contract.FORECAST_VINTAGES, metadata)
forecasts = sql_table(contract.FORECASTS, metadata)
forecast_totals = sql_table(contract.FORECAST_TOTALS, metadata)
forecast_attributions = sql_table(contract.FORECAST_ATTRIBUTIONS, metadata)
actuals = sql_table(contract.ACTUALS, metadata)
store_conditions = sql_table(contract.STORE_CONDITIONS, metadata)
holidays = sql_table(contract.HOLIDAYS, metadata)
drivers = sql_table(driver_tables.DRIVERS, metadata)
driver_values = sql_table(driver_tables.DRIVER_VALUES, metadata)
forecast_accuracy = sql_table(contract.FORECAST_ACCURACY, metadata)
forecast_exceptions = sql_table(contract.FORECAST_EXCEPTIONS, metadata)
drift_reports = sql_table(contract.DRIFT_REPORTS, metadata)
distribution_quantiles = sql_table(distributions.QUANTILES, metadata)
distribution_histograms = sql_table(distributions.HISTOGRAMS, metadata)
promotions = sql_table(contract.PROMOTIONS, metadata)
overrides = sql_table(contract.OVERRIDES, metadata)
override_reviews = sql_table(contract.OVERRIDE_REVIEWS, metadata)
scenarios = sql_table(contract.SCENARIOS, metadata)
accepted_weeks = sql_table(contract.ACCEPTED_WEEKS, metadata)
alerts = sql_table(contract.ALERTS, metadata)
event_targets = sql_table(contract.EVENT_TARGETS, metadata)
api_keys = sql_table(contract.API_KEYS, metadata)
