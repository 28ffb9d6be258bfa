"""What arrives: a file in the landing zone, and the rows read from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from demand_assets.ingestion.formats import FORMATS, Format, Kind

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LandedFile:
    """One CSV in a landing zone, not yet read.

    `fingerprint` changes whenever the file does and costs no read (name, size, and modification time or S3 ETag);
    `size` is in bytes as stored, `modified_at` in UTC.
    """

    name: str
    uri: str
    size: int
    modified_at: datetime
    fingerprint: str


@dataclass(frozen=True, eq=False)
class Delivery:
    """One file's rows: `frame` has one row per CSV row, in SPEC form, sorted by its keys; read it, never write to it.

    `content_hash` is the blake2b of the decompressed bytes, so a file and its gzip are the same delivery. `weeks` are
    the distinct week dates in the frame, ascending (empty for stores); a bad file may name days that are not Fridays.
    """

    file: LandedFile
    kind: Kind
    frame: pd.DataFrame
    content_hash: str
    weeks: pd.DatetimeIndex

    @property
    def format(self) -> Format:
        """The format of this kind of file: fields and keys."""
        return FORMATS[self.kind]
