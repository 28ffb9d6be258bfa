"""`demand.toml` as text: what was understood, with the meaning of each key, and the table of all keys. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Literal, get_args, get_origin

import tomlkit
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from demand_assets.ingestion.dataspec import DataSpec
from demand_assets.ingestion.understanding import FileReport, Understanding

_HEAD = (
    "What the files of this landing zone hold, written by `demand inspect`.",
    "Edit it freely: a key that is left out is recognised from the files.",
)


def spec_text(understanding: Understanding) -> str:
    """A commented `demand.toml`; `read_spec` gives the spec again. Open questions are comments to fill in."""
    lines = [*_comments(*_HEAD), ""]
    for report in understanding.files:
        lines += _comments(*_about(report))
    for note in understanding.notes:
        lines += _comments(f"Note: {note}")
    for question in understanding.questions:
        lines += ["", *_comments(f"QUESTION: {question.text}", "Answer it by these lines, without the #:")]
        lines += [f"# {line}" for line in question.line.splitlines()]
    return "\n".join([*lines, "", *_spec_lines(understanding.spec)]) + "\n"


def spec_table() -> str:
    """Every key of `demand.toml` as a Markdown table: table, key, what it holds, default, meaning."""
    rows = ["| table | key | holds | default | meaning |", "|---|---|---|---|---|"]
    return "\n".join([*rows, *_rows(DataSpec, "")]) + "\n"


def _about(report: FileReport) -> Iterator[str]:
    span = f"{report.first} to {report.last}" if report.first else ""
    rows = "" if report.rows is None else f"{report.rows:,} rows"
    parts = (report.role, report.written, report.keys and f"keys {report.keys}", rows, span, report.gaps)
    yield f"{report.name}: {'; '.join(part for part in parts if part)}"
    yield from (f"  {text}" for text in report.covariates)
    yield from (f"  left out: {text}" for text in report.left_out)
    yield from (f"  {text}" for text in report.notes)


def _comments(*texts: str) -> list[str]:
    """Comment lines; of headers and names no character can end the line."""
    return ["# " + "".join(char if char.isprintable() else "?" for char in text) for text in texts]


def _spec_lines(spec: DataSpec) -> Iterator[str]:
    stated = spec.model_dump(exclude_unset=True)
    # A list without tables stands before the first table.
    if "covariates" in stated and not stated["covariates"]:
        yield from (*_comments("Covariates: none."), "covariates = []", "")
    for name, field in DataSpec.model_fields.items():
        value = stated.get(name)
        if isinstance(value, Mapping):
            yield from _table(f"[{name}]", _model(field), value)
        for part in value if isinstance(value, tuple | list) else ():
            yield from _table(f"[[{name}]]", _model(field), part)


def _table(heading: str, model: type[BaseModel], values: Mapping[str, Any]) -> Iterator[str]:
    kept = {key: value for key, value in values.items() if value not in ("", None)}
    if not kept:
        return
    yield heading
    for key, value in kept.items():
        yield from _comments(_meaning(model.model_fields[key]))
        yield f"{key} = {_item(value).as_string()}"
    yield ""


def _item(value: Any) -> Any:
    """A TOML value on one line."""
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        for key, inner in value.items():
            if inner not in ("", None):
                table.append(key, _item(inner))
        return table
    if isinstance(value, tuple | list):
        array = tomlkit.array()
        for inner in value:
            array.append(_item(inner))
        return array
    return tomlkit.item(value)


def _rows(model: type[BaseModel], table: str) -> Iterator[str]:
    for key, field in model.model_fields.items():
        part = _model(field)
        if part is not None and not _meaning(field):
            listed = get_origin(field.annotation) is tuple
            yield from _rows(part, f"[[{key}]]" if listed else f"[{key}]")
            continue
        cells = (table, key, _holds(field.annotation), _default(field), _meaning(field))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
        if part is not None and get_origin(field.annotation) is not tuple:
            yield from _rows(part, f"[{table.strip('[]')}.{key}]")


def _model(field: FieldInfo) -> Any:
    """The model of the tables that a field holds; None for a plain value."""
    found = [kind for kind in _parts(field.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return found[0] if found else None


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation) if get_origin(annotation) is not Literal else ():
        yield from _parts(inner)


def _meaning(field: FieldInfo) -> str:
    """The description of a field, wherever in its type it stands."""
    inner = (part for part in _parts(field.annotation) if isinstance(part, FieldInfo) and part.description)
    return field.description or next((part.description or "" for part in inner), "")


def _default(field: FieldInfo) -> str:
    value = "" if field.is_required() else field.get_default(call_default_factory=True)
    return "" if value in ("", None, ()) else _item(value).as_string()


def _holds(annotation: Any) -> str:
    """A type in the words of TOML."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join("false" if value is False else f'"{value}"' for value in inner if value != "")
    if origin is Annotated:
        return _holds(inner[0])
    if origin is tuple:
        return f"list of {_holds(inner[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    if inner and origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return 'NAME = "Header"'
    if inner:
        return ", ".join(dict.fromkeys(_holds(kind) for kind in inner if kind is not type(None)))
    return {bool: "true or false", date: "date"}.get(annotation, "text")
