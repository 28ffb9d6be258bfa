"""What moved a forecast, in the pipeline's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from demand_assets.contract.store import FORECAST_ATTRIBUTIONS

# Columns whose name does not read as the pipeline's word for the group.
_WORDS = {"weather_economy": "weather and economy"}
_GROUPS = {
    each.name: _WORDS.get(each.name, each.name.replace("_", " "))
    for each in FORECAST_ATTRIBUTIONS.columns
    if not each.key
}
GROUPS = tuple(_GROUPS.values())
"""Every group of features that a forecast is attributed to."""


def attributions_of(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """{group, amount} of each column of `row` that is one of a group, the largest first."""
    parts = [{"group": word, "amount": row[name]} for name, word in _GROUPS.items()]
    return sorted(parts, key=lambda each: -abs(each["amount"]))
