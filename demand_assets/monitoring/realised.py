"""Realised accuracy: vintages against the sales that came, per total, and the series a planner should look at.

A vintage is judged beside the baselines it was stored with, over the same series: those with a forecast and a sales
row. Error is forecast - actual, in the unit of sales.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from demand_assets.forecasting.absent import Missing
from demand_assets.forecasting.baselines import BASELINES, SEASONAL_NAIVE
from demand_assets.forecasting.drivers import ALL
from demand_assets.forecasting.metrics import score
from demand_assets.forecasting.orders import order_cost
from demand_assets.forecasting.totals import LEVELS

# What names one scored total; a row of `realised_accuracy` has these once.
KEYS = ("vintage_id", "model", "horizon", "level", "store_id", "dept_id")
FIGURES = (
    "points",
    "wmae",
    "mae",
    "rmse",
    "bias",
    "actual",
    "total_error",
    "coverage",
    "fva",
    "tracking_signal",
)
_IDS = {"horizon": "int16", "store_id": "int32", "dept_id": "int32"}
# The final numbers of a vintage as a model of their own; its columns in the order of `OWN`.
FINAL = "final"
OWN = ("forecast", "p10", "p90")
FINALS = (FINAL, "final_p10", "final_p90")
ACCURACY_TYPES = {
    **dict.fromkeys(KEYS, "object"),
    **_IDS,
    **dict.fromkeys(FIGURES, "float64"),
    "points": "int32",
}
EXCEPTION_TYPES = {
    "rank": "int32",
    "store_id": "int32",
    "dept_id": "int32",
    "horizon": "int16",
    **dict.fromkeys(("forecast", "p10", "p90", "order_quantity", "actual", "at_risk"), "float64"),
    "reason": "object",
}

TRACKING_WEEKS = 8
LEAST_TRACKING_WEEKS = 4
MOST_EXCEPTIONS = 100

BAND_WEEKS = 26
LEAST_BAND_WEEKS = 8
BAND_WIDTH = 2.0
# Of a normal sample, 1.4826 median absolute deviations are one standard deviation.
MAD_TO_STD = 1.4826
# A very steady history has hardly a spread: a loss under 15% above its centre is no alarm.
LEAST_BAND = 1.15
# A loss of 0 has no logarithm; nothing is sold for less than a cent.
_CENT = 0.01


def realised_points(
    forecasts: pd.DataFrame,
    actuals: pd.DataFrame,
    vintage_id: str,
    model: str,
    missing: Missing = "unknown",
    closed: Collection[int] = (),
) -> pd.DataFrame:
    """One row per series x horizon x model: the vintage's own forecast, and each other one that `forecasts` has.

    `forecasts`: [store_id, dept_id, horizon, forecast, p10, p90], any of `BASELINES` and, where planners' numbers
    count, `FINALS`, of one target week; `actuals`: [store_id, dept_id, sales, is_holiday] of it. Series with both only;
    with `missing` "zero" a series without a sales row has sold nothing. Stores `closed` in the week are left out.
    Baselines have no quantiles (NaN).
    """
    sold = _with_unsold(actuals, forecasts) if missing == "zero" else actuals
    both = forecasts[~forecasts["store_id"].isin(closed)].merge(
        sold, on=["store_id", "dept_id"], how="inner", validate="many_to_one"
    )
    keys = ["store_id", "dept_id", "horizon", "sales", "is_holiday"]
    common = both[keys].rename(columns={"sales": "actual"}).assign(vintage_id=vintage_id)
    own = common.assign(model=model, **{name: both[name] for name in OWN})
    finals = []
    if FINAL in both.columns:
        moved = {name: both[column] for name, column in zip(OWN, FINALS, strict=True)}
        finals.append(common.assign(model=FINAL, **moved))
    baselines = [
        common.assign(model=name, forecast=both[name], p10=np.nan, p90=np.nan)
        for name in BASELINES
        # A baseline that was published is its own row, with its quantiles.
        if name in both.columns and name != model
    ]
    return pd.concat([own, *finals, *baselines], ignore_index=True)


def realised_accuracy(points: pd.DataFrame, earlier: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row per vintage x model x horizon x total, columns `KEYS` and `FIGURES`; ids of no one are `ALL`.

    `points` are `realised_points` of one week, `earlier` the rows that `tracking_signals` reads. `fva` is the
    seasonal naive's WMAE less the model's over the same points; NaN where that baseline was not stored. `coverage`,
    the share within p10..p90, is NaN for baselines.
    """
    inside = points["actual"].between(points["p10"], points["p90"])
    judged = points.assign(
        total_error=points["forecast"] - points["actual"],
        coverage=inside.astype(float).where(points["p10"].notna()),
    )
    parts = [_scored(judged, level, list(group)) for level, group in LEVELS.items()]
    table = pd.concat(parts, ignore_index=True)
    # The number of points is a key as well: two models are compared over the same series or not at all.
    same = ["vintage_id", "horizon", "level", "store_id", "dept_id", "points"]
    naive = table.loc[table["model"] == SEASONAL_NAIVE, [*same, "wmae"]].rename(columns={"wmae": "naive"})
    table = table.merge(naive, on=same, how="left", validate="many_to_one")
    table = table.assign(fva=table["naive"] - table["wmae"], tracking_signal=tracking_signals(table, earlier))
    return table[[*KEYS, *FIGURES]].astype(ACCURACY_TYPES).sort_values(list(KEYS), ignore_index=True)


def tracking_signals(table: pd.DataFrame, earlier: pd.DataFrame | None) -> pd.Series:
    """Sum of a total's errors over its last `TRACKING_WEEKS` scored weeks, by their mean size; 0 is unbiased.

    `table` has this week's model, horizon, level, store_id, dept_id and total_error; `earlier` the same and week, one
    row per week x key. NaN with under `LEAST_TRACKING_WEEKS` weeks. Over n weeks it lies between -n and n; beyond
    4 is customarily called biased. Source: Brown 1962, Smoothing, Forecasting and Prediction of Discrete
    Time Series, with a plain mean over the weeks in place of his smoothed one.
    """
    key = ["model", "horizon", "level", "store_id", "dept_id"]
    if earlier is None or earlier.empty:
        return pd.Series(np.nan, index=table.index)
    recent = np.sort(earlier["week"].unique())[-(TRACKING_WEEKS - 1) :]
    past = earlier[earlier["week"].isin(recent)]
    sums = (
        past.assign(size=past["total_error"].abs())
        .groupby(key, sort=False)
        .agg(past=("total_error", "sum"), past_size=("size", "sum"), weeks=("total_error", "size"))
        .reset_index()
    )
    both = table[[*key, "total_error"]].merge(sums, on=key, how="left", validate="many_to_one")
    weeks = both["weeks"].fillna(0).to_numpy() + 1
    total = both["past"].fillna(0).to_numpy() + both["total_error"].to_numpy()
    size = (both["past_size"].fillna(0).to_numpy() + both["total_error"].abs().to_numpy()) / weeks
    # Without any error there is nothing to divide by, and no bias.
    signal = np.divide(total, size, out=np.zeros_like(total), where=size > 0)
    return pd.Series(np.where(weeks >= LEAST_TRACKING_WEEKS, signal, np.nan), index=table.index)


def pooled_accuracy(table: pd.DataFrame) -> pd.DataFrame:
    """[model, points, wmae, bias, coverage, fva] over all rows of a model, best first; rows count by their points.

    For rows of one week, whose points all have the same weight.
    """
    figures = ["wmae", "bias", "coverage", "fva"]
    weighted = table[figures].mul(table["points"], axis=0).assign(model=table["model"], points=table["points"])
    sums = weighted.groupby("model", sort=True)[["points", *figures]].sum(min_count=1)
    sums[figures] = sums[figures].div(sums["points"], axis=0)
    return sums.sort_values("wmae", kind="stable").reset_index()


def outside_band(
    forecasts: pd.DataFrame,
    actuals: pd.DataFrame,
    underage: float,
    overage: float,
    closed: Collection[int] = (),
) -> pd.DataFrame:
    """Series whose sales lie outside p10..p90 of `forecasts`, most money at risk first.

    [store_id, dept_id, horizon, forecast, p10, p90, order_quantity, actual, at_risk, is_missing]. A
    series without a sales row counts as having sold nothing; stores `closed` in the week are left out. Money at risk is
    what the order cost too much: `underage` for each unit it fell short of the sales, `overage` for each it exceeded
    them. Without an order quantity the forecast stands for it.
    """
    columns = ["store_id", "dept_id", "horizon", "forecast", "p10", "p90", "order_quantity"]
    sold = actuals[["store_id", "dept_id", "sales"]]
    both = forecasts.loc[~forecasts["store_id"].isin(closed), columns].merge(
        sold, on=["store_id", "dept_id"], how="left", validate="many_to_one"
    )
    both = both.astype({"order_quantity": float})
    both = both.assign(actual=both["sales"].fillna(0.0), is_missing=both["sales"].isna()).drop(columns="sales")
    outside = both[~both["actual"].between(both["p10"], both["p90"])]
    ordered = outside["order_quantity"].fillna(outside["forecast"].clip(lower=0.0)).to_numpy()
    at_risk = order_cost(outside["actual"].to_numpy(), ordered, underage, overage)
    columns += ["actual", "at_risk", "is_missing"]
    return outside.assign(at_risk=at_risk)[columns].sort_values(
        ["at_risk", "store_id", "dept_id"], ascending=[False, True, True], ignore_index=True
    )


def exceptions(outside: pd.DataFrame, most: int = MOST_EXCEPTIONS) -> pd.DataFrame:
    """The first `most` rows of `outside_band`, columns of `EXCEPTION_TYPES`: ranked from 1, with a reason in words."""
    worst = outside.head(most).reset_index(drop=True)
    reasons = [_reason(row) for row in worst.to_dict(orient="records")]
    ranked = worst.assign(rank=np.arange(1, len(worst) + 1), reason=reasons)
    return ranked[list(EXCEPTION_TYPES)].astype(EXCEPTION_TYPES)


def loss_band(wmae: Sequence[float]) -> tuple[float, float] | None:
    """(centre, upper) of the last `BAND_WEEKS` losses, oldest first; a later loss above `upper` is out of the ordinary.

    Median and two standard deviations of the logarithms, the latter by the median absolute deviation, which single
    bad weeks do not widen; `upper` is at least `LEAST_BAND` times the centre. None below `LEAST_BAND_WEEKS` losses.
    ValueError for a loss that is negative or no number. Source of the estimator: Leys et al. 2013, J. Exp. Soc.
    Psychology 49.
    """
    losses = np.asarray(wmae, dtype=float)[-BAND_WEEKS:]
    if not (losses >= 0).all():
        raise ValueError(f"expected losses of 0 and more, got {losses[~(losses >= 0)][0]}; drop weeks without a score")
    if len(losses) < LEAST_BAND_WEEKS:
        return None
    logs = np.log(np.maximum(losses, _CENT))
    middle = np.median(logs)
    spread = MAD_TO_STD * np.median(np.abs(logs - middle))
    centre = float(np.exp(middle))
    return centre, max(float(np.exp(middle + BAND_WIDTH * spread)), LEAST_BAND * centre)


def loss_history(losses: pd.DataFrame) -> pd.DataFrame:
    """`losses` ([week, wmae], oldest first) with [centre, upper]: the band of the weeks before each, else NaN."""
    values = losses["wmae"].tolist()
    bands = [loss_band(values[:count]) or (np.nan, np.nan) for count in range(len(values))]
    return losses.assign(centre=[centre for centre, _ in bands], upper=[upper for _, upper in bands])


def _with_unsold(actuals: pd.DataFrame, forecasts: pd.DataFrame) -> pd.DataFrame:
    """The actuals of a week, with 0 for each series forecast that has none; flagged as its store is, else the week."""
    keys = ["store_id", "dept_id"]
    absent = forecasts[keys].drop_duplicates().merge(actuals[keys], on=keys, how="left", indicator="found")
    absent = absent.loc[absent["found"] == "left_only", keys]
    of_store = absent["store_id"].map(actuals.groupby("store_id")["is_holiday"].max())
    flags = of_store.where(of_store.notna(), bool(actuals["is_holiday"].max())).astype(bool)
    unsold = absent.assign(sales=0.0, is_holiday=flags)
    return pd.concat([actuals, unsold.astype(actuals.dtypes[[*keys, "is_holiday"]].to_dict())], ignore_index=True)


def _scored(points: pd.DataFrame, level: str, group: list[str]) -> pd.DataFrame:
    by = ["model", "vintage_id", "horizon", *group]
    sums = (
        points.groupby(by, sort=True)
        .agg(actual=("actual", "sum"), total_error=("total_error", "sum"), coverage=("coverage", "mean"))
        .reset_index()
    )
    both = score(points, by[1:]).merge(sums, on=by, validate="one_to_one")
    return both.assign(level=level, **{name: ALL for name in ("store_id", "dept_id") if name not in group})


def _reason(row: Mapping[Hashable, float]) -> str:
    """Why a series is on the list, in words."""
    forecast, actual = row["forecast"], row["actual"]
    if row["is_missing"]:
        return f"no sales row though {forecast:,.0f} were forecast; counted as nothing sold"
    side = "above p90" if actual > row["p90"] else "below p10"
    if actual < 0:
        return f"more returned than sold, {forecast:,.0f} forecast, {side}"
    if actual == 0:
        return f"sold nothing, {forecast:,.0f} forecast, {side}"
    if forecast <= 0:
        return f"sold {actual:,.0f}, none forecast, {side}"
    ratio = actual / forecast
    if ratio >= 2:
        return f"sold {ratio:,.1f} times the forecast, {side}"
    return f"sold {abs(ratio - 1):.0%} {'more' if ratio >= 1 else 'less'} than the forecast, {side}"
