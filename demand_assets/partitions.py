"""Weeks <-> partition keys.

A week becomes a partition when its sales land, so history that ends in 2012 shows no empty week after it, and a new
delivery needs no reload of the code. Keys are ISO dates, all of one weekday, always registered in order of time,
because Dagster reads a range of dynamic partitions as a slice of that order.
"""

from collections.abc import Iterable, Sequence

import dagster as dg
import pandas as pd

from demand_assets.forecasting.weeks import weekday_of

weeks_partitions = dg.DynamicPartitionsDefinition(name="weeks")

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def week_key(week: pd.Timestamp) -> str:
    """Partition key of a week, e.g. `2012-11-02`."""
    return week.strftime("%Y-%m-%d")


def run_weeks(context: dg.AssetExecutionContext) -> pd.DatetimeIndex:
    """The weeks a run was asked for, in order of time; ValueError naming the nearest ones when weekdays differ."""
    weeks = pd.DatetimeIndex(sorted(pd.Timestamp(key) for key in context.partition_keys), name="week")
    weekday_of(weeks)
    return weeks


def known_weeks(instance: dg.DagsterInstance) -> list[str]:
    """Keys of every week that has landed, in order of time."""
    return sorted(instance.get_dynamic_partitions("weeks"))


def register_weeks(instance: dg.DagsterInstance, weeks: Iterable[pd.Timestamp]) -> None:
    """Make partitions of `weeks`; those known already stay, and the order of time is kept.

    ValueError naming the nearest ones when a week ends on another weekday than those known.
    """
    held = list(instance.get_dynamic_partitions("weeks"))
    weeks = list(weeks)
    if weeks:
        weekday_of(pd.DatetimeIndex([*map(pd.Timestamp, held), *weeks]))
    wanted = sorted({*held, *(week_key(week) for week in weeks)})
    if wanted[: len(held)] != held:
        # A week older than those held: Dagster orders by registration, so all are registered anew.
        for key in held:
            instance.delete_dynamic_partition("weeks", key)
        held = []
    if wanted[len(held) :]:
        instance.add_dynamic_partitions("weeks", wanted[len(held) :])


def key_ranges(keys: Iterable[str], known: Sequence[str], gap: int = 0) -> list[tuple[str, str]]:
    """`keys` as (first, last) slices of `known`; up to `gap` other weeks between two keys do not part them."""
    position = {key: index for index, key in enumerate(known)}
    ranges: list[tuple[str, str]] = []
    for key in sorted(set(keys)):
        if ranges and position[key] - position[ranges[-1][1]] <= gap + 1:
            ranges[-1] = (ranges[-1][0], key)
        else:
            ranges.append((key, key))
    return ranges


def range_tags(first: str, last: str) -> dict[str, str]:
    """Run tags that ask for every week from `first` to `last` in a single run."""
    return {RANGE_START: first, RANGE_END: last}
