"""The tables of keys and of known forms: `python -m demand_assets.ingestion.spec_page FILE` writes them into a page."""

from __future__ import annotations

import sys
from pathlib import Path

from demand_assets.contract.dictionary import between
from demand_assets.ingestion.forms import Form, known_forms
from demand_assets.ingestion.spec_text import spec_table

KEYS = "<!-- keys: written by `make dictionary` -->\n", "<!-- end of keys -->\n"
FORMS = "<!-- forms: written by `make dictionary` -->\n", "<!-- end of forms -->\n"


def forms_table() -> str:
    """Every known form as a Markdown table."""
    head = "| form | whose files | known by the headers | unit | holidays |\n|---|---|---|---|---|\n"
    return head + "".join(map(_row, known_forms()))


def with_tables(text: str) -> str:
    """A page with the present tables between their marks; ValueError when it lacks one of the marks."""
    return between(between(text, *KEYS, spec_table()), *FORMS, forms_table())


def _row(form: Form) -> str:
    headers = " or ".join(", ".join(f"`{header}`" for header in option) for option in form.form.headers)
    holidays = form.holidays.country or (f"flags in `{form.holidays.column}`" if form.holidays.column else "")
    return f"| `{form.name}` | {form.form.text} | {headers} | {form.data.unit} | {holidays} |\n"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(with_tables(Path(name).read_text(encoding="utf-8")), encoding="utf-8")
