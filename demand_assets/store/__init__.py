"""The forecast store: tables, migrations, publishing and queries, on SQLite or PostgreSQL alike."""
