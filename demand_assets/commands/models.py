"""`demand models`: what is registered."""

import json
from dataclasses import asdict
from datetime import UTC, datetime

from rich.table import Table

from demand_assets.commands.terminal import terminal
from demand_assets.settings import read_settings


def list_models(as_json: bool) -> None:
    """Print every registered version, newest first."""
    settings = read_settings()
    terminal(stderr=True).print(f"Reading {settings.tracking} ...")
    from demand_assets.resources import build_resources

    versions = build_resources(settings)["registry"].versions()
    if as_json:
        print(json.dumps([asdict(version) for version in versions], indent=1))  # noqa: T201
        return
    console = terminal()
    if not versions:
        console.print("no model is registered yet; run `demand run` first")
        return
    table = Table(title=settings.model_name, title_justify="left")
    for heading in ("version", "aliases", "as of", "WMAE", "seasonal naive", "data", "code", "registered"):
        table.add_column(heading, justify="right" if heading in ("WMAE", "seasonal naive") else "left")
    for version in versions:
        table.add_row(
            version.version,
            ", ".join(version.aliases),
            version.as_of,
            f"{version.metrics.get('backtest_wmae_xgboost', float('nan')):,.0f}",
            f"{version.metrics.get('backtest_wmae_seasonal_naive', float('nan')):,.0f}",
            version.data_version,
            version.code_version,
            f"{datetime.fromtimestamp(version.created_ms / 1000, UTC):%Y-%m-%d %H:%M}",
        )
    console.print(table)
