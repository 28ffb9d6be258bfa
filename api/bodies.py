"""Bodies that the service is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from api.parameters import MAX_INTEGER, DeptId, StoreId, Week

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


_BOTH = {"properties": {name: {"type": "number"} for name in ("override", "change_percent")}}
_NOT_BOTH: dict[str, Any] = {"not": {**_BOTH, "required": ["override", "change_percent"]}}
_ONE_OF_THEM: dict[str, Any] = {"anyOf": [{"required": [name]} for name in ("override", "change_percent")]}


class GivenNumber(SeriesKey):
    """A planner's number, as a row of an upload has it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_NOT_BOTH)

    override: Annotated[
        Amount | None,
        Field(description="In the forecast's unit; null withdraws the number before.", examples=[15000.0]),
    ] = None
    change_percent: Annotated[
        Annotated[float, Field(ge=-100, le=10_000, allow_inf_nan=False), BeforeValidator(_is_a_number)] | None,
        Field(description="In place of a number: a change of the system's forecast, in percent.", examples=[None]),
    ] = None
    reason: Annotated[
        Annotated[str, Field(max_length=1000, pattern=_TEXT)] | None,
        Field(description="Why, in words.", examples=["Local fair on Saturday"]),
    ] = None
    reason_code: Annotated[
        Annotated[str, Field(max_length=50, pattern=_TEXT)] | None,
        Field(description="Why, as one of the service's codes, if it has any.", examples=[None]),
    ] = None
    expires_at: Annotated[
        AwareDatetime | None,
        Field(description="From when it no longer counts; null: never.", examples=["2030-01-01T00:00:00Z"]),
    ] = None
    version: Annotated[
        Annotated[int, Field(ge=0, le=MAX_INTEGER)] | None,
        Field(
            description="The newest version that the planner has seen, 0 for none: a later one is not overwritten.",
            examples=[None],
        ),
    ] = None

    @field_validator("expires_at")
    @classmethod
    def _is_in_reach(cls, moment: datetime | None) -> datetime | None:
        if moment is None:
            return None
        if not _YEARS[0] <= moment.year < _YEARS[1]:
            raise ValueError(f"expected a year from {_YEARS[0]} to {_YEARS[1] - 1}")
        return moment.astimezone(UTC)

    @model_validator(mode="after")
    def _is_one_number(self) -> GivenNumber:
        if self.override is not None and self.change_percent is not None:
            raise ValueError("expected a number or a change in percent, got both")
        return self


class NewOverride(GivenNumber):
    """A planner's number."""

    model_config = ConfigDict(json_schema_extra=_NOT_BOTH | _ONE_OF_THEM)

    reason: Annotated[str, Field(max_length=1000, pattern=_TEXT, examples=["Local fair on Saturday"])]

    @model_validator(mode="after")
    def _says_what(self) -> NewOverride:
        # A number that was left out by mistake must not withdraw the one before.
        if not {"override", "change_percent"} & self.model_fields_set:
            raise ValueError("expected override or change_percent; override null withdraws")
        return self


class NewReview(BaseModel):
    """What a second person says."""

    model_config = ConfigDict(extra="forbid")

    approved: Annotated[bool, Field(strict=True, description="Whether the number is to be in force.", examples=[True])]
    comment: Annotated[
        Annotated[str, Field(max_length=1000, pattern=_TEXT)] | None, Field(examples=["Agreed with the store"])
    ] = None


_MOST_ROWS = 50_000
_MOST_TEXT = 32_767
Cell = (
    Annotated[str, Field(max_length=_MOST_TEXT)]
    | bool
    | Annotated[float, Field(ge=-1e300, le=1e300, allow_inf_nan=False)]
    | None
)


class NewColumn(BaseModel):
    """One column of a table; one that is shorter than the others ends in empty cells."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=200, description="Its head.")]
    values: Annotated[list[Cell], Field(max_length=_MOST_ROWS)]


class NewSheet(BaseModel):
    """One table, as a page shows it."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=200, description="Names the sheet, as far as Excel lets it.")]
    columns: Annotated[list[NewColumn], Field(min_length=1, max_length=200)]


class NewWorkbook(BaseModel):
    """The tables of a page."""

    model_config = ConfigDict(extra="forbid")

    sheets: Annotated[list[NewSheet], Field(min_length=1, max_length=50)]
