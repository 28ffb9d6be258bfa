"""The drift report of a run: rows in lake and SQL store, and a page."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd

from demand_assets.forecasting.drift import REPORT_COLUMNS
from demand_assets.forecasting.features import FEATURE_COLUMNS


def test_the_drift_report_lands_in_lake_store_and_page(finished: tuple[Path, dict[str, object]]) -> None:
    home, week = finished[0], finished[1]["origin_week"]
    rows = pd.read_parquet(home / "lake" / "drift_report" / f"{week}.parquet")
    assert list(rows.columns) == list(REPORT_COLUMNS)
    assert set(rows["variable"]) == {*FEATURE_COLUMNS, "prediction"}
    # Eighteen series are too few to judge; the calendar is right.
    assert set(rows["severity"]) == {"few"}
    with closing(sqlite3.connect(home / "store.db")) as connection:
        stored = pd.read_sql("select * from drift_reports", connection)
    keys = ["reference", "group_kind", "group_id", "variable"]
    shown = [name for name in stored.columns if name != "week"]
    assert set(stored["week"]) == {week}
    pd.testing.assert_frame_equal(
        stored[shown].sort_values(keys, ignore_index=True),
        rows[shown].sort_values(keys, ignore_index=True),
        check_dtype=False,
    )
    page = (home / "lake" / "drift_report_html" / f"{week}.html").read_text()
    assert f"<h1>No drift in the week of {week}</h1>" in page
    assert page.endswith("</body></html>\n")
    assert "src=" not in page
    assert 'href="http' not in page
