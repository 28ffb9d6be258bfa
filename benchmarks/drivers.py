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
from demand_assets.forecasting.drivers import DriverFrames
from demand_assets.forecasting.features import build_features, first_origin
from demand_assets.forecasting.forecaster import fit
from demand_assets.forecasting.metrics import wmae
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.forecasting.panel import build_panel
from demand_assets.forecasting.training import actuals_of
from demand_assets.forecasting.weeks import add_weeks, weeks_between

SERIES = ["store_id", "dept_id"]
POINT = [*SERIES, "origin_week", "target_week"]
OTHERS = ("seasonal_naive", "svd_stl", "mlforecast")
LAGS = (1, 2, 3, 4, 8, 12, 26, 51, 52, 53)
ROLLING = (4, 8, 13, 52)
# Origins before the first scored one, from whose errors the share of the learnt residual is chosen.
WARM_UP = 3
SHARES = np.linspace(0.0, 1.0, 21)


def ours(retailer: Retailer, drivers: DriverFrames | None, every: int, config: XGBoostConfig) -> pd.DataFrame:
    """[POINT, actual, is_holiday, base, full, model, baselines]; `every` so many weeks an origin is learnt from.

    `full` is the base with all of the learnt residual, `model` with the share of it that was best at earlier origins.
    """
    sales = retailer.sales
    none = pd.DataFrame({"store_id": [], "week": pd.DatetimeIndex([])})
    panel = build_panel(sales, none, retailer.stores, retailer.calendar, HORIZON, drivers=drivers)
    scored = [
        *(add_weeks(retailer.origins[0], -HORIZON * back) for back in range(WARM_UP, 0, -1)),
        *retailer.origins,
    ]
    learnt = weeks_between(first_origin(panel.weeks), retailer.origins[-1])[::-every]
    features = build_features(panel, sorted({*learnt, *scored}), HORIZON, config.threads)
    actuals = actuals_of(features, sales)
    made = []
    for origin in scored:
        forecaster = fit(features, sales, origin, config)
        at = (features["origin_week"] == origin).to_numpy()
        rows = features[at]
        columns = [*POINT, "is_holiday", "base", "seasonal_naive", "svd_stl"]
        forecast = forecaster.predict(rows)["forecast"].to_numpy()
        made.append(rows[columns].assign(full=forecast, actual=actuals[at]))
    points = pd.concat(made, ignore_index=True)
    points = points[points["actual"].notna()]
    parts = [_with_share(points, origin) for origin in retailer.origins]
    return pd.concat(parts, ignore_index=True)


def _with_share(points: pd.DataFrame, origin: pd.Timestamp) -> pd.DataFrame:
    """The points of an origin with `model`, by errors known at it."""
    past = points[points["target_week"] <= origin]
    residual = past["full"] - past["base"]
    losses = [wmae(past["actual"], past["base"] + share * residual, past["is_holiday"]) for share in SHARES]
    now = points[points["origin_week"] == origin]
    share = float(SHARES[int(np.argmin(losses))])
    return now.assign(model=now["base"] + share * (now["full"] - now["base"]), share=share)


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


def measure(retailer: Retailer, every: int, config: XGBoostConfig) -> dict[str, Any]:
    """WMAE and MAE per method, by what share the best of ours lies below the others, and the paired test of drivers."""
    columns = ["base", "full", "model"]
    without = ours(retailer, None, every, config).rename(columns={name: f"{name} without" for name in columns})
    own = ours(retailer, retailer.drivers, every, config)
    points = without.merge(own[[*POINT, *columns, "share"]], on=POINT)
    points = points.merge(by_mlforecast(retailer, config.threads), on=POINT)
    methods = [*OTHERS, *(f"{name} without" for name in columns), *columns]
    scores = {name: _scores(points, name) for name in methods}
    by_origin = [
        (_scores(part, "model without")["wmae"], _scores(part, "model")["wmae"])
        for _, part in points.groupby("origin_week")
    ]
    before, after = np.array(by_origin).T
    best = min(scores[name]["wmae"] for name in OTHERS)
    return {
        "points": len(points),
        "scores": scores,
        "below the best of the others": 1 - scores["model"]["wmae"] / best,
        "below seasonal naive": 1 - scores["model"]["wmae"] / scores["seasonal_naive"]["wmae"],
        "below without drivers": 1 - scores["model"]["wmae"] / scores["model without"]["wmae"],
        "origins better": f"{int((after < before).sum())} of {len(before)}",
        "p": float(ttest_rel(before, after, alternative="greater").pvalue),
        "share of the learnt residual": points.groupby("origin_week")["share"].first().tolist(),
    }


def _scores(points: pd.DataFrame, name: str) -> dict[str, float]:
    error = (points[name] - points["actual"]).abs()
    return {"wmae": wmae(points["actual"], points[name], points["is_holiday"]), "mae": float(error.mean())}


@click.command()
@click.option("--rossmann", "rossmann_file", type=click.Path(exists=True, path_type=Path), help="rossmann.parquet")
@click.option("--soap", "soap_file", type=click.Path(exists=True, path_type=Path), help="soap.csv.gz")
@click.option("--soap-stores", default=24, show_default=True, help="Evenly spread stores of the soap data.")
@click.option("--members", default=2, show_default=True)
@click.option("--threads", default=2, show_default=True)
def main(rossmann_file: Path | None, soap_file: Path | None, soap_stores: int, members: int, threads: int) -> None:
    """Print errors per retailer and method; write them as JSON."""
    config = XGBoostConfig(seed=1, threads=threads, members=members)
    found = {}
    for retailer, every in (
        *(((rossmann(rossmann_file), 1),) if rossmann_file else ()),
        *(((soap(soap_file, soap_stores), 4),) if soap_file else ()),
    ):
        found[retailer.name] = measure(retailer, every, config)
        table = pd.DataFrame(found[retailer.name]["scores"]).T.round(4)
        told = {name: value for name, value in found[retailer.name].items() if name != "scores"}
        click.echo(f"\n{retailer.name}\n{table.to_string()}\n{told}")
    machine.write("drivers", {"members": members, "soap_stores": soap_stores, "retailers": found})


if __name__ == "__main__":
    main()
