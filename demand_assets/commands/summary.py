"""What `demand run` says at its end."""

import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from rich.console import Console
from rich.table import Table
from rich.text import Text

from demand_assets.errors import StoreError
from demand_assets.settings import Settings

if TYPE_CHECKING:
    from demand_assets.adapters.parquet import ParquetLake


@dataclass
class Progress:
    """What the runs have done so far."""

    seconds: dict[str, float] = field(default_factory=dict)
    metadata: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    # File and line of a row -> the row with its check and reason.
    set_aside: dict[tuple[str, int], Mapping[str, Any]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False
    # Why it could no longer be followed; raised by the thread that waits for it, not printed by the one that follows.
    lost: Exception | None = None


def summary_of(
    settings: Settings,
    lake: "ParquetLake",
    resources: "Mapping[str, Any]",
    progress: Progress,
    rows_in: int,
    newest: str,
    seconds: float,
) -> dict[str, Any]:
    """What a run landed, judged and published, by name; plain values for `--json`."""
    from demand_assets.store.engine import reading
    from demand_assets.store.migrations import opened
    from demand_assets.store.queries import counts, first_forecast, newest_vintage, rows_of

    weeks = lake.partitions("raw_sales")
    sales = lake.read("raw_sales", weeks, ["store_id", "dept_id"])
    with opened(settings.store) as engine, reading(engine) as connection:
        stored = counts(connection, "forecast_vintages")
        published = newest_vintage(connection)
        if published is None:
            raise StoreError(f"the store has no forecast, though {newest} was published; was it emptied meanwhile?")
        vintage = published["vintage_id"]
        store_id, dept_id, week = first_forecast(connection, vintage)
        forecasts = rows_of(connection, vintage)
    judged = _trained(progress) if "trained_model" in progress.metadata else _champion(resources)
    return {
        "rows_landed": rows_in,
        "rows_in_lake": 0 if sales is None else len(sales),
        "series": 0 if sales is None else len(sales.drop_duplicates()),
        "weeks": len(weeks),
        "first_week": weeks[0],
        "last_week": weeks[-1],
        "origin_week": newest,
        **judged,
        "forecasts": forecasts,
        "vintage": vintage,
        "vintage_is_new": progress.metadata.get("published_forecast", {}).get("new", False),
        "example": f"/forecast?{urlencode({'store_id': store_id, 'dept_id': dept_id, 'week': str(week)})}",
        "vintages_in_store": stored["forecast_vintages"],
        "store": settings.store if "@" not in settings.store else settings.store.rsplit("@", 1)[1],
        "parquet": lake.path("published_forecast", f"{newest}/{vintage}"),
        "seconds_per_asset": {name: round(value, 2) for name, value in progress.seconds.items()},
        "seconds": round(seconds, 2),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _trained(progress: Progress) -> dict[str, Any]:
    """What a training that was part of the run found."""
    trained, tested = progress.metadata["trained_model"], progress.metadata["backtest_report"]
    promoted = progress.metadata["promoted_model"]
    return {
        "wmae": {
            name.removeprefix("WMAE "): value
            for name, value in tested.items()
            if name.startswith("WMAE ") and isinstance(value, float)
        },
        "backtest_origins": tested["origins"],
        "coverage_p10_p90": tested["p10-p90 coverage"],
        "model_version": trained["model version"],
        "production_version": promoted["production version"],
        "method": promoted["method"],
        "promoted": promoted["promoted"],
        "promotion_reasons": promoted["reasons"].replace("- ", "").split("\n"),
        "fit_seconds": round(float(trained["fit seconds"]) + float(tested["fit seconds"]), 2),
    }


def _champion(resources: "Mapping[str, Any]") -> dict[str, Any]:
    """What the backtest of the champion found: nothing was trained."""
    from demand_assets.adapters.promotion import backtest_kept
    from demand_assets.forecasting.baselines import model_rows
    from demand_assets.forecasting.metrics import coverage, score
    from demand_assets.forecasting.models.baseline import Baseline

    registry, champion = resources["registry"], resources["ledger"].champion()
    tested = backtest_kept(registry, champion)
    # An untrained champion is there under its own name too.
    scores = score(tested[tested["model"] != Baseline.name])
    return {
        "wmae": dict(zip(scores["model"], scores["wmae"].astype(float), strict=True)),
        "backtest_origins": ", ".join(f"{week:%Y-%m-%d}" for week in tested["origin_week"].unique()),
        "coverage_p10_p90": coverage(model_rows(tested)),
        "model_version": int(registry.newest().version),
        "production_version": champion.version,
        "method": champion.method,
        "promoted": False,
        "promotion_reasons": ["nothing was trained, so nothing was judged"],
        "fit_seconds": 0.0,
    }


def print_summary(console: Console, summary: Mapping[str, Any]) -> None:
    """Print what people look at first, and where to look on."""
    from demand_assets.forecasting.metrics import shown

    table = Table(title=f"Forecasts from {summary['origin_week']}", title_justify="left", show_header=False, box=None)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row(
        "data",
        f"{summary['rows_in_lake']:,} rows of sales, {summary['series']:,} series, {summary['weeks']} weeks to "
        f"{summary['last_week']}",
    )
    own, naive = summary["wmae"].get(summary["method"]), summary["wmae"].get("seasonal_naive")
    if own is not None and naive:
        added = f"FVA {1 - own / naive:+.1%} against {shown(naive)} of seasonal naive"
        table.add_row(
            "accuracy",
            f"WMAE {shown(own)} {summary['unit']}, {added}; p10 to p90 held {summary['coverage_p10_p90']:.0%}; "
            f"judged at {summary['backtest_origins']}",
        )
    table.add_row("in production", f"version {summary['production_version']}, {summary['method']}")
    table.add_row("training", summary["retraining"])
    if summary["retrained"]:
        table.add_row("gate", "; ".join(summary["promotion_reasons"]))
    new = "new" if summary["vintage_is_new"] else "published before, unchanged"
    table.add_row("forecasts", f"{summary['forecasts']:,} rows, vintage {summary['vintage']} ({new})")
    table.add_row("took", f"{summary['seconds']:.1f} s, {summary['peak_memory_mb']:,} MB of memory")
    console.print()
    console.print(table)
    console.print(
        Text.assemble(
            "\nNext: ",
            ("make dev", "bold"),
            " serves the dashboard at http://127.0.0.1:8000, the graph at :3000 and the models at :5000. Then\n      ",
            (f"curl 'http://127.0.0.1:8000{summary['example']}'", "bold"),
            "\n      answers with one forecast.",
        ),
        soft_wrap=True,
    )
