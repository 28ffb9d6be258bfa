"""Bodies that the service is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from api.parameters import DeptId, StoreId, Week

_YEARS = (1900, 2200)
# Not empty, not only space, and no NUL, which PostgreSQL cannot hold.
_TEXT = r"^[^\x00]*[^\s\x00][^\x00]*$"


def _is_a_number(value: object) -> object:
    """JSON's numbers as they are; pydantic would also take false for 0 and "12" for 12."""
    if isinstance(value, bool | str):
        raise ValueError(f"expected a number, got {value!r:.40}")
    return value


Amount = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False), BeforeValidator(_is_a_number)]


class SeriesKey(BaseModel):
    """Key of one forecast."""

    model_config = ConfigDict(extra="forbid")

    store_id: StoreId
    dept_id: DeptId
    week: Week


class Batch(BaseModel):
    """Many forecasts at once."""

    model_config = ConfigDict(extra="forbid")

    keys: Annotated[list[SeriesKey], Field(min_length=1, max_length=10_000)]


class NewOverride(SeriesKey):
    """A planner's number."""

    override: Annotated[
        Amount | None,
        Field(description="In the forecast's unit; null withdraws the number before.", examples=[15000.0]),
    ]
    author: Annotated[str, Field(max_length=100, pattern=_TEXT, examples=["M. Planner"])]
    reason: Annotated[str, Field(max_length=1000, pattern=_TEXT, examples=["Local fair on Saturday"])]
    expires_at: Annotated[
        AwareDatetime | None,
        Field(description="From when it no longer counts; null: never.", examples=["2030-01-01T00:00:00Z"]),
    ] = None

    @field_validator("expires_at")
    @classmethod
    def _is_in_reach(cls, moment: datetime | None) -> datetime | None:
        if moment is None:
            return None
        if not _YEARS[0] <= moment.year < _YEARS[1]:
            raise ValueError(f"expected a year from {_YEARS[0]} to {_YEARS[1] - 1}")
        return moment.astimezone(UTC)
