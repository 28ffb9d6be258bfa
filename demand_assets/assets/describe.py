"""How assets look in the UI: column tables, plots and short reports as metadata."""

import base64
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import dagster as dg

from demand_assets.contract.columns import Table, Type
from demand_assets.contract.models import described
from demand_assets.ingestion.merge import Landing
from demand_assets.ingestion.schemas import Column

if TYPE_CHECKING:
    import pandas as pd

    from demand_assets.ingestion.understanding import FileReport


# What a week is in the files, which has nanoseconds in a frame.
_DATE = "date"


def columns_of(columns: Mapping[str, Column]) -> dg.TableSchema:
    """Column table of an ingested frame: name, type, description with unit."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=name,
                type=_DATE if column.dtype == "datetime64[ns]" else column.dtype,
                description=f"{column.description} [{column.unit}]",
                constraints=dg.TableColumnConstraints(nullable=column.nullable, unique=False),
            )
            for name, column in columns.items()
        ]
    )


_LAKE_TYPES = {
    Type.ID: "int32",
    Type.TEXT: "str",
    Type.SMALL: "int16",
    Type.INTEGER: "int32",
    Type.NUMBER: "float64",
    Type.FLAG: "bool",
    Type.WEEK: _DATE,
}


def schema_of(table: Table) -> dg.TableSchema:
    """Column table of a declared table, with the types that the lake has."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=_LAKE_TYPES[column.type],
                description=described(column),
                constraints=dg.TableColumnConstraints(nullable=column.nullable, unique=False),
            )
            for column in table.columns
        ]
    )


# What a name means it means in every table.
_TYPES = {
    **dict.fromkeys(("store_id", "dept_id", "rank", "series", "points"), "int32"),
    "horizon": "int16",
    **dict.fromkeys(("week", "origin_week", "target_week"), _LAKE_TYPES[Type.WEEK]),
    "is_holiday": "bool",
    **dict.fromkeys(("model", "method", "level", "reason", "vintage_id"), "str"),
    **dict.fromkeys(("model_version", "data_version", "code_version"), "str"),
}


def columns_from(descriptions: Mapping[str, str], others: str = "float64", **types: str) -> dg.TableSchema:
    """Column table from name -> description.

    `types` of columns that are another's than `_TYPES` says; what neither names is of type `others`.
    """
    known = {**_TYPES, **types}
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name=name, type=known.get(name, others), description=text)
            for name, text in descriptions.items()
        ]
    )


def frame_markdown(frame: "pd.DataFrame", decimals: int = 1) -> dg.MarkdownMetadataValue:
    """A small frame as a Markdown table."""
    header = "| " + " | ".join(str(column) for column in frame.columns) + " |"
    rule = "|" + "---|" * len(frame.columns)
    cells = (
        "| " + " | ".join(f"{cell:,.{decimals}f}" if isinstance(cell, float) else str(cell) for cell in row) + " |"
        for row in frame.itertuples(index=False)
    )
    return dg.MetadataValue.md("\n".join([header, rule, *cells]))


def plot_markdown(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A picture shown inside the event it belongs to."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def files_markdown(files: "Iterable[FileReport]") -> dg.MarkdownMetadataValue:
    """What each file was understood as."""
    head = "| file | holds | written | dates | keys | value | rows | from | to | notes |\n" + "|---" * 10 + "|"
    lines = [
        "| "
        + " | ".join(
            str(cell).replace("|", "\\|")
            for cell in (
                *(one.name, one.role, one.written, " ".join(filter(None, (one.dates, one.frequency, one.week_ends)))),
                *(one.keys, one.value, "" if one.rows is None else f"{one.rows:,}", one.first, one.last),
                "; ".join((*one.notes, *(f"{name} is left out" for name in one.left_out))),
            )
        )
        + " |"
        for one in files
    ]
    return dg.MetadataValue.md("\n".join([head, *lines]))


def landings_markdown(landings: Iterable[Landing]) -> dg.MarkdownMetadataValue:
    """What landed: per file, how many rows it added, replaced and left as they were."""
    totals: dict[tuple[str, str, str], list[int]] = {}
    for landing in landings:
        total = totals.setdefault((landing.landed_at, landing.file, landing.content_hash), [0, 0, 0])
        total[0] += landing.rows_added
        total[1] += landing.rows_replaced
        total[2] += landing.rows_unchanged
    lines = [
        f"| {file} | {when} | {added:,} | {replaced:,} | {same:,} | `{content[:12]}` |"
        for (when, file, content), (added, replaced, same) in sorted(totals.items())
    ]
    head = "| file | landed at | rows added | replaced | unchanged | content |\n|---|---|---|---|---|---|"
    return dg.MetadataValue.md("\n".join([head, *lines]) if lines else "nothing new landed")
