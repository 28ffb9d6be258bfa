"""Each table once: SQL, Arrow, Dagster, the API's models and the data dictionary are derived from its columns."""
