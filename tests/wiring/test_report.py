"""The walk-forward report: one whole page that needs nothing else."""

from pathlib import Path

import pandas as pd

from demand_assets.commands.report import write_report
from demand_assets.forecasting.backtest import backtest
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.sample import SampleData


def test_the_report_is_one_whole_page_and_the_same_twice(
    features: pd.DataFrame, retailer: SampleData, tmp_path: Path
) -> None:
    origins = [pd.Timestamp("2011-07-01"), pd.Timestamp("2011-08-19")]
    points = backtest(
        features, retailer.sales, origins, 4, XGBoostConfig(rounds=5, members=1, seed=3, threads=1)
    ).cv_results
    for name in ("one.html", "two.html"):
        write_report(points, retailer.sales, tmp_path / name)
    page = (tmp_path / "one.html").read_text()
    assert page == (tmp_path / "two.html").read_text()
    assert page.endswith("</body></html>\n")
    for title in ("Scores", "WMAE by origin", "WMAE by horizon", "WMAE by department", "Calibration", "Worst series"):
        assert f"<h2>{title}</h2>" in page
    series = retailer.sales[["store_id", "dept_id"]].drop_duplicates()
    assert page.count("<svg") == 4 + min(20, len(series))
    # Nothing is fetched: names of XML namespaces are the only addresses.
    assert "src=" not in page
    assert page.count('href="http') == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.html", "two.html"]
