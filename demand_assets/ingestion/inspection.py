"""From the files of a landing zone, as bytes, to what is understood of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from demand_assets.errors import DemandError, SchemaError
from demand_assets.ingestion.dataspec import NAME, DataSpec, read_spec
from demand_assets.ingestion.delivery import LandedFile
from demand_assets.ingestion.layout import file_parts
from demand_assets.ingestion.reading import read, sources
from demand_assets.ingestion.recognise import passed_over, understand
from demand_assets.ingestion.reports import span
from demand_assets.ingestion.source import Source
from demand_assets.ingestion.understanding import FileReport, Plan, Understanding

# Role of a file whose bytes are no table, or a damaged one.
NOT_READ = "not read"


def understand_files(files: Iterable[tuple[LandedFile, bytes]]) -> Understanding:
    """What the files hold; `demand.toml` among them is obeyed. One at a time is held, and samples of their rows.

    A file that cannot be read is reported with the reason and stops no other. SchemaError for a bad `demand.toml`.
    """
    given, found, broken = DataSpec(), list[Source](), list[FileReport]()
    for file, data in files:
        if file.name == NAME:
            given = spec_of(data)
        elif is_read(file.name, given):
            try:
                found += sources(file, data)
            except DemandError as error:
                broken.append(FileReport(file.name, NOT_READ, notes=(str(error),)))
    understanding = understand(found, given)
    return replace(understanding, files=(*understanding.files, *broken))


def spec_of(data: bytes) -> DataSpec:
    """What the bytes of `demand.toml` state, nothing without any. SchemaError for what is not understood."""
    try:
        return read_spec(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise SchemaError(f"{NAME} is not UTF-8 text; save it as UTF-8") from None


def is_read(name: str, given: DataSpec) -> bool:
    """Whether a file is looked into: its name promises data, or `demand.toml` asks for it."""
    return not passed_over(name) or any(name in part.files for part in file_parts(given))


def with_exact_dates(understanding: Understanding, files: Iterable[tuple[LandedFile, bytes]]) -> Understanding:
    """The same with rows, first and last date and gaps of every dated file as they are, read from all its rows.

    A report says so where a date cannot be read, with its line.
    """
    dated = {
        source.name: (source, plan)
        for source, plan in understanding.plans
        if plan.date and not plan.keyed and source.rows != _sampled(source)
    }
    reports = {report.name: report for report in understanding.files}
    for file, data in files:
        for source, plan in dated.values():
            if source.file.name == file.name:
                reports[source.name] = _exact(reports[source.name], source, plan, data)
    return replace(understanding, files=tuple(reports.values()))


def _sampled(source: Source) -> int:
    return int(source.sample.num_rows)


def _exact(report: FileReport, source: Source, plan: Plan, data: bytes) -> FileReport:
    try:
        table = read(source, data, {plan.date: plan.types[plan.date]})
    except DemandError as error:
        return replace(report, notes=(*report.notes, str(error)))
    if not report.first:
        # In which form dates are is a question.
        return replace(report, rows=table.num_rows)
    days = np.unique(table.column(0).combine_chunks().to_numpy(zero_copy_only=False).astype("datetime64[D]"))
    found = span(days, exact=True)
    # What a row covers is known of the sales, whatever their dates alone would say.
    return replace(report, rows=table.num_rows, first=found["first"], last=found["last"], gaps=found["gaps"])
