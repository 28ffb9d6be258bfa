"""One row per file for people: what it is, how it is written, what it covers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from demand_assets.ingestion import dating
from demand_assets.ingestion.columns import Column
from demand_assets.ingestion.dataspec import DataSpec
from demand_assets.ingestion.dating import Dates, Days
from demand_assets.ingestion.extras import Beside
from demand_assets.ingestion.layout import Layout
from demand_assets.ingestion.source import Dialect
from demand_assets.ingestion.understanding import FileReport
from demand_assets.ingestion.values import convert

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}


def report_of(layout: Layout, dates: Dates | None, columns: Beside, sales: DataSpec | None) -> FileReport:
    """The report of one layout; `sales` is the spec, for a file of sales."""
    table = layout.table
    days = _days(layout, dates)
    shown: dict[str, Any] = {}
    if layout.role != "not understood" and len(days):
        shown = span(days, exact=table.is_whole_file or layout.wide is not None)
        shown |= _form(dates)
    if sales is not None:
        shown |= {"value": layout.value or (layout.wide.columns if layout.wide else ""), "unit": sales.data.unit}
        shown |= {"week_ends": sales.data.week_ends or "", "frequency": sales.sales.frequency or ""}
    return FileReport(
        name=layout.name,
        role=", ".join(dict.fromkeys((layout.role, *columns.kinds))) if sales else layout.role,
        written=_written(table.source.dialect, layout),
        keys=", ".join(" / ".join(key) for key in (layout.store, layout.dept) if key),
        rows=table.source.rows,
        covariates=tuple(_covariates(columns)),
        left_out=columns.left_out,
        notes=_notes(layout),
        **shown,
    )


def _form(dates: Dates | None) -> dict[str, str]:
    """The form of the dates; where that is a question, all it may be, and nothing that follows from one of them."""
    if dates is None or not dates.choices:
        return {"dates": dating.in_words(dates.type.date_format if dates else "")}
    ways = " or ".join(dating.in_words(form) for form in dates.choices)
    return {"dates": f"{ways}?", "frequency": "", "first": "", "last": "", "gaps": ""}


def _covariates(columns: Beside) -> Iterator[str]:
    """Columns beside sales by what is known of them: `known ahead, of each series: price, promo`."""
    grouped: dict[str, list[str]] = {}
    for extra in columns.of("covariates"):
        of = "the chain" if extra.level == "chain" else f"each {extra.level}"
        texts = " (a flag for each text)" if extra.is_words else ""
        known = "known ahead" if extra.known_ahead else "observed"
        grouped.setdefault(f"{known}, of {of}", []).append(f"{extra.header}{texts}")
    yield from (f"{what}: {', '.join(headers)}" for what, headers in grouped.items())


def span(days: Days, exact: bool) -> dict[str, str]:
    """Frequency, first and last date and gaps of distinct dates, in the fields of a report; of a sample `about`."""
    every = dating.frequency(days)
    absent = dating.gaps(days, 7 if every == "weekly" else 1) if exact and every in ("weekly", "daily") else 0
    about = "" if exact else "about "
    gaps = f"{absent:,} {'weeks' if every == 'weekly' else 'days'}" if absent else ""
    return {"frequency": every, "first": f"{about}{days[0]}", "last": f"{about}{days[-1]}", "gaps": gaps}


def _days(layout: Layout, dates: Dates | None) -> Days:
    if layout.dates:
        return np.unique(np.array(list(layout.dates.values()), dtype="datetime64[D]"))
    return dates.days if dates else np.array([], dtype="datetime64[D]")


def _notes(layout: Layout) -> tuple[str, ...]:
    table = layout.table
    if layout.role == "not understood":
        return (f"{layout.why}; its columns are {', '.join(header or '(no name)' for header in table.headers)}",)
    doubtful = []
    if layout.date and not table.columns[layout.date].is_typed_date and not table.columns[layout.date].usual_formats:
        doubtful.append(f"{layout.date} holds no dates: {next(iter(table.columns[layout.date].texts), '')[:40]!r}")
    if layout.value and not table.columns[layout.value].is_number:
        doubtful.append(f"{layout.value} does not hold numbers alone: {_odd(table.columns[layout.value])[:40]!r}")
    return tuple(doubtful)


def _odd(column: Column) -> str:
    """The first value that is no number."""
    wrong = convert(pa.chunked_array([pa.array(column.texts, pa.string())]), column.number())[1]
    return column.texts[int(wrong.argmax())]


def _written(dialect: Dialect, layout: Layout) -> str:
    decimal = layout.table.columns[layout.value].usual_marks if layout.value else (".", "")
    parts = [dialect.form, dialect.encoding, _SEPARATORS.get(dialect.separator, dialect.separator)]
    if dialect.form == "csv" and decimal[0] != ".":
        parts.append(f"decimal {decimal[0]}")
    if decimal[1]:
        parts.append(f"thousands {decimal[1]!r}")
    if dialect.skipped:
        parts.append(f"{dialect.skipped} lines before the header")
    return ", ".join(part for part in parts if part)
