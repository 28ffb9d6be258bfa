"""The data dictionary: `python -m demand_assets.contract.dictionary FILE` writes it between two marks of a file."""

from __future__ import annotations

import sys
from pathlib import Path

from demand_assets.contract.columns import Column, Table
from demand_assets.contract.tables import TABLES
from demand_assets.contract.views import VIEWS

BEGIN, END = "<!-- tables: written by `make dictionary` -->\n", "<!-- end of tables -->\n"


def dictionary() -> str:
    """Markdown of every table and view of the store: a section each, a row per column."""
    return "\n".join(map(_section, (*TABLES, *VIEWS)))


def with_dictionary(text: str) -> str:
    """A text with the present dictionary between its marks; ValueError when it has none."""
    return between(text, BEGIN, END, dictionary())


def between(text: str, begin: str, end: str, content: str) -> str:
    """A text with `content` between two marks; ValueError when it does not have both."""
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"expected the marks {begin.strip()} and {end.strip()}, found none")
    return f"{before}{begin}\n{content}\n{end}{after}"


def _section(table: Table) -> str:
    rows = "\n".join(map(_row, table.columns))
    return f"### `{table.name}`\n\n{table.text}\n\n| column | type | unit | holds |\n|---|---|---|---|\n{rows}\n"


def _row(column: Column) -> str:
    key = " (key)" if column.key else ""
    null = ", or null" if column.nullable else ""
    return f"| `{column.name}`{key} | {column.type.value}{null} | {column.unit} | {column.text} |"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(with_dictionary(Path(name).read_text(encoding="utf-8")), encoding="utf-8")
