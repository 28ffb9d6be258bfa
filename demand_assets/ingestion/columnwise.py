"""Merges deliveries that bring different columns: of each column the newest row of a key counts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce

import pandas as pd

from demand_assets.ingestion.delivery import Delivery
from demand_assets.ingestion.merge import Landing, Merged, merge_week_partitions, with_same_columns
from demand_assets.ingestion.order import in_order

Landings = Mapping[pd.Timestamp, Sequence[Landing]]


def merge_columnwise(
    existing: pd.DataFrame | None,
    applied: Landings,
    deliveries: Sequence[Delivery],
    keys: Sequence[str],
    *,
    weeks: pd.DatetimeIndex,
) -> Merged:
    """`merge_week_partitions`, but a file of prices leaves the promotions of another file as they are.

    `existing` None is nothing stored. Landings count the rows of those columns of a file that changed the most.
    ValueError without any delivery or stored row.
    """
    if existing is None and not deliveries:
        raise ValueError("there is nothing to merge: expected stored rows or a delivery")
    groups = _groups(deliveries, keys)
    stored = deliveries[0].frame.iloc[:0] if existing is None else existing
    alone = [str(name) for name in stored if name not in keys and not any(name in group for group in groups)]
    if len(groups) <= 1 and (not alone or not groups):
        stored, deliveries = with_same_columns(stored, deliveries)
        return merge_week_partitions(stored, applied, deliveries, keys, weeks=weeks)
    merged = [
        merge_week_partitions(_of(stored, keys, group), applied, _with(deliveries, keys, group), keys, weeks=weeks)
        for group in groups
    ]
    frames = [one.frame for one in merged] + ([_of(stored, keys, alone)] if alone else [])
    frame = reduce(lambda left, right: left.merge(right, on=list(keys), how="outer"), frames)
    columns = list(dict.fromkeys([*stored.columns, *frame.columns]))
    return Merged(
        in_order(frame[columns], keys),
        {week: _landings(applied.get(week, ()), [one.landings[week] for one in merged]) for week in weeks},
        reduce(lambda left, right: left.union(right), [one.changed_weeks for one in merged]),
        reduce(lambda left, right: left.union(right), [one.recorded_weeks for one in merged]),
    )


def _groups(deliveries: Sequence[Delivery], keys: Sequence[str]) -> list[list[str]]:
    """Columns beside the keys, together where the same deliveries bring them."""
    columns = dict.fromkeys(str(name) for one in deliveries for name in one.frame if name not in keys)
    groups: dict[tuple[bool, ...], list[str]] = {}
    for name in columns:
        groups.setdefault(tuple(name in one.frame for one in deliveries), []).append(name)
    return list(groups.values())


def _of(stored: pd.DataFrame, keys: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    """The stored rows that have one of these columns."""
    frame = stored.reindex(columns=[*keys, *names])
    return frame[frame[list(names)].notna().any(axis="columns")].reset_index(drop=True)


def _with(deliveries: Sequence[Delivery], keys: Sequence[str], names: Sequence[str]) -> list[Delivery]:
    return [replace(one, frame=one.frame[[*keys, *names]]) for one in deliveries if names[0] in one.frame]


def _landings(had: Sequence[Landing], found: Sequence[Sequence[Landing]]) -> tuple[Landing, ...]:
    """What was applied before, and each further delivery once."""
    new: dict[str, Landing] = {}
    for landing in (one for landings in found for one in landings[len(had) :]):
        known = new.get(landing.content_hash)
        if known is None or _changes(landing) > _changes(known):
            new[landing.content_hash] = landing
    return (*had, *new.values())


def _changes(landing: Landing) -> int:
    return landing.rows_added + landing.rows_replaced
