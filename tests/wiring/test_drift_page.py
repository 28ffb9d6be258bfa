"""The page of a drift report names what drifted, shows it, and needs nothing else."""

import html
from collections.abc import Sequence

import pandas as pd

from demand_assets.assets.drift_page import drift_page, worst_by_kind
from demand_assets.monitoring.drift import drift_report, drift_verdict
from tests.monitoring.drift_rows import AS_OF, CALENDAR, HISTORY, NO_HOLIDAY, WEEK


def test_the_page_names_and_shows_what_drifted() -> None:
    rows = HISTORY.copy()
    now = rows["origin_week"] == WEEK
    rows.loc[now, "cpi_change"] *= 100
    report = drift_report(rows[now], rows[~now], AS_OF, NO_HOLIDAY, CALENDAR)
    verdict = drift_verdict(report)
    kinds = worst_by_kind(report, verdict)

    def read(columns: Sequence[str]) -> pd.DataFrame:
        return rows[list(columns)]

    assert kinds["chain"] == kinds["week"] == "severe"
    page = drift_page(report, verdict, read, AS_OF, {"2012-06-22": {"week": "none"}, "2012-06-29": kinds})
    assert "<h1>Severe drift in the week of 2012-06-29</h1>" in page
    assert all(html.escape(words) in page for words in verdict.named)
    assert page.count("<figure>") == len(verdict.named)
    assert page.count("<svg") == len(verdict.named) + 1
    assert page == drift_page(report, verdict, read, AS_OF, {"2012-06-22": {"week": "none"}, "2012-06-29": kinds})
