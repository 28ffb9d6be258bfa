"""A feature is declared once: it is built, learnt from, attributed, watched for drift and documented by that alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting.attributions import attributions
from demand_assets.forecasting.features import (
    FEATURES,
    DriftClass,
    FeatureSpec,
    Origin,
    build_features,
    column_texts,
    features_of_driver,
    features_table,
)
from demand_assets.forecasting.forecaster import Forecaster, fit
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.forecasting.panel import Panel
from demand_assets.forecasting.weeks import add_weeks
from demand_assets.monitoring.drift import drift_report
from demand_assets.monitoring.drift_metrics import measured
from demand_assets.sample import SampleData

AS_OF = pd.Timestamp("2011-07-29")
DOCS = Path(__file__).parents[2] / "docs"


def _lag_5(origin: Origin) -> dict[str, np.ndarray]:
    return {"lag_5": origin.sales[origin.row - 5] / origin.scale}


EXTRA = FeatureSpec("lag_5", "Sales 5 weeks before", "scale", "recent trend", DriftClass("series"), _lag_5)


@pytest.fixture
def champion(features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig, tmp_path: Path) -> Path:
    """A model saved before the feature was there."""
    fit(features, retailer.sales, AS_OF, config).save(tmp_path / "champion")
    return tmp_path / "champion"


@pytest.fixture
def with_extra(champion: Path, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """demand_features of eleven origins after the feature was added."""
    monkeypatch.setitem(FEATURES, EXTRA.name, EXTRA)
    at = int(panel.position(pd.DatetimeIndex([AS_OF]))[0])
    return build_features(panel, list(panel.weeks[at - 10 : at + 1]), 4)


def test_an_added_feature_is_built_and_described(with_extra: pd.DataFrame) -> None:
    assert list(with_extra.columns) == list(column_texts())
    assert column_texts()[EXTRA.name] == "Sales 5 weeks before [scale]"
    earlier, newest = (with_extra[with_extra["origin_week"] == add_weeks(AS_OF, -back)] for back in (5, 0))
    both = newest.merge(earlier, on=["store_id", "dept_id", "horizon"], suffixes=("", "_then"))
    expected = both["lag_0_then"] * both["scale_then"] / both["scale"]
    np.testing.assert_allclose(both[EXTRA.name], expected, rtol=1e-5)
    assert "| `lag_5` | Sales 5 weeks before | scale | recent trend | per series, last season |" in features_table()


def test_an_added_feature_is_learnt_from_and_attributed(
    with_extra: pd.DataFrame, retailer: SampleData, config: XGBoostConfig
) -> None:
    config = config.model_copy(update={"min_child_weight": 0.0})
    forecaster = fit(with_extra, retailer.sales, AS_OF, config)
    assert forecaster.features == (*[name for name in FEATURES if name != EXTRA.name], EXTRA.name)
    assert set(forecaster.importance().query("importance > 0")["feature"]) >= {EXTRA.name}
    rows = with_extra[with_extra["origin_week"] == AS_OF]
    why = attributions(forecaster, rows).iloc[:, 5:]
    np.testing.assert_allclose(why.sum(axis=1), forecaster.predict(rows)["forecast"], rtol=1e-4, atol=0.5)


def test_an_added_feature_is_watched_for_drift(with_extra: pd.DataFrame, panel: Panel) -> None:
    rows = measured(with_extra, with_extra["base"].to_numpy())
    now = rows["origin_week"] == AS_OF
    targets = with_extra.loc[with_extra["origin_week"] == AS_OF, ["target_week", "is_holiday"]]
    report = drift_report(rows[now], rows[~now], AS_OF, targets, panel.calendar)
    kinds = report.loc[report["variable"] == EXTRA.name, "group_kind"]
    assert set(kinds) == {"chain", "store_type", "department", "store"}


def test_an_older_champion_goes_on_forecasting(
    champion: Path, features: pd.DataFrame, with_extra: pd.DataFrame
) -> None:
    forecaster = Forecaster.load(champion)
    assert EXTRA.name not in forecaster.features
    rows = with_extra[with_extra["origin_week"] == AS_OF].reset_index(drop=True)
    before = features[features["origin_week"] == AS_OF].reset_index(drop=True)
    pd.testing.assert_frame_equal(forecaster.predict(rows), forecaster.predict(before))
    pd.testing.assert_frame_equal(attributions(forecaster, rows), attributions(forecaster, before))


def test_a_feature_of_an_unknown_group_is_refused() -> None:
    with pytest.raises(ValueError, match=r"feature moon_phase: expected a group among last year, .*, got 'moon'"):
        FeatureSpec("moon_phase", "Phase of the moon", "ratio", "moon", DriftClass("calendar"), _lag_5)


def test_the_docs_list_the_features_of_a_driver() -> None:
    listed = (DOCS / "data.md").read_text().split("<!-- driver features -->\n")[1]
    table = features_table(features_of_driver("store", "promo"))
    assert listed == f"{table}\n", f"put this between the markers of docs/data.md:\n{table}"


def test_the_docs_list_every_feature() -> None:
    text = (DOCS / "data.md").read_text()
    listed = text.split("<!-- features -->\n")[1]
    assert listed == f"{features_table()}\n", f"put this between the markers of docs/data.md:\n{features_table()}"
