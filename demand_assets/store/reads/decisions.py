"""The promotion ledger: decisions, and what they made champion."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, literal_column, select

from demand_assets.store.ledger import PROMOTED
from demand_assets.store.reads.statements import Order, matching
from demand_assets.store.tables import promotions

PROMOTIONS_ORDER = Order((promotions.c.promotion_id,), descending=True)


def decisions(outcome: str | None = None) -> Select[Any]:
    """Rows of `promotions`; order by PROMOTIONS_ORDER."""
    return matching(select(promotions), promotions, {"outcome": outcome})


def judged_versions() -> Select[Any]:
    """The newest decision that named each version; order by PROMOTIONS_ORDER."""
    p, later = promotions.c, promotions.alias()
    newer = (
        select(literal_column("1"))
        .where(
            later.c.model_name == p.model_name,
            later.c.to_version == p.to_version,
            later.c.promotion_id > p.promotion_id,
        )
        .exists()
    )
    return select(
        p.promotion_id, p.model_name, p.to_version, p.outcome, p.decided_at, p.as_of, p.data_version, p.code_version,
        p.reasons, p.figures,
    ).where(~newer)  # fmt: skip


CHAMPIONS: Select[Any] = (
    select(promotions.c.model_name, promotions.c.to_version)
    .where(promotions.c.outcome == PROMOTED)
    .order_by(promotions.c.promotion_id)
)
"""(model_name, version) of every promotion, the present champion of a name last."""
