"""Applies deliveries to stored rows: the newest row of a key wins, and what each file changed is recorded. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.errors import SchemaError
from demand_assets.ingestion.delivery import Delivery
from demand_assets.ingestion.order import in_order, run_starts, sort_order

_ADDED, _REPLACED, _UNCHANGED = 0, 1, 2
# Rows compared at a time.
_BLOCK_ROWS = 1 << 21


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
    """Apply `deliveries` of one kind, in landing order, to the stored rows of `weeks`.

    `existing` holds the stored rows of all of `weeks` (empty when nothing is stored), `applied` the landings stored
    with each. A delivery is applied to a week that has not had its content yet: rows with the same `keys` are replaced,
    new ones added, others kept. A key twice within one file stays twice, for the check on keys to find. Weeks outside
    `weeks` are left alone. SchemaError for rows of another weekday than `weeks`, which no partition would hold.
    """
    _require_one_weekday(weeks, deliveries)
    weeks = weeks.sort_values()
    landings = {week: tuple(applied.get(week, ())) for week in weeks}
    own = _distinct(deliveries)
    # Of each week the deliveries it has not had, by their place in `own`.
    due = [
        tuple(
            place
            for place, delivery in enumerate(own)
            if week in delivery.weeks and all(landing.content_hash != delivery.content_hash for landing in had)
        )
        for week, had in landings.items()
    ]
    if not any(due):
        return Merged(existing, landings, weeks[:0], weeks[:0])
    stored = _ByWeek(existing, keys)
    landed = {place: _ByWeek(own[place].frame, keys) for place in sorted({place for places in due for place in places})}
    if existing.empty and len(landed) == 1:
        (only,) = landed
        return _first(own[only], landed[only], landings, weeks[[bool(places) for places in due]])
    parts: list[pd.DataFrame] = []
    recorded: list[pd.DatetimeIndex] = []
    changed: list[pd.DatetimeIndex] = []
    for stretch in _stretches(due, [stored, *landed.values()], weeks):
        places, some = due[stretch.start], weeks[stretch]
        old = stored.rows(some)
        if not places:
            parts.append(old)
            continue
        new = [landed[place].rows(some) for place in places]
        frame, version, effect, week_column = _overlay(old, new, keys)
        parts.append(frame)
        at = some.get_indexer(pd.DatetimeIndex(week_column))
        counts = _count(version, effect, len(places), at, len(some))
        for which, week in np.argwhere(counts.any(axis=2)):
            landings[some[week]] += (_landing(own[places[which]], counts[which, week]),)
        recorded.append(some[np.flatnonzero(counts.any(axis=(0, 2)))])
        changed.append(some[np.flatnonzero(counts[:, :, [_ADDED, _REPLACED]].any(axis=(0, 2)))])
    frame = pd.concat([part for part in parts if len(part)], ignore_index=True)
    return Merged(frame, landings, _joined(changed), _joined(recorded))


def with_same_columns(stored: pd.DataFrame, deliveries: Sequence[Delivery]) -> tuple[pd.DataFrame, Sequence[Delivery]]:
    """Stored and delivered rows with the columns of all of them; a file may bring covariates that others lack."""
    frames = (stored, *(one.frame for one in deliveries))
    columns = list(dict.fromkeys(name for frame in frames for name in frame))
    if all(list(frame.columns) == columns for frame in frames):
        return stored, deliveries
    return stored.reindex(columns=columns), [
        replace(one, frame=one.frame.reindex(columns=columns)) for one in deliveries
    ]


class _ByWeek:
    """A frame in the order of its keys, and where in it the rows of each week are."""

    def __init__(self, frame: pd.DataFrame, keys: Sequence[str]) -> None:
        self.frame = in_order(frame, keys)
        weeks = self.frame["week"].to_numpy()
        starts = run_starts([weeks]) if len(weeks) else np.empty(0, dtype=np.intp)
        self._weeks = pd.DatetimeIndex(weeks[starts])
        self._bounds = np.append(starts, len(weeks))

    def sizes(self, weeks: pd.DatetimeIndex) -> NDArray[np.intp]:
        """Rows of each of `weeks`."""
        at = self._weeks.get_indexer(weeks)
        return np.where(at < 0, 0, self._bounds[at + 1] - self._bounds[at])

    def rows(self, weeks: pd.DatetimeIndex) -> pd.DataFrame:
        """The rows of `weeks`, in order."""
        at = self._weeks.get_indexer(weeks)
        at = at[at >= 0]
        if len(at) and at[-1] - at[0] + 1 == len(at):
            return self.frame.iloc[self._bounds[at[0]] : self._bounds[at[-1] + 1]]
        picked = [np.arange(self._bounds[place], self._bounds[place + 1]) for place in at]
        return self.frame.iloc[np.concatenate(picked) if picked else slice(0, 0)]


def _stretches(due: Sequence[tuple[int, ...]], frames: Sequence[_ByWeek], weeks: pd.DatetimeIndex) -> list[slice]:
    """Weeks next to each other into which the same deliveries go, as many as have a block of rows together.

    What a merge holds beside its result is then that of a block, however long the history.
    """
    sizes = np.sum([frame.sizes(weeks) for frame in frames], axis=0)
    stretches, start, rows = [], 0, 0
    for week in range(len(weeks)):
        if week > start and (due[week] != due[start] or rows + sizes[week] > _BLOCK_ROWS):
            stretches.append(slice(start, week))
            start, rows = week, 0
        rows += int(sizes[week])
    return [*stretches, slice(start, len(weeks))]


def _first(
    delivery: Delivery, rows: _ByWeek, landings: dict[pd.Timestamp, tuple[Landing, ...]], filled: pd.DatetimeIndex
) -> Merged:
    """One delivery applied to nothing: its rows of the weeks `filled`."""
    for week, size in zip(filled, rows.sizes(filled), strict=True):
        landings[week] += (_landing(delivery, np.array([size, 0, 0])),)
    frame = rows.frame if len(filled) == len(delivery.weeks) else rows.rows(filled).reset_index(drop=True)
    return Merged(frame, landings, filled, filled)


def _joined(stretches: Sequence[pd.DatetimeIndex]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(np.concatenate([weeks.to_numpy() for weeks in stretches]), name="week")


def merge_table(
    existing: pd.DataFrame, applied: Sequence[Landing], deliveries: Sequence[Delivery], keys: Sequence[str]
) -> MergedTable:
    """Apply `deliveries` of one kind, in landing order, to one stored table, as `merge_week_partitions` does."""
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


def _require_one_weekday(weeks: pd.DatetimeIndex, deliveries: Sequence[Delivery]) -> None:
    for delivery in deliveries:
        if len(weeks) and len(wrong := delivery.weeks[delivery.weeks.dayofweek != weeks[0].dayofweek]):
            raise SchemaError(
                f"{delivery.file.name} has rows on {wrong[0]:%A %Y-%m-%d}; weeks end on {weeks[0]:%A}: "
                "correct and land it again"
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
    # The versions follow each other in the stack, and what sorts it leaves equal keys as they came.
    order = sort_order(key_columns)
    order = np.arange(len(stack)) if order is None else order
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
