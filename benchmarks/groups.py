"""Intervals of totals by an attribute of stores, out of sample: the service's rule beside two others.

Reads the points of `demand backtest` and calibrates stores, chain and groups at each origin on the errors known at it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import click
import numpy as np
import pandas as pd

from benchmarks.machine import write
from demand_assets.adapters.landing import LandingZone
from demand_assets.forecasting.backtest import WARM_UP_ORIGINS
from demand_assets.forecasting.baselines import model_rows
from demand_assets.forecasting.totals import CHAIN, STORE, calibrate_totals, total, total_points
from demand_assets.store.reads.groups import Quantiles, Spread, group_quantiles

WEEKS = ["origin_week", "target_week", "horizon"]
BAND = list(Quantiles._fields)


@click.command()
@click.option("--raw-dir", required=True, help="Folder of the files, for the stores' attributes.")
@click.option("--points", required=True, type=click.Path(exists=True), help="What `demand backtest --output` wrote.")
@click.option("--attribute", default="store_type", show_default=True, help="Of stores.")
def main(raw_dir: str, points: str, attribute: str) -> None:
    """Print the coverage of p10 to p90 and its width by kind of total; write both as JSON."""
    stores = LandingZone(raw_dir).contents().tables().stores
    value_of = dict(zip(stores["store_id"].astype(str), stores[attribute].astype(str), strict=True))
    rows = keyed(model_rows(pd.read_parquet(points)))
    rows = rows[rows["actual"].notna()]
    groups = rows["store"].map(value_of)
    horizon = int(rows["horizon"].max())
    found = []
    for origin in np.unique(rows["origin_week"])[WARM_UP_ORIGINS:]:
        past, now = rows["target_week"] <= origin, rows["origin_week"] == origin
        own = totals_with_intervals(rows[past], rows[now], horizon)
        # A group as if it were a store: the errors of such sums, calibrated like those of stores.
        grouped = rows.assign(store_id=pd.factorize(groups)[0] + 1)
        calibrated = totals_with_intervals(summed(grouped[past]), summed(grouped[now]), horizon)
        found += [
            own[own["level"] == STORE].assign(kind="stores"),
            own[own["level"] == CHAIN].assign(kind="chain"),
            by_rule(own, value_of, rows).assign(kind="groups, the rule"),
            sums(own, value_of, rows).assign(kind="groups, sums of quantiles"),
            calibrated[calibrated["level"] == STORE].assign(kind="groups, calibrated on their own errors"),
        ]
    table = scored(pd.concat(found, ignore_index=True))
    click.echo(table.to_string(index=False))
    write("groups", {"rows": table.to_dict("records")})


def keyed(points: pd.DataFrame) -> pd.DataFrame:
    """Points with integer keys as the pipeline has them, and the store's id as `store`."""
    keys = {name: pd.factorize(points[name], sort=True)[0] + 1 for name in ("store_id", "dept_id")}
    return points.assign(store=points["store_id"], **keys).reset_index(drop=True)


def summed(rows: pd.DataFrame) -> pd.DataFrame:
    """Series of the same key put together."""
    how = {"forecast": "sum", "actual": "sum", "scale": "sum", "is_holiday": "max", "model": "first"}
    return rows.groupby(["store_id", "dept_id", *WEEKS], sort=True).agg(how).reset_index()


def totals_with_intervals(past: pd.DataFrame, now: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Totals of `now` with intervals from the errors of `past`, and what was sold."""
    made = total(now, calibrate_totals(total_points(past), horizon))
    return made.merge(total_points(now)[["level", "store_id", "dept_id", *WEEKS, "actual"]])


def members(own: pd.DataFrame, value_of: Mapping[str, str], rows: pd.DataFrame) -> pd.DataFrame:
    """Totals of stores with the `group` of each, and the distances of its quantiles from its median."""
    name_of = rows.drop_duplicates("store_id").set_index("store_id")["store"]
    stores = own[own["level"] == STORE]
    return stores.assign(
        group=stores["store_id"].map(name_of).map(value_of),
        below=stores["p50"] - stores["p10"],
        above=stores["p90"] - stores["p50"],
    )


def by_rule(own: pd.DataFrame, value_of: Mapping[str, str], rows: pd.DataFrame) -> pd.DataFrame:
    """Totals of groups with the intervals that the service gives them."""
    stores = members(own, value_of, rows)
    every = {pd.Timestamp(str(week)): spread_of(part) for week, part in stores.groupby("target_week")}
    chain = own[own["level"] == CHAIN].set_index("target_week")[BAND].T.to_dict("list")
    made: list[dict[str, Any]] = []
    for (day, _), part in stores.groupby(["target_week", "group"]):
        week = pd.Timestamp(str(day))
        band = group_quantiles(spread_of(part), every[week], Quantiles(*map(float, chain[week])))
        sold, made_of = float(part["actual"].sum()), float(part["forecast"].sum())
        made.append({"target_week": week, "actual": sold, "forecast": made_of, **band._asdict()})
    return pd.DataFrame(made)


def sums(own: pd.DataFrame, value_of: Mapping[str, str], rows: pd.DataFrame) -> pd.DataFrame:
    """Totals of groups whose quantiles are the sums of their stores'."""
    stores = members(own, value_of, rows)
    return stores.groupby(["target_week", "group"])[["actual", "forecast", *BAND]].sum().reset_index()


def spread_of(part: pd.DataFrame) -> Spread:
    """The sums of the rule over some stores."""
    below, above = part["below"], part["above"]
    figures: Sequence[float] = (part["p50"].sum(), below.sum(), (below**2).sum(), above.sum(), (above**2).sum())
    return Spread(len(part), *map(float, figures))


def scored(totals: pd.DataFrame) -> pd.DataFrame:
    """[kind, totals, below, coverage, above, width]: shares, and the mean width in % of the forecast."""
    below, above = totals["actual"] < totals["p10"], totals["actual"] > totals["p90"]
    width = 100 * (totals["p90"] - totals["p10"]) / totals["forecast"]
    judged = totals.assign(below=below, coverage=~(below | above), above=above, width=width)
    shares = {name: (name, "mean") for name in ("below", "coverage", "above", "width")}
    return judged.groupby("kind", sort=False).agg(totals=("actual", "size"), **shares).round(3).reset_index()


if __name__ == "__main__":
    main()
