"""Deliveries laid over what is stored: the newest row of a key wins, and what each file changed is recorded. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from demand_assets.errors import SchemaError
from demand_assets.ingestion.delivery import Delivery
from demand_assets.ingestion.formats import CONDITIONS, SALES, STORES

if TYPE_CHECKING:
    from numpy.typing import NDArray

SALES_KEYS, CONDITIONS_KEYS, STORES_KEYS = SALES.keys, CONDITIONS.keys, STORES.keys

_ADDED, _REPLACED, _UNCHANGED = 0, 1, 2
_FRIDAY = 4


@dataclass(frozen=True)
class Landing:
    """What one file did to one partition: recorded with it, so that landing the file again changes nothing.

    `landed_at` is the file's modification time (ISO 8601, UTC), not the time of the run. `rows_replaced` counts rows
    whose values really changed; `rows_unchanged` came again as they were.
    """

    file: str
    content_hash: str
    landed_at: str
    rows_added: int
    rows_replaced: int
    rows_unchanged: int


@dataclass(frozen=True, eq=False)
class Merged:
    """Weekly partitions after a merge: all rows of the asked weeks in one `frame`, sorted by its keys.

    `landings` has an entry for every asked week, oldest first. `changed_weeks` are those whose rows differ from before;
    `recorded_weeks` those whose landings grew. Store every recorded week: a file that changed nothing must still be
    remembered, or it would be applied again after, and over, a later correction.
    """

    frame: pd.DataFrame
    landings: Mapping[pd.Timestamp, tuple[Landing, ...]]
    changed_weeks: pd.DatetimeIndex
    recorded_weeks: pd.DatetimeIndex


@dataclass(frozen=True, eq=False)
class MergedTable:
    """An unpartitioned table after a merge; `changed` when its rows differ, `recorded` when its landings grew."""

    frame: pd.DataFrame
    landings: tuple[Landing, ...]
    changed: bool
    recorded: bool


def merge_week_partitions(
    existing: pd.DataFrame,
    applied: Mapping[pd.Timestamp, Sequence[Landing]],
    deliveries: Sequence[Delivery],
    keys: Sequence[str],
    *,
    weeks: pd.DatetimeIndex,
) -> Merged:
    """`deliveries` of one kind, in landing order, laid over the stored rows of `weeks`.

    `existing` holds the stored rows of all of `weeks` (empty when nothing is stored), `applied` the landings stored
    with each. A delivery is applied to a week that has not had its content yet: rows with the same `keys` are replaced,
    new ones added, others kept. A key twice within one file stays twice, for the check on keys to find. Weeks outside
    `weeks` are left alone. SchemaError for rows of any day but Friday, which no partition would hold.
    """
    _require_fridays(deliveries)
    pending, parts = [], []
    for delivery in _distinct(deliveries):
        hashed = delivery.content_hash
        todo = [
            week
            for week in delivery.weeks.intersection(weeks)
            if all(landing.content_hash != hashed for landing in applied.get(week, ()))
        ]
        if todo:
            pending.append(delivery)
            whole = len(todo) == len(delivery.weeks)
            parts.append(delivery.frame if whole else delivery.frame[delivery.frame["week"].isin(todo)])
    weeks = weeks.sort_values()
    landings = {week: tuple(applied.get(week, ())) for week in weeks}
    if not pending:
        return Merged(existing, landings, weeks[:0], weeks[:0])
    frame, version, effect, week_column = _overlay(existing, parts, keys)
    counts = _count(version, effect, len(pending), weeks.get_indexer(pd.DatetimeIndex(week_column)), len(weeks))
    for which, at in np.argwhere(counts.any(axis=2)):
        landings[weeks[at]] += (_landing(pending[which], counts[which, at]),)
    moved = np.flatnonzero(counts[:, :, [_ADDED, _REPLACED]].any(axis=(0, 2)))
    return Merged(frame, landings, weeks[moved], weeks[np.flatnonzero(counts.any(axis=(0, 2)))])


def merge_table(
    existing: pd.DataFrame, applied: Sequence[Landing], deliveries: Sequence[Delivery], keys: Sequence[str]
) -> MergedTable:
    """`deliveries` of one kind, in landing order, laid over one stored table; the rules of `merge_week_partitions`."""
    seen = {landing.content_hash for landing in applied}
    pending = [delivery for delivery in _distinct(deliveries) if delivery.content_hash not in seen]
    if not pending:
        return MergedTable(existing, tuple(applied), changed=False, recorded=False)
    frame, version, effect, _ = _overlay(existing, [delivery.frame for delivery in pending], keys)
    counts = _count(version, effect, len(pending), np.zeros(len(version), dtype=np.intp), 1)[:, 0]
    landings = tuple(_landing(delivery, row) for delivery, row in zip(pending, counts, strict=True))
    return MergedTable(frame, (*applied, *landings), changed=bool(counts[:, [_ADDED, _REPLACED]].any()), recorded=True)


def _distinct(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Each content once, where it landed first: a file and its gzip side by side are one delivery."""
    first: dict[str, Delivery] = {}
    for delivery in deliveries:
        first.setdefault(delivery.content_hash, delivery)
    return list(first.values())


def _require_fridays(deliveries: Sequence[Delivery]) -> None:
    for delivery in deliveries:
        if len(wrong := delivery.weeks[delivery.weeks.dayofweek != _FRIDAY]):
            raise SchemaError(
                f"{delivery.file.name} has rows on {wrong[0]:%A %Y-%m-%d}; weeks are Fridays: correct and land it again"
            )


def _landing(delivery: Delivery, counts: NDArray[np.int64]) -> Landing:
    added, replaced, unchanged = (int(count) for count in counts)
    landed_at = delivery.file.modified_at.isoformat()
    return Landing(delivery.file.name, delivery.content_hash, landed_at, added, replaced, unchanged)


def _count(
    version: NDArray[np.int64], effect: NDArray[np.int8], versions: int, place: NDArray[np.intp], places: int
) -> NDArray[np.int64]:
    """Rows by (delivery, place, effect); `version` is -1 for stored rows, which have no effect to count."""
    new = version >= 0
    cell = (version[new] * places + place[new]) * 3 + effect[new]
    return np.bincount(cell, minlength=versions * places * 3).reshape(versions, places, 3)


def _overlay(
    existing: pd.DataFrame, parts: Sequence[pd.DataFrame], keys: Sequence[str]
) -> tuple[pd.DataFrame, NDArray[np.int64], NDArray[np.int8], NDArray[Any]]:
    """The newest rows of every key, sorted by `keys`; and for all rows, old and new: version, effect, and week.

    Everything is stacked and sorted by key, then version; a *group* is the rows of one key in one version (more than
    one only if the key is twice in a file), and the group before it, if of the same key, is what it replaces.
    """
    frames = [frame for frame in (existing, *parts) if len(frame)]
    first = -1 if len(existing) else 0
    stack = pd.concat(frames, ignore_index=True)[list(parts[0].columns)]
    version = np.repeat(np.arange(first, first + len(frames)), [len(frame) for frame in frames])
    key_columns = [stack[key].to_numpy() for key in keys]
    order = np.lexsort([version, *reversed(key_columns)])
    version = version[order]

    at = np.arange(len(stack))
    same_key = np.zeros(len(stack), dtype=bool)
    same_key[1:] = np.logical_and.reduce([column[order][1:] == column[order][:-1] for column in key_columns])
    starts_group = ~same_key
    starts_group[1:] |= version[1:] != version[:-1]
    starts = np.flatnonzero(starts_group)
    group = np.cumsum(starts_group) - 1
    size = np.diff(starts, append=len(stack))
    replaces = same_key[starts]
    before = np.maximum(np.arange(len(starts)) - 1, 0)

    # Row by row against the group it replaces; groups of different sizes differ whatever they hold.
    comparable = (replaces & (size == size[before]))[group]
    other = np.where(comparable, starts[before[group]] + at - starts[group], at)
    equal = comparable.copy()
    for column in stack.columns.difference(list(keys)):
        values = stack[column].to_numpy()[order]
        missing = pd.isna(values)
        equal &= (values == values[other]) | (missing & missing[other])
    effect = np.where(equal, _UNCHANGED, np.where(replaces[group], _REPLACED, _ADDED)).astype(np.int8)

    newest = np.append(~replaces[1:], True)[group]
    frame = stack.iloc[order[newest]].reset_index(drop=True)
    week = stack["week"].to_numpy()[order] if "week" in stack else np.empty(0, dtype="datetime64[ns]")
    return frame, version, effect, week
