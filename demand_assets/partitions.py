"""Weeks <-> partition keys.

A week becomes a partition when sales of it that pass have landed, so history that ends in 2012 shows no empty week
after it, and a new delivery needs no reload of the code. Keys are ISO dates, all of one weekday, always registered in
order of time, because Dagster reads a range of dynamic partitions as a slice of that order.
"""

from collections.abc import Collection, Iterable, Sequence

import dagster as dg
import pandas as pd

from demand_assets.errors import DemandError
from demand_assets.forecasting.weeks import weekday_of

weeks_partitions = dg.DynamicPartitionsDefinition(name="weeks")

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def week_key(week: pd.Timestamp) -> str:
    """Partition key of a week, e.g. `2012-11-02`."""
    return week.strftime("%Y-%m-%d")


def run_weeks(context: dg.AssetExecutionContext) -> pd.DatetimeIndex:
    """The weeks a run was asked for, in order of time.

    Failure for a key that is no date, as one that was added by hand; ValueError naming the nearest ones when weekdays
    differ.
    """
    keys = sorted(context.partition_keys)
    weeks = pd.DatetimeIndex(pd.to_datetime(keys, format="%Y-%m-%d", errors="coerce"), name="week")
    if weeks.hasnans:
        wrong = keys[int(weeks.isna().argmax())]
        raise dg.Failure(
            f"expected a week such as 2012-11-02, got partition {wrong!r}; remove it with `demand repair`",
            allow_retries=False,
        )
    weekday_of(weeks)
    return weeks


def known_weeks(instance: dg.DagsterInstance, landed: Collection[str]) -> list[str]:
    """Registered keys that are among the `landed` weeks, in order of time."""
    return sorted({*instance.get_dynamic_partitions("weeks")} & {*landed})


def stray_partitions(instance: dg.DagsterInstance, landed: Collection[str]) -> list[str]:
    """Registered keys that are none of the `landed` weeks, as one that was added by hand in the UI; sorted."""
    return sorted({*instance.get_dynamic_partitions("weeks")} - {*landed})


def passed_over(strays: Collection[str]) -> str:
    """One line about partitions that are no weeks of the dataset."""
    named = ", ".join(map(repr, sorted(strays)[:5])) + (", ..." if len(strays) > 5 else "")
    return f"partition {named} is no week with sales and is passed over; remove it with `demand repair`"


def register_weeks(instance: dg.DagsterInstance, landed: Collection[str]) -> None:
    """Make partitions of all `landed` weeks, in order of time; other keys stay, before them and so out of their ranges.

    ValueError naming the nearest ones when the weeks end on different weekdays.
    """
    wanted = sorted(landed)
    weekday_of(pd.DatetimeIndex(wanted))
    held = list(instance.get_dynamic_partitions("weeks"))
    others = [key for key in held if key not in set(wanted)]
    ordered = [*others, *wanted]
    if ordered[: len(held)] == held:
        if missing := ordered[len(held) :]:
            instance.add_dynamic_partitions("weeks", missing)
    else:
        # A week older than those held, or a key among them: Dagster orders by registration, so all are registered anew.
        _replace_partitions(instance, ordered)


def _replace_partitions(instance: dg.DagsterInstance, ordered: Sequence[str]) -> None:
    """All or nothing: a process that is killed leaves the partitions as they were."""
    from demand_assets.adapters.dagster_internals import DynamicPartitionsTable, SqlEventLogStorage

    storage, table = instance.event_log_storage, DynamicPartitionsTable
    if not isinstance(storage, SqlEventLogStorage):
        raise DemandError(f"expected Dagster's storage in SQLite or PostgreSQL, got {type(storage).__name__}")
    with storage.index_transaction() as connection:
        connection.execute(table.delete().where(table.c.partitions_def_name == "weeks"))
        connection.execute(table.insert(), [{"partitions_def_name": "weeks", "partition": key} for key in ordered])


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
