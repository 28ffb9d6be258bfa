"""The sample of one table, column by column: what its values are, and what they are constant within. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from demand_assets.ingestion.marks import date_formats, number_marks
from demand_assets.ingestion.source import ColumnType, Source
from demand_assets.ingestion.values import FALSE, NULLS, TRUE, convert, parse_dates, texts

_NUMERIC = re.compile(r"[-+]?[\d.,' \u00a0\u202f]+")

_FLAGS = frozenset(word.casefold() for word in (*TRUE, *FALSE))
# Eight digits, or two groups of them.
_DATED = re.compile(r"\d{8}|\d\D+\d")
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?!\d)")
# Texts that are tried to find the form of all.
_PROBES = 8


def usual_formats(texts: Sequence[str]) -> list[str]:
    """The forms in which the most of these texts are dates, and more than half are: typing errors do not count."""
    step = len(texts) // _PROBES + 1
    forms = dict.fromkeys(form for text in texts[::step] for form in date_formats([text]))
    counts = {form: len(texts) - parse_dates(pa.array(texts, pa.string()), form).null_count for form in forms}
    most = max(counts.values(), default=0)
    return [form for form, times in counts.items() if times == most and 2 * most > len(texts)]


class Column:
    """One column of a sample: its header and its distinct values."""

    def __init__(self, header: str, values: Any) -> None:
        self.header = header
        self.type = values.type
        self.values = values

    @property
    def is_text(self) -> bool:
        """Whether values are text, as all of a CSV are."""
        kind = self.type.value_type if pa.types.is_dictionary(self.type) else self.type
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))

    @cached_property
    def rows(self) -> Any:
        """(rows,) values as text, stripped; null where missing, and everywhere in a column of lists or bytes."""
        if pa.types.is_nested(self.type) or pa.types.is_binary(self.type) or pa.types.is_duration(self.type):
            return pa.nulls(len(self.values), pa.string())
        written = pc.utf8_trim_whitespace(texts(self.values.combine_chunks()))
        return pc.if_else(pc.is_in(written, pa.array(NULLS)), None, written)

    @cached_property
    def texts(self) -> list[str]:
        """Distinct values as text, in order of first appearance, without the missing ones."""
        return pc.unique(self.rows).drop_null().to_pylist()  # type: ignore[no-any-return]

    @cached_property
    def marks(self) -> tuple[str, str] | None:
        """Decimal and thousands mark where every value is a number."""
        if self.is_text:
            return number_marks(self.texts)
        typed = pa.types.is_integer(self.type) or pa.types.is_floating(self.type) or pa.types.is_decimal(self.type)
        return (".", "") if typed else None

    @cached_property
    def usual_marks(self) -> tuple[str, str]:
        """Decimal and thousands mark of the values that look like numbers, whatever the others are."""
        if self.marks is not None or not self.is_text:
            return self.marks or (".", "")
        return number_marks([text for text in self.texts if _NUMERIC.fullmatch(text)]) or (".", "")

    @property
    def is_number(self) -> bool:
        """Whether every value is a number; a column without values may become one."""
        return self.marks is not None or not self.texts

    @cached_property
    def is_whole(self) -> bool:
        """Whether every value is a whole number."""
        numbers = convert(pa.chunked_array([pa.array(self.texts, pa.string())]), self.number())[0]
        return self.marks is not None and bool(pc.all(pc.equal(numbers, pc.floor(numbers))).as_py())

    @cached_property
    def is_flag(self) -> bool:
        """Whether values are true and false, however written."""
        return bool(self.texts) and {text.casefold() for text in self.texts} <= _FLAGS

    @property
    def is_typed_date(self) -> bool:
        """Whether the file itself says that values are dates."""
        return bool(pa.types.is_date(self.type) or pa.types.is_timestamp(self.type))

    @cached_property
    def formats(self) -> list[str]:
        """Forms in which every value is a date; "" is ISO 8601."""
        # The first few tell most columns that hold no dates.
        if not (self.is_text or pa.types.is_integer(self.type)) or not all(
            _DATED.search(text) for text in self.texts[:_PROBES]
        ):
            return []
        # No other form fits what begins as ISO 8601 does, and trying them all takes long.
        if all(_ISO.match(text) for text in self.texts):
            return [""] if not parse_dates(pa.array(self.texts), "").null_count else []
        return date_formats(self.texts)

    @cached_property
    def usual_formats(self) -> list[str]:
        """`formats`, or else the forms in which most values are dates."""
        return self.formats or (usual_formats(self.texts) if self.is_text else [])

    @property
    def is_date(self) -> bool:
        """Whether every value is a date in some form."""
        return self.is_typed_date or bool(self.formats)

    def number(self) -> ColumnType:
        """How to read it as numbers."""
        decimal, thousands = self.usual_marks
        return ColumnType("number", decimal=decimal, thousands=thousands)

    def fact(self) -> ColumnType:
        """How to read it as an attribute: a number where every value is one, else text."""
        return self.number() if self.texts and self.is_number else ColumnType("text")


class Table:
    """A source with its columns by header. Of columns of one name the first counts."""

    def __init__(self, source: Source) -> None:
        self.source = source
        names = source.sample.column_names
        self.columns = {name: Column(name, source.sample.column(names.index(name))) for name in dict.fromkeys(names)}
        self._headers = {name.strip().casefold(): name for name in reversed(self.columns)}

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers, in the file's order."""
        return tuple(self.columns)

    @property
    def is_whole_file(self) -> bool:
        """Whether the sample is all of it."""
        return bool(self.source.rows == self.source.sample.num_rows)

    def find(self, header: str) -> str:
        """The header as this table writes it, whatever its case; empty where it has none."""
        return str(self._headers.get(header.strip().casefold(), ""))

    def find_all(self, headers: Iterable[str]) -> tuple[str, ...]:
        """The headers as this table writes them; empty unless it has all."""
        found = tuple(self.find(header) for header in headers)
        return found if all(found) else ()

    @cached_property
    def _codes(self) -> dict[str, NDArray[np.int64]]:
        return {}

    def codes(self, header: str) -> NDArray[np.int64]:
        """(rows,) number of the value of each row of a column; -1 where it is missing."""
        if header not in self._codes:
            self._codes[header] = pd.factorize(self.columns[header].rows.to_pandas())[0].astype(np.int64)
        return self._codes[header]

    def groups(self, headers: Sequence[str]) -> NDArray[np.int64]:
        """(rows,) number of the combination of values of each row."""
        number = np.zeros(self.source.sample.num_rows, dtype=np.int64)
        for header in headers:
            codes = self.codes(header) + 1
            number = np.unique(number * (codes.max(initial=0) + 1) + codes, return_inverse=True)[1]
        return number

    def is_unique(self, headers: Sequence[str]) -> bool:
        """Whether no two rows of the sample have the same values in all of these columns."""
        groups = self.groups(headers)
        return len(np.unique(groups)) == len(groups)

    def is_constant(self, header: str, within: Sequence[str]) -> bool:
        """Whether rows that are equal in `within` have one value in this column; missing values are no value."""
        values = self.codes(header)
        known = values >= 0
        pairs = np.unique(np.stack([self.groups(within)[known], values[known]]), axis=1)
        return bool(len(np.unique(pairs[0])) == pairs.shape[1])
