"""Attributions by look-up beside xgboost's own TreeSHAP: the same rows and model, in turn, in one process.

Trains the default model on the landed history and explains the newest origin, every series and horizon.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import click
import numpy as np
import xgboost

from benchmarks.machine import write
from demand_assets.adapters.landing import LandingZone
from demand_assets.forecasting.features import ATTRIBUTION_GROUPS, build_features, features_of, first_origin
from demand_assets.forecasting.forecaster import fit
from demand_assets.forecasting.models.xgboost import XGBoost, XGBoostConfig
from demand_assets.forecasting.panel import build_panel
from demand_assets.forecasting.weeks import weeks_between


def _timed(work: Callable[[], Any], repeat: int) -> tuple[Any, float, float]:
    """The answer, and medians of wall and processor seconds."""
    taken = []
    for _ in range(repeat):
        wall, cpu = time.perf_counter(), time.process_time()
        answer = work()
        taken.append((time.perf_counter() - wall, time.process_time() - cpu))
    return answer, median(one for one, _ in taken), median(one for _, one in taken)


@click.command()
@click.option("--raw-dir", help="Folder with the 3 CSVs; default: sample data of Walmart's size.")
@click.option("--horizon", default=4, show_default=True)
@click.option("--threads", default=2, show_default=True, help="Of xgboost; the look-up uses one.")
@click.option("--repeat", default=3, show_default=True)
def main(raw_dir: str | None, horizon: int, threads: int, repeat: int) -> None:
    """Print seconds of both, their ratio, and how far their answers are apart."""
    with tempfile.TemporaryDirectory() as folder:
        if raw_dir is None:
            raw_dir = folder
            subprocess.run([sys.executable, "-m", "demand_assets.cli", "sample", folder, "--plain"], check=True)
        landed = LandingZone(raw_dir).contents().tables()
    sales = landed.sales
    panel = build_panel(sales, landed.covariates, landed.stores, landed.calendar, horizon)
    origins = list(weeks_between(first_origin(panel.weeks), panel.weeks[-1]))
    features = build_features(panel, origins, horizon)
    forecaster = fit(features, sales, origins[-1], XGBoostConfig(seed=7, threads=threads))
    rows = features[features["origin_week"] == origins[-1]]
    names = list(ATTRIBUTION_GROUPS)
    known = features_of(forecaster.features)
    group = np.array([names.index(known[name].group) for name in forecaster.features])

    boosters = [member.booster for member in forecaster.members if isinstance(member, XGBoost)]
    matrix = xgboost.DMatrix(rows[list(forecaster.features)].to_numpy(np.float32), feature_names=forecaster.features)

    def by_xgboost() -> Any:
        return np.mean([booster.predict(matrix, pred_contribs=True) for booster in boosters], axis=0, dtype=float)

    each, wall, cpu = _timed(by_xgboost, repeat)
    found, own_wall, own_cpu = _timed(lambda: forecaster.attributions(rows, group, len(names)), repeat)
    expected = np.column_stack([each[:, :-1] @ (group[:, None] == np.arange(len(names))), each[:, -1]])
    apart = float(np.abs(found - expected).max() / np.abs(expected).max())
    result = {
        "rows": len(rows),
        "trees": sum(booster.num_boosted_rounds() for booster in boosters),
        "xgboost": {"wall_s": round(wall, 2), "processor_s": round(cpu, 2), "threads": threads},
        "look_up": {"wall_s": round(own_wall, 2), "processor_s": round(own_cpu, 2), "threads": 1},
        "largest_difference": apart,
    }
    path = write("reasons", result)
    print(f"{len(rows):,} rows, {result['trees']} trees{'wall':>20}{'processor':>12}")
    print(f"{f'TreeSHAP of xgboost, {threads} threads':<36}{wall:>8.2f} s{cpu:>10.2f} s")
    print(f"{'look-up, 1 thread':<36}{own_wall:>8.2f} s{own_cpu:>10.2f} s")
    print(f"{'ratio':<36}{wall / own_wall:>8.1f}  {cpu / own_cpu:>10.1f}")
    print(f"largest difference, of the largest value: {apart:.1e}")
    print(f"written to {os.path.relpath(path)}")


if __name__ == "__main__":
    main()
