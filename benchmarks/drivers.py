"""Drivers known ahead, side by side: what prices, promotions and holidays of the target weeks are worth.

Rossmann (days of promotion, school and state holidays) and Dominick's soap (price), by week, four weeks ahead: seasonal
naive and svd_stl, mlforecast with LightGBM that is given the same columns, this code without and with them.
"""

from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from scipy.stats import ttest_rel

from benchmarks import machine
from benchmarks.driver_data import HORIZON, Retailer, rossmann, soap
from demand_assets.forecasting.backtest import backtest, origins_to_forecast
from demand_assets.forecasting.baselines import BASE, SEASONAL_NAIVE
from demand_assets.forecasting.drivers import DriverFrames
from demand_assets.forecasting.features import build_features, first_origin
from demand_assets.forecasting.intervals import COLUMNS as INTERVAL
from demand_assets.forecasting.metrics import coverage, interval_score, score
from demand_assets.forecasting.models.xgboost import XGBoost, XGBoostConfig
from demand_assets.forecasting.panel import build_panel
from demand_assets.forecasting.weeks import add_weeks, weeks_between
from demand_assets.settings import Settings

SERIES = ["store_id", "dept_id"]
POINT = [*SERIES, "origin_week", "target_week"]
MODEL = XGBoost.name
# What drivers move: the same without them has other names.
OURS = (MODEL, f"{MODEL} start", BASE)
WITHOUT = " without drivers"
OTHERS = (SEASONAL_NAIVE, "svd_stl", "mlforecast")
LAGS = (1, 2, 3, 4, 8, 12, 26, 51, 52, 53)
ROLLING = (4, 8, 13, 52)
# Groups of series by size whose coverage is told.
SIZES = 5


def ours(retailer: Retailer, drivers: DriverFrames | None, every: int, config: XGBoostConfig) -> pd.DataFrame:
    """Points of a backtest (`backtest.COLUMNS`, p10, p50, p90); one in `every` weeks is an origin to learn from."""
    sales = retailer.sales
    none = pd.DataFrame({"store_id": [], "week": pd.DatetimeIndex([])})
    panel = build_panel(sales, none, retailer.stores, retailer.calendar, HORIZON, drivers=drivers)
    stored = weeks_between(first_origin(panel.weeks), retailer.origins[-1])
    scored = origins_to_forecast(retailer.origins, stored, HORIZON)
    features = build_features(panel, sorted({*stored[::-every], *scored}), HORIZON, config.threads)
    own = config.bounded(len(features), Settings.model_fields["training_rows"].default)
    return backtest(features, sales, retailer.origins, HORIZON, own).cv_results


def by_mlforecast(retailer: Retailer, threads: int) -> pd.DataFrame:
    """[POINT, mlforecast]: LightGBM on lags, rolling means, the calendar, and each driver of the week and beside it."""
    sales = retailer.sales.assign(unique_id=_ids(retailer.sales))
    known = _known_ahead(retailer, sales)
    made = [_of_mlforecast(sales, known, origin, threads) for origin in retailer.origins]
    points = pd.concat(made, ignore_index=True).rename(columns={"ds": "target_week"})
    return points.assign(store_id=points["unique_id"] // 1000, dept_id=points["unique_id"] % 1000)[
        [*POINT, "mlforecast"]
    ]


def _of_mlforecast(sales: pd.DataFrame, known: pd.DataFrame, origin: pd.Timestamp, threads: int) -> pd.DataFrame:
    from lightgbm import LGBMRegressor
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean
    from mlforecast.target_transforms import GlobalSklearnTransformer
    from sklearn.preprocessing import FunctionTransformer

    model = LGBMRegressor(
        objective="l1", n_estimators=400, learning_rate=0.05, num_leaves=63, verbosity=-1, num_threads=threads,
        random_state=1,
    )  # fmt: skip
    forecast = MLForecast(
        models={"mlforecast": model},
        freq="W-SUN",
        lags=list(LAGS),
        lag_transforms={1: [RollingMean(weeks, min_samples=1) for weeks in ROLLING]},
        date_features=["week", "month"],
        # On Rossmann better than sales as they are, and than scaling each series.
        target_transforms=[GlobalSklearnTransformer(FunctionTransformer(np.log1p, np.expm1, validate=False))],
        num_threads=threads,
    )
    rows = _filled(sales[sales["week"] <= origin], origin).merge(known, how="left")
    forecast.fit(rows.fillna(-1.0), static_features=SERIES)
    ahead = weeks_between(add_weeks(origin, 1), add_weeks(origin, HORIZON))
    needed = pd.DataFrame({"unique_id": rows["unique_id"].unique()}).merge(pd.DataFrame({"ds": ahead}), how="cross")
    made: pd.DataFrame = forecast.predict(HORIZON, X_df=needed.merge(known, how="left").fillna(-1.0))
    return made.assign(origin_week=origin)


def _filled(sales: pd.DataFrame, origin: pd.Timestamp) -> pd.DataFrame:
    """[unique_id, ds, y, SERIES] of every week of the series sold in the last year, a gap as the value before it."""
    newest = sales.groupby("unique_id")["week"].max()
    alive = newest.index[newest > add_weeks(origin, -52)]
    wide = sales.pivot_table(index="week", columns="unique_id", values="sales")[alive]
    wide = wide.reindex(weeks_between(wide.index[0], origin)).ffill()
    rows = wide.melt(ignore_index=False, value_name="y").rename_axis("ds").reset_index().dropna()
    return rows.assign(store_id=rows["unique_id"] // 1000, dept_id=rows["unique_id"] % 1000)


def _known_ahead(retailer: Retailer, sales: pd.DataFrame) -> pd.DataFrame:
    """[unique_id, ds, is_holiday, NAME, NAME_before, NAME_after...]."""
    drivers = retailer.drivers
    of_stores = len(drivers.of_stores) > 0
    keys = ["store_id"] if of_stores else SERIES
    rows = (drivers.of_stores if of_stores else drivers.of_series)[[*keys, "week", *drivers.names]]
    rows = rows.sort_values([*keys, "week"])
    by_key = rows.groupby(keys)
    for name in drivers.names:
        rows[f"{name}_before"], rows[f"{name}_after"] = by_key[name].shift(1), by_key[name].shift(-1)
    rows["is_holiday"] = rows["week"].map(retailer.calendar.set_index("week")["is_holiday"]).astype(float)
    rows = sales[[*SERIES, "unique_id"]].drop_duplicates().merge(rows, on=keys)
    return rows.drop(columns=SERIES).rename(columns={"week": "ds"})


def _ids(rows: pd.DataFrame) -> "pd.Series[int]":
    return rows["store_id"].astype(np.int64) * 1000 + rows["dept_id"]


def side_by_side(retailer: Retailer, every: int, config: XGBoostConfig) -> pd.DataFrame:
    """Points [POINT, model, forecast, actual, is_holiday, scale, p10, p50, p90] of all methods, the same for each.

    What has no interval has NaN for one. "xgboost start" is what the model corrects.
    """
    without = _with_start(ours(retailer, None, every, config))
    own = _with_start(ours(retailer, retailer.drivers, every, config))
    moved = own[own["model"].isin(OURS)]
    without["model"] = without["model"].where(~without["model"].isin(OURS), without["model"] + WITHOUT)
    facts = without.loc[without["model"] == SEASONAL_NAIVE, [*POINT, "actual", "is_holiday", "scale"]]
    facts = facts[facts["actual"].notna()]
    other = by_mlforecast(retailer, config.threads).rename(columns={"mlforecast": "forecast"})
    facts = facts.merge(other[POINT])
    methods = pd.concat([without, moved, other.assign(model="mlforecast")], ignore_index=True)
    return facts.merge(methods[[*POINT, "model", "forecast", *INTERVAL]], on=POINT)


def _with_start(points: pd.DataFrame) -> pd.DataFrame:
    start = points[points["model"] == MODEL]
    start = start.assign(model=f"{MODEL} start", forecast=start["start"]).drop(columns=[*INTERVAL])
    return pd.concat([points, start], ignore_index=True)


def measure(points: pd.DataFrame) -> dict[str, Any]:
    """Scores per method, how far the model lies below the others, the paired test of drivers, and coverage."""
    intervals = interval_score(points.dropna(subset=[*INTERVAL]))
    scores = score(points).merge(intervals, how="left", on="model").set_index("model").sort_values("wmae")
    errors = scores["wmae"]
    by_origin = score(points, ["origin_week"]).pivot_table(index="origin_week", columns="model", values="wmae")
    before, after = by_origin[MODEL + WITHOUT], by_origin[MODEL]
    own = points[points["model"] == MODEL]
    size = pd.qcut(own["scale"], SIZES, labels=False, duplicates="drop")
    return {
        "scores": scores.to_dict(orient="index"),
        "below the best of the others": 1 - errors[MODEL] / errors[list(OTHERS)].min(),
        "below seasonal naive": 1 - errors[MODEL] / errors[SEASONAL_NAIVE],
        "below without drivers": 1 - errors[MODEL] / errors[MODEL + WITHOUT],
        "origins better": f"{int((after < before).sum())} of {len(before)}",
        "p": float(ttest_rel(before, after, alternative="greater").pvalue),
        "by origin without and with": by_origin[[MODEL + WITHOUT, MODEL]].round(4).to_numpy().tolist(),
        "coverage by size": [round(coverage(part), 3) for _, part in own.groupby(size)],
        "coverage by origin": [round(coverage(part), 3) for _, part in own.groupby("origin_week")],
    }


@click.command()
@click.option("--rossmann", "rossmann_file", type=click.Path(exists=True, path_type=Path), help="rossmann.parquet")
@click.option("--soap", "soap_file", type=click.Path(exists=True, path_type=Path), help="soap.csv.gz")
@click.option("--soap-stores", default=24, show_default=True, help="Evenly spread stores of the soap data.")
@click.option("--members", default=XGBoostConfig.model_fields["members"].default, show_default=True)
@click.option("--every", default=1, show_default=True, help="Learn from one in so many weeks of Rossmann.")
@click.option("--soap-every", default=4, show_default=True, help="The same of soap.")
@click.option("--threads", default=2, show_default=True)
@click.option("--points", type=click.Path(path_type=Path), help="Folder for the points of all methods, as Parquet.")
def main(
    rossmann_file: Path | None,
    soap_file: Path | None,
    soap_stores: int,
    members: int,
    every: int,
    soap_every: int,
    threads: int,
    points: Path | None,
) -> None:
    """Print errors per retailer and method; write them as JSON."""
    config = XGBoostConfig(seed=1, threads=threads, members=members)
    found = {}
    for retailer, learn_every in (
        *(((rossmann(rossmann_file), every),) if rossmann_file else ()),
        *(((soap(soap_file, soap_stores), soap_every),) if soap_file else ()),
    ):
        made = side_by_side(retailer, learn_every, config)
        if points is not None:
            points.mkdir(parents=True, exist_ok=True)
            made.to_parquet(points / f"{retailer.name}.parquet", index=False)
        found[retailer.name] = measure(made)
        table = pd.DataFrame(found[retailer.name]["scores"]).T.round(4)
        told = {name: value for name, value in found[retailer.name].items() if name != "scores"}
        click.echo(f"\n{retailer.name}\n{table.to_string()}\n{told}")
    machine.write("drivers", {"members": members, "soap_stores": soap_stores, "retailers": found})


if __name__ == "__main__":
    main()
