"""Weekly retail demand forecasting as a Dagster asset graph."""
