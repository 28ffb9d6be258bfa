"""`demand backtest`: rolling origins over a landing zone, without Dagster, into Parquet and an HTML report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from demand_assets.commands.terminal import print_json, print_table, terminal, week_of
from demand_assets.errors import SchemaError, SettingsError
from demand_assets.settings import read_settings

if TYPE_CHECKING:
    import pandas as pd

    from demand_assets.ingestion.ids import IdTexts


def run_backtest(raw_dir: str, horizon: int, origins: str, output: Path, report: Path | None, as_json: bool) -> None:
    """Score the model and the baselines at `origins` (comma-separated weeks) and write every point to `output`.

    The HTML report goes to `report`, beside `output` unless it says otherwise.
    """
    console = terminal(stderr=True)
    console.print(f"Reading {raw_dir} ...")
    settings = read_settings()
    from demand_assets.adapters.landing import LandingZone
    from demand_assets.commands.report import write_report
    from demand_assets.forecasting.backtest import backtest, origins_to_forecast
    from demand_assets.forecasting.features import build_features, first_origin
    from demand_assets.forecasting.methods import history_needs
    from demand_assets.forecasting.metrics import score
    from demand_assets.forecasting.panel import build_panel
    from demand_assets.forecasting.weeks import weeks_between
    from demand_assets.ingestion.members import keys_of
    from demand_assets.resources import build_training

    asked = [text.strip() for text in origins.split(",") if text.strip()]
    if not asked:
        raise SettingsError("--origins is empty; expected weeks such as 2012-01-27,2012-02-24")
    contents = LandingZone(raw_dir).contents()
    landed, facts = contents.tables(), contents.dataset
    sales, stores = landed.sales, landed.stores
    absent = facts.absent_rows(keys_of(stores, "store_id"), landed.of_series)
    panel = build_panel(sales, landed.covariates, stores, landed.calendar, horizon, absent, landed.drivers)
    weeks = sorted({week_of("--origins", text, panel.weeks) for text in asked})
    first = first_origin(panel.weeks)
    outside = [week for week in weeks if not first < week <= panel.weeks[-1]]
    if outside:
        raise SchemaError(
            f"origin {outside[0]:%Y-%m-%d} cannot be tested; the data allows {first:%Y-%m-%d} (exclusive) "
            f"to {panel.weeks[-1]:%Y-%m-%d}: {history_needs(len(panel.weeks), horizon)}"
        )
    console.print(f"  {len(sales):,} rows of sales; building features ...")
    features = build_features(panel, list(weeks_between(first, weeks[-1])), horizon)
    config = build_training(settings).config().bounded(len(features), settings.training_rows)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        total = len(origins_to_forecast(weeks, weeks_between(first, weeks[-1]), horizon))
        task = bar.add_task("Training at each origin", total=total)

        def tell(week: pd.Timestamp) -> None:
            bar.update(task, advance=1, refresh=True)
            if not console.is_terminal:
                console.print(f"  trained and forecast at {week:%Y-%m-%d}")

        result = backtest(features, sales, weeks, horizon, config, tell, absent)
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    points = _with_ids(result.cv_results.drop(columns=["start", "residual"]), landed.ids)
    # Spark and Athena read no nanoseconds.
    points.to_parquet(temporary, index=False, coerce_timestamps="us")
    temporary.replace(output)
    report = output.with_suffix(".html") if report is None else report
    write_report(points, _with_ids(sales, landed.ids), report)
    scores = score(result.cv_results).sort_values("wmae")
    if as_json:
        print_json(scores.to_dict(orient="records"))
        return
    _print_scores(f"{len(weeks)} origins, horizon {horizon}", scores)
    _print_order_costs(result.cv_results, settings.underage_cost, settings.overage_cost)
    terminal().print(f"{len(result.cv_results):,} rows in {output}, report in {report}")


def _with_ids(rows: pd.DataFrame, ids: IdTexts) -> pd.DataFrame:
    """The rows with text ids for keys."""
    return rows.assign(store_id=rows["store_id"].map(ids.store), dept_id=rows["dept_id"].map(ids.dept))


def _print_scores(title: str, scores: pd.DataFrame) -> None:
    measures = ("wmae", "mae", "rmse", "bias")
    print_table(
        title,
        [
            {
                "model": str(row.model),
                "points": f"{row.points:,}",
                **{name: f"{getattr(row, name):,.1f}" for name in measures},
            }
            for row in scores.itertuples(index=False)
        ],
        numbers=("points", *measures),
    )


def _print_order_costs(points: pd.DataFrame, underage: float, overage: float) -> None:
    from demand_assets.forecasting.orders import simulated_order_cost

    costs = simulated_order_cost(points, underage, overage)
    print_table(
        f"Simulated order cost, too few to too many {underage:g}:{overage:g}",
        [
            {"model": str(row.model), "cost per point": f"{row.cost:,.1f}", "saved": f"{row.saving:.1%}"}
            for row in costs.itertuples(index=False)
        ],
        numbers=("cost per point", "saved"),
    )
