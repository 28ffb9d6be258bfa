"""Rows of the promotion ledger."""

from datetime import UTC, datetime
from typing import Any


def decision(outcome: str, key: str | None, action: str = "promote") -> dict[str, Any]:
    return {
        "decision_key": key, "decided_at": datetime(2012, 7, 2, tzinfo=UTC), "model_name": "m", "action": action,
        "outcome": outcome, "to_version": "2", "forced": False, "requested_by": "x", "reasons": ["r"], "figures": {},
        "data_version": "d", "code_version": "c",
    }  # fmt: skip
