"""`demand models`, `promote`, `rollback`: what is registered, in staging and production, and how that changes."""

import getpass
import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from demand_assets.commands.terminal import Row, print_json, print_list, terminal
from demand_assets.errors import ModelError
from demand_assets.forecasting.baselines import SEASONAL_NAIVE
from demand_assets.settings import read_settings

if TYPE_CHECKING:
    from demand_assets.store.ledger import PromotionRecord


def list_models(as_json: bool) -> None:
    """Print every registered version, newest first."""
    settings = read_settings()
    terminal(stderr=True).print(f"Reading {settings.tracking} ...")
    from demand_assets.resources import build_resources

    resources = build_resources(settings)
    versions = resources["registry"].versions()
    if versions and resources["ledger"].champion() is not None:
        # Reading the champion has corrected its alias, in case a process died before it set the alias.
        versions = resources["registry"].versions()
    rows = [asdict(version) for version in versions]
    print_list(settings.model_name, rows, _version_cells, "no model is registered yet; run `demand run` first", as_json)


def _version_cells(version: Row) -> dict[str, str]:
    wmae = {name: version["metrics"].get(f"backtest_wmae_{name}") for name in (version["model"], SEASONAL_NAIVE)}
    # MLflow deletes a run for good and keeps its version.
    absent = "none" if version["metrics"] else "run deleted"
    return {
        "version": version["version"],
        "aliases": ", ".join(version["aliases"]),
        "as of": version["as_of"],
        **{
            heading: absent if value is None else f"{value:,.0f}"
            for heading, value in zip(("WMAE", "seasonal naive"), wmae.values(), strict=True)
        },
        "data": version["data_version"],
        "code": version["code_version"],
        "registered": f"{datetime.fromtimestamp(version['created_ms'] / 1000, UTC):%Y-%m-%d %H:%M}",
    }


def list_promotions(as_json: bool) -> None:
    """Print every row of the ledger, newest first."""
    from demand_assets.resources import build_resources

    rows = build_resources(read_settings())["ledger"].rows()
    print_list(
        "Promotions", rows, _decision_cells, "nothing was ever promoted or refused; run `demand run` first", as_json
    )


def _decision_cells(row: Row) -> dict[str, str]:
    return {
        "when": f"{row['decided_at']:%Y-%m-%d %H:%M}",
        "what": row["action"],
        "outcome": row["outcome"] + (" (forced)" if row["forced"] else ""),
        "from": row["from_version"] or "none",
        "to": row["to_version"],
        "as of": str(row["as_of"] or ""),
        "asked by": row["requested_by"],
        "reasons": "; ".join(row["reasons"]),
    }


def promote_version(version: str, reason: str, force: bool, as_json: bool) -> int:
    """Judge a version and promote it if it passes, or regardless with `force`; 0 only if it is then in production."""
    from demand_assets.adapters.ledger import outcome_in_words
    from demand_assets.adapters.promotion import in_production, judge
    from demand_assets.forecasting.promotion import Decision
    from demand_assets.resources import build_resources
    from demand_assets.store.ledger import PROMOTED

    resources = build_resources(read_settings())
    registry, ledger = resources["registry"], resources["ledger"]
    challenger = registry.version(version)
    terminal(stderr=True).print(f"Judging version {version} ...")
    champion = ledger.champion()
    if champion is not None and champion.version == challenger.version:
        raise ModelError(in_production(champion).reasons[0])
    judged = judge(resources["lake"], registry, challenger, champion, resources["promotion_gate"].policy())
    decision = Decision(judged.promote, (f"asked for: {reason}", *judged.reasons), judged.figures)
    record = ledger.decide(challenger, champion, decision, _who(), resources["clock"].now(), force=force)
    _print_record(record, as_json, outcome_in_words(record))
    return 0 if record.outcome == PROMOTED else 1


def stage_version(version: str, as_json: bool) -> None:
    """Move the alias `staging` to a version."""
    from demand_assets.adapters.registry import STAGING
    from demand_assets.resources import build_resources

    registry = build_resources(read_settings())["registry"]
    registry.set_alias(STAGING, version)
    if as_json:
        print_json(asdict(registry.version(version)))
    else:
        terminal().print(f"version {version} is in staging")


def roll_back(reason: str, as_json: bool) -> None:
    """Put the previous champion back."""
    from demand_assets.adapters.ledger import outcome_in_words
    from demand_assets.resources import build_resources

    resources = build_resources(read_settings())
    record = resources["ledger"].rollback(reason, _who(), resources["clock"].now())
    _print_record(record, as_json, outcome_in_words(record))


def _who() -> str:
    """The account that runs the command; a container may have none with a name."""
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):
        return f"user {os.getuid()} (command line)"


def _print_record(record: "PromotionRecord", as_json: bool, words: str) -> None:
    if as_json:
        print_json(asdict(record))
    else:
        terminal().print(words)
