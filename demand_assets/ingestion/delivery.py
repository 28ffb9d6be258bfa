"""What arrives: a file in the landing zone, and the rows read from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from demand_assets.ingestion.ids import IdColumn
    from demand_assets.ingestion.understanding import Kind

# Dimension table -> its key column.
MEMBERS: Mapping[Kind, str] = {"stores": "store_id", "departments": "dept_id"}
# The columns that name a row of each kind of delivery, in its sort order.
KEYS: Mapping[Kind, tuple[str, ...]] = {
    "sales": ("week", "store_id", "dept_id"),
    "covariates": ("week", "store_id"),
    "series_covariates": ("week", "store_id", "dept_id"),
    "stores": ("store_id",),
    "departments": ("dept_id",),
}


@dataclass(frozen=True)
class LandedFile:
    """One file in a landing zone, not yet read.

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
    """The rows of one kind that one file brings, sorted by the keys of the kind; read the frame, never write to it.

    `content_hash` names the decompressed bytes and what their columns were understood as, so a file and its gzip are
    the same delivery. `weeks` are the distinct weeks of the frame, ascending; empty for stores and departments.
    `ids`: text ids behind the numbers of store_id and dept_id; a column that is not there holds its ids as numbers.
    `known_ahead`: columns whose values are planned before their week.
    """

    file: LandedFile
    kind: Kind
    frame: pd.DataFrame
    content_hash: str
    weeks: pd.DatetimeIndex
    ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    known_ahead: tuple[str, ...] = ()

    def present(self, column: str) -> list[str]:
        """Distinct ids of store_id or dept_id, in natural order; none where the kind has no such column."""
        return self._ids(column).present() if column in self.frame else []

    def keyed(self, keys: Mapping[str, Mapping[str, int]]) -> Delivery:
        """The same rows with keys for ids. `keys`: column -> id -> key. KeyError for an id without a key."""
        from demand_assets.ingestion.order import in_order  # heavy; listing landed files does not need it

        own = [column for column in ("store_id", "dept_id") if column in self.frame]
        frame = self.frame
        for column in own:
            codes = self.frame[column].to_numpy()
            found = self._ids(column).keys(keys[column])
            if found is not codes:
                frame = frame.assign(**{column: found})
        return replace(self, frame=frame if frame is self.frame else in_order(frame, KEYS[self.kind]), ids={})

    def _ids(self, column: str) -> IdColumn:
        from demand_assets.ingestion.ids import IdColumn  # heavy; listing landed files does not need it

        return IdColumn(self.frame[column].to_numpy(), self.ids.get(column))
