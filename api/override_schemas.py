"""Bodies about planners' numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.row_models import with_columns
from api.schema_parts import Envelope, Listing, named, nullable, some
from demand_assets.contract import store
from demand_assets.contract.columns import Column, Type
from demand_assets.contract.store import amount

Status = Literal["active", "waiting", "rejected", "superseded", "withdrawn", "expired"]
RowStatus = Literal["accepted", "waiting", "unchanged", "refused"]


@with_columns(
    *some(
        store.OVERRIDES,
        "override_id",
        "version",
        "override",
        "author",
        "reason",
        "reason_code",
        "created_at",
        "expires_at",
    )
)
class ActiveOverride(BaseModel):
    """A planner's number in place of the system's."""


@with_columns(
    *named(*store.OVERRIDES.without("idempotency_key", "request_hash").columns),
    *nullable(*some(store.OVERRIDE_REVIEWS, "reviewer")),
    Column("review_comment", Type.TEXT, "What the reviewer said", nullable=True),
    *nullable(*some(store.OVERRIDE_REVIEWS, "reviewed_at")),
)
class Override(BaseModel):
    """A planner's number for one forecast; a later one for the same forecast has a higher version."""

    status: Status


class OverrideResponse(Override, Envelope):
    """One override."""


@with_columns(
    *named(
        *some(
            store.OVERRIDES,
            "override_id",
            "store_id",
            "dept_id",
            "target_week",
            "author",
            "reason_code",
            "override",
            "forecast",
        )
    ),
    store.ACTUAL,
    amount("fva", "|forecast - actual| - |override - actual|; positive: the planner was nearer"),
)
class OverrideScore(BaseModel):
    """An override in force when its week ended, against what was sold."""


class OverrideSummary(BaseModel):
    """Over all overrides scored."""

    overrides: int
    fva: Annotated[float, Field(description="Sum of their forecast value added, in `unit`.")]
    share_better: Annotated[float | None, Field(description="Share of them that were nearer; null without any.")]


class OverrideScores(Listing[OverrideScore]):
    """Scores and their sum."""

    summary: OverrideSummary


@with_columns(
    Column("by", Type.TEXT, "What the numbers are put together by"),
    Column("value", Type.TEXT, "Which author, reason code, store or department; none: no code"),
    Column("overrides", Type.INTEGER, "Numbers scored"),
    amount("fva", "Sum of their forecast value added"),
    Column("share_better", Type.NUMBER, "Share of them that were nearer than the forecast"),
)
class OverrideScoreGroup(BaseModel):
    """Planners' numbers of one author, reason code, store or department against what was sold."""


_LINE = Column("line", Type.INTEGER, "Line of the file, or number of the item; from 1")
_GIVEN = nullable(*some(store.OVERRIDES, "store_id", "dept_id", "target_week", "forecast", "override"))


@with_columns(_LINE, *named(*(replace(each, type=Type.TEXT) if each.type is Type.ID else each for each in _GIVEN)))
class UploadRow(BaseModel):
    """What comes of one row. Where it is refused, ids, week and number are as they were sent."""

    week: Annotated[str | None, Field(description="The day that ends the week.", examples=["2012-11-02"])]
    status: Annotated[RowStatus, Field(description="waiting: a second person has to approve.")]
    detail: Annotated[str | None, Field(description="Why it is refused; else null.", examples=[None])]


class Upload(Envelope):
    """What came of an upload, or would come of it."""

    batch_id: Annotated[
        str | None,
        Field(description="Names the upload, to undo it; null for a preview.", examples=["0f3a9c5b7d1e2468"]),
    ]
    preview: Annotated[bool, Field(description="Whether nothing was added.")]
    added: Annotated[int, Field(description="Numbers added by this call.")]
    waiting: Annotated[int, Field(description="Of its rows, those that wait for approval.")]
    unchanged: Annotated[int, Field(description="Rows whose number is in force already.")]
    refused: Annotated[int, Field(description="Rows refused; only of a preview more than none.")]
    items: list[UploadRow]


@with_columns(
    *some(store.OVERRIDES, "batch_id", "author", "reason", "created_at"),
    Column("overrides", Type.INTEGER, "Numbers in it"),
    Column("waiting", Type.INTEGER, "Of these, those that wait for approval"),
)
class OverrideBatch(BaseModel):
    """One upload, or the undoing of one."""

    batch_id: str


class UndoneBatch(Envelope):
    """What undoing an upload came to."""

    batch_id: Annotated[str, Field(description="The undoing itself, an upload too.", examples=["0f3a9c5b7d1e2468"])]
    put_back: Annotated[int, Field(description="Forecasts whose number is that of before the upload.")]
    kept: Annotated[int, Field(description="Forecasts that somebody has changed since, which stay.")]
