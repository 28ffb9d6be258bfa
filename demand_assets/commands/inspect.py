"""`demand inspect`: what each file of a landing zone is, and the demand.toml that says so."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from demand_assets.commands.terminal import print_json, terminal
from demand_assets.ingestion.dataspec import NAME

if TYPE_CHECKING:
    from demand_assets.ingestion.understanding import FileReport, Understanding


def inspect_folder(folder: str, as_json: bool, write: bool, force: bool) -> None:
    """Print what is understood of a landing zone, and write demand.toml beside the data unless there is one."""
    terminal(stderr=True).print(f"Reading {folder} ...")
    from demand_assets.adapters.landing import LandingZone
    from demand_assets.ingestion.inspection import understand_files, with_exact_dates

    zone = LandingZone(folder)
    understanding = with_exact_dates(understand_files(zone.loaded()), zone.loaded())
    if as_json:
        print_json(_as_json(understanding))
    else:
        _print_understanding(understanding)
    if write:
        _write(folder, understanding, force)


def _as_json(understanding: "Understanding") -> dict[str, Any]:
    return {
        "form": understanding.form,
        "files": [asdict(report) for report in understanding.files],
        "questions": [asdict(question) for question in understanding.questions],
        "notes": understanding.notes,
        "spec": understanding.spec.model_dump(mode="json", exclude_unset=True),
    }


def _print_understanding(understanding: "Understanding") -> None:
    console = terminal()
    title = f"Known form: {understanding.form}" if understanding.form else "Files"
    table = Table(title=title, title_justify="left")
    rows = [_cells(report) for report in understanding.files]
    for heading in [heading for heading in (rows[0] if rows else {}) if any(row[heading] for row in rows)]:
        table.add_column(heading, overflow="fold", justify="right" if heading == "rows" else "left")
    for row in rows:
        table.add_row(*(row[str(column.header)] for column in table.columns))
    console.print(table)
    for line in _remarks(understanding):
        console.print(line)


def _cells(report: "FileReport") -> dict[str, str]:
    return {
        "file": report.name,
        "what it is": report.role,
        "written": report.written,
        "dates": report.dates,
        "frequency": report.frequency,
        "week ends": report.week_ends,
        "keys": report.keys,
        "value": report.value,
        "unit": report.unit,
        "rows": "" if report.rows is None else f"{report.rows:,}",
        "first": report.first,
        "last": report.last,
        "gaps": report.gaps,
    }


def _remarks(understanding: "Understanding") -> Iterator[str]:
    for report in understanding.files:
        yield from (f"{report.name}: {text}" for text in report.covariates)
        if report.left_out:
            yield f"{report.name}: left out: {'; '.join(report.left_out)}"
        yield from (note if note.startswith(report.name) else f"{report.name}: {note}" for note in report.notes)
    if any(report.left_out for report in understanding.files):
        yield f"Columns that are left out are used when {NAME} names them in [[covariates]], [stores] or [departments]."
    yield from understanding.notes
    if understanding.questions:
        yield f"Open questions: {len(understanding.questions)}. Answer them in {NAME}:"
    for number, question in enumerate(understanding.questions, 1):
        yield f"{number}. {question.text}"
        yield from (f"     {line}" for line in question.line.splitlines())


def _write(folder: str, understanding: "Understanding", force: bool) -> None:
    from demand_assets.ingestion.spec_text import spec_text

    console, path = terminal(stderr=True), Path(folder, NAME)
    if "://" in folder:
        console.print(f"Put this as {NAME} beside the files:\n")
        terminal().print(spec_text(understanding))
        return
    if path.exists() and not force:
        console.print(f"{path} is there and was used; it is left as it is (--force writes it anew)")
        return
    made = path.with_name(f".{NAME}.part")
    made.write_text(spec_text(understanding), "utf-8")
    made.replace(path)
    console.print(f"Written: {path}. Next: demand run --raw-dir {folder}")
