"""The order proposal in the layout that an ERP reads: which columns, their names, the form of dates and numbers."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from api.formats import Table
from api.row_models import columns_of
from api.schemas import OrderQuantity
from demand_assets.contract.spreadsheet import no_formula

# Years, months and days, with or without a leading mark; weeks as ISO 8601 counts them.
_DATE = r"^(%[YymdjGVu]|[-./ ])+$"
_UNIT = "unit"
_PLAIN = {name: name for name in ("store_id", "dept_id", "week", "order_quantity", _UNIT)}


class OrderLayout(BaseModel):
    """A CSV of orders; a column of the file -> a column of /v1/orders, in the file's order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: Annotated[Mapping[str, str], Field(min_length=1)] = _PLAIN
    date: Annotated[str, Field(pattern=_DATE)] = "%Y-%m-%d"
    decimal: Literal[".", ","] = "."
    decimals: Annotated[int, Field(ge=0, le=6)] = 2
    separator: Literal[",", ";", "\t", "|"] = ","
    header: bool = True

    @field_validator("columns")
    @classmethod
    def _are_known(cls, columns: Mapping[str, str]) -> Mapping[str, str]:
        known = (*columns_of(OrderQuantity), _UNIT)
        unknown = [source for source in columns.values() if source not in known]
        if unknown:
            raise ValueError(f"expected columns among {', '.join(known)}, got {', '.join(unknown)}")
        return columns

    @model_validator(mode="after")
    def _are_told_apart(self) -> OrderLayout:
        if self.decimal == self.separator:
            raise ValueError(f"expected a separator other than the decimal mark, got {self.separator} for both")
        return self

    def render(self, table: Table, unit: str) -> bytes:
        """Columns of /v1/orders as UTF-8 text, a line per row; texts that a spreadsheet would run are marked."""
        rows = len(next(iter(table.values()))[1])
        given = {**table, _UNIT: (str, (unit,) * rows)}
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.separator, lineterminator="\r\n")
        if self.header:
            writer.writerow(self.columns)
        writer.writerows(zip(*(self._texts(*given[source]) for source in self.columns.values()), strict=True))
        return text.getvalue().encode()

    def _texts(self, kind: type, values: Sequence[Any]) -> Sequence[str | None]:
        convert = self._writers().get(kind, str)
        return [None if value is None else convert(value) for value in values]

    def _writers(self) -> Mapping[type, Callable[[Any], str]]:
        return {
            date: lambda day: day.strftime(self.date),
            float: lambda number: f"{number:.{self.decimals}f}".replace(".", self.decimal),
            str: no_formula,
        }


def read_layout(given: object) -> object:
    """A setting -> an OrderLayout: JSON itself, or the path of a JSON or TOML file; "" is the plain layout.

    ValueError with all that is wrong, in one line.
    """
    if not isinstance(given, str):
        return given
    try:
        return OrderLayout.model_validate(_parsed(given.strip()))
    except ValidationError as error:
        wrong = (": ".join((*map(str, one["loc"]), _said(one["msg"]))) for one in error.errors())
        raise ValueError("; ".join(wrong)) from None


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")


def _parsed(text: str) -> Any:
    if not text:
        return {}
    try:
        if text.startswith("{"):
            return json.loads(text)
        content = Path(text).read_text(encoding="utf-8")
        return json.loads(content) if text.endswith(".json") else tomllib.loads(content)
    except OSError as error:
        raise ValueError(f"expected JSON or the path of a file, cannot read {text[:200]}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"expected JSON or TOML: {error}") from None


OrderLayoutSetting = Annotated[OrderLayout, BeforeValidator(read_layout)]
