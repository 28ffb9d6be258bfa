"""From the files of a landing zone, as bytes, to what is understood of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from demand_assets.errors import DemandError, SchemaError
from demand_assets.ingestion.dataspec import NAME, DataSpec, read_spec
from demand_assets.ingestion.delivery import LandedFile
from demand_assets.ingestion.layout import file_parts
from demand_assets.ingestion.reading import sources
from demand_assets.ingestion.recognise import passed_over, understand
from demand_assets.ingestion.source import Source
from demand_assets.ingestion.understanding import FileReport, Understanding


def understand_files(files: Iterable[tuple[LandedFile, bytes]]) -> Understanding:
    """What the files hold; `demand.toml` among them is obeyed. One at a time is held, and samples of their rows.

    A file that cannot be read is reported with the reason and stops no other. SchemaError for a bad `demand.toml`.
    """
    given, found, broken = DataSpec(), list[Source](), list[FileReport]()
    for file, data in files:
        if file.name == NAME:
            given = read_spec(_text(data))
        elif not passed_over(file.name) or _is_asked_for(given, file.name):
            try:
                found += sources(file, data)
            except DemandError as error:
                broken.append(FileReport(file.name, "not understood", notes=(str(error),)))
    understanding = understand(found, given)
    return replace(understanding, files=(*understanding.files, *broken))


def _is_asked_for(given: DataSpec, name: str) -> bool:
    return any(name in part.files for part in file_parts(given))


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SchemaError(f"{NAME} is not UTF-8 text; save it as UTF-8") from None
