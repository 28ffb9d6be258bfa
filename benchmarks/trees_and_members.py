"""WMAE against boosting rounds and members, at rolling origins, so that a user can trade time for accuracy.

Members are trained once with the most rounds; fewer rounds and fewer members are read off the same trees.
"""

import time

import click
import numpy as np
import pandas as pd

from benchmarks.machine import write
from demand_assets.adapters.landing import LandingZone
from demand_assets.forecasting.features import FEATURES, build_features, first_origin
from demand_assets.forecasting.metrics import wmae
from demand_assets.forecasting.models.xgboost import XGBoost, XGBoostConfig
from demand_assets.forecasting.panel import build_panel
from demand_assets.forecasting.training import actuals_of, training_matrix
from demand_assets.forecasting.weeks import as_week, weekday_of, weeks_between

ROUNDS = (50, 100, 150, 200, 300)
MEMBERS = (1, 2, 3, 4)


@click.command()
@click.option("--raw-dir", required=True, help="Folder with the three CSVs.")
@click.option("--origins", required=True, help="Comma-separated weeks.")
@click.option("--horizon", default=4, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--seed", default=7, show_default=True)
def main(raw_dir: str, origins: str, horizon: int, threads: int, seed: int) -> None:
    """Print WMAE (USD) and mean seconds inside xgboost per origin, by rounds and members; write both as JSON."""
    import xgboost

    landed = LandingZone(raw_dir).contents().tables()
    sales = landed.sales
    panel = build_panel(sales, landed.covariates, landed.stores, landed.calendar, horizon)
    weeks = sorted(as_week(text, weekday_of(panel.weeks)) for text in origins.split(","))
    features = build_features(panel, list(weeks_between(first_origin(panel.weeks), weeks[-1])), horizon)
    actuals = actuals_of(features, sales)
    config = XGBoostConfig(rounds=max(ROUNDS), seed=seed, threads=threads)
    found: list[pd.DataFrame] = []
    spent: list[float] = []
    for origin in weeks:
        here = (features["origin_week"] == origin).to_numpy() & ~np.isnan(actuals)
        rows, truth = features[here], actuals[here]
        matrix = xgboost.DMatrix(
            rows[list(FEATURES)].to_numpy(np.float32), feature_names=list(FEATURES), nthread=threads
        )
        sums = dict.fromkeys(ROUNDS, np.zeros(len(rows)))
        for member in range(max(MEMBERS)):
            known = training_matrix(features, actuals, origin, config.subsample, member)
            started = time.perf_counter()
            booster = XGBoost.fit(known, config, member).booster
            spent.append(time.perf_counter() - started)
            for rounds in ROUNDS:
                sums[rounds] = sums[rounds] + booster.predict(matrix, iteration_range=(0, rounds))
                if member + 1 in MEMBERS:
                    forecast = rows["base"] + sums[rounds] / (member + 1) * rows["scale"]
                    points = pd.DataFrame({"forecast": forecast, "actual": truth, "holiday": rows["is_holiday"] > 0})
                    found.append(points.assign(rounds=rounds, members=member + 1))
    scores = (
        pd.concat(found)
        .groupby(["rounds", "members"])[["forecast", "actual", "holiday"]]
        .apply(lambda group: wmae(group["actual"], group["forecast"], group["holiday"]))
        .rename("wmae")
        .reset_index()
    )
    table = scores.pivot_table(index="rounds", columns="members", values="wmae").round(1)
    # A round costs the same at the start as at the end, near enough: every tree sees the same rows.
    table["seconds a member"] = np.round(np.mean(spent) * table.index.to_numpy() / max(ROUNDS), 1)
    click.echo(table.to_string())
    write("trees_and_members", {"by_rounds": table.to_dict("index")})


if __name__ == "__main__":
    main()
