"""`demand.toml`: what the files of a landing zone hold, in the words of their own headers.

A key that is left out is recognised from the files. Column names match without regard to case. Pure.
"""

import tomllib
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from demand_assets.errors import SchemaError

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
# One column, or several whose values are joined with a slash.
Key = Text | tuple[Text, ...]
# Columns under their own names, or NAME = "Header".
Columns = tuple[Text, ...] | Mapping[Text, Text]
NAME = "demand.toml"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Closed(_Part):
    """A week in which stores did not trade: its sales are unknown, not zero."""

    week: Annotated[date, Field(description="The day that ends the week.")]
    stores: Annotated[
        tuple[str, ...], Field(description="Ids of the stores that were shut; none: the whole chain.")
    ] = ()


class Data(_Part):
    """What the numbers are."""

    unit: Annotated[str, Field(description="What is counted: USD, EUR, pieces.")] = ""
    week_ends: Annotated[Weekday | None, Field(description="Weekday that ends a week.")] = None
    closed: Annotated[
        tuple[date | Closed, ...], Field(description="Weeks without trade: a date, or a table with week and stores.")
    ] = ()


class Series(_Part):
    """What names a series."""

    store: (
        Annotated[Key | None, Field(description="Column of store ids; several are joined. false: one chain.")]
        | Literal[False]
    ) = None
    dept: (
        Annotated[
            Key | None, Field(description="Column of department ids; several are joined. false: one series a store.")
        ]
        | Literal[False]
    ) = None
    store_label: Annotated[str, Field(description="What people call a store: Shop.")] = ""
    dept_label: Annotated[str, Field(description="What people call a department: Article.")] = ""
    store_name: Annotated[str, Field(description="Column of the stores' names.")] = ""
    dept_name: Annotated[str, Field(description="Column of the departments' names.")] = ""


class Wide(_Part):
    """Sales with a column per date: `columns` is a pattern such as d_*; their names are dates, or keys of a file."""

    columns: Annotated[Text, Field(description="Pattern of the columns that hold a value each, such as d_*.")]
    file: Annotated[str, Field(description="File that gives the date of each such column.")] = ""
    key: Annotated[str, Field(description="Its column with their names.")] = ""
    date: Annotated[str, Field(description="Its column with their dates.")] = ""


class Sales(_Part):
    """Where sales are."""

    files: Annotated[tuple[Text, ...], Field(description="Names or patterns of the files.")] = ()
    date: Annotated[str, Field(description="Column of dates.")] = ""
    date_format: Annotated[str, Field(description="Form of the dates, such as %d/%m/%Y.")] = ""
    value: Annotated[str, Field(description="Column of what was sold.")] = ""
    frequency: Annotated[Literal["weekly", "daily"] | None, Field(description="What a row covers.")] = None
    week_starts: Annotated[
        bool, Field(description="Whether dates name the day that starts a week, not the one that ends it.")
    ] = False
    missing: Annotated[
        Literal["zero", "unknown"],
        Field(description="What a week without a row inside a series' life means."),
    ] = "unknown"
    repeated: Annotated[
        Literal["refuse", "sum"],
        Field(description="Rows of one series and week with different amounts: refuse the file, or add them up."),
    ] = "refuse"
    wide: Annotated[Wide | None, Field(description="For a file with a column per date.")] = None


class KeyedDates(_Part):
    """Dates through another file's keys: M5's prices name weeks by wm_yr_wk of calendar.csv."""

    file: Annotated[Text, Field(description="File that gives the date of each key.")]
    key: Annotated[Text, Field(description="Its column with the keys.")]
    date: Annotated[Text, Field(description="Its column with the dates; of several dates of a key the last counts.")]


class Covariates(_Part):
    """Columns beside sales, all of one level and role."""

    files: Annotated[tuple[Text, ...], Field(description="Names or patterns of the files.")] = ()
    level: Annotated[Literal["series", "store", "chain"], Field(description="What has one value a week.")] = "store"
    known_ahead: Annotated[
        bool, Field(description="Whether values of weeks to come are planned (price, promotion).")
    ] = False
    columns: Annotated[Columns, Field(description='Columns, or NAME = "Header" to name them.')] = ()
    weekly: Annotated[
        Literal["mean", "days"] | None,
        Field(description="What a week has of daily values: their mean, or the days on which it is set, as of a flag."),
    ] = None
    date: Annotated[str, Field(description="Column of dates; as in sales when left out.")] = ""
    date_format: Annotated[str, Field(description="Form of the dates.")] = ""
    dates: Annotated[KeyedDates | None, Field(description="Where that column holds keys of another file.")] = None


class Members(_Part):
    """Static facts of stores or departments."""

    files: Annotated[tuple[Text, ...], Field(description="Names or patterns of the files.")] = ()
    key: Annotated[Key | None, Field(description="Column of ids; as in [series] when left out.")] = None
    columns: Annotated[Columns, Field(description='Columns of facts, text or number, or NAME = "Header".')] = ()


class Holidays(_Part):
    """Which weeks are holiday weeks."""

    column: Annotated[str, Field(description="Column of flags in the sales or covariates.")] = ""
    country: Annotated[str, Field(description="Country whose public holidays count, such as DE.")] = ""
    subdivision: Annotated[str, Field(description="Its state or province, such as BY.")] = ""
    by_store: Annotated[
        bool, Field(description="Whether stores have holidays of their own: flags that differ are then no finding.")
    ] = False
    retail: Annotated[
        Literal["", "us"],
        Field(description="A set of retail weeks instead: us flags Super Bowl, Labor Day, Thanksgiving, Christmas."),
    ] = ""


class Accept(_Part):
    """An unusual finding that somebody has looked at and takes as right."""

    week: Annotated[date, Field(description="The week of the finding.")]
    check: Annotated[Text, Field(description="Name of the check.")]
    reason: Annotated[Text, Field(description="Why it is right.")]


class DataSpec(_Part):
    """All of `demand.toml`."""

    data: Data = Data()
    series: Series = Series()
    sales: Sales = Sales()
    covariates: tuple[Covariates, ...] = ()
    stores: Members = Members()
    departments: Members = Members()
    holidays: Holidays = Holidays()
    accept: tuple[Accept, ...] = ()


def read_spec(text: str, name: str = NAME) -> DataSpec:
    """The spec that a TOML text states. SchemaError naming every unknown key and bad value, with what is expected."""
    try:
        return DataSpec.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(f"{name} is not TOML: {error}") from None
    except ValidationError as error:
        raise SchemaError(
            f"{name}: {'; '.join(dict.fromkeys(_complaint(fault) for fault in error.errors()))}"
        ) from None


def _complaint(fault: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key {where}"
    return f"{where} is {fault['input']!r}: {fault['msg']}"
