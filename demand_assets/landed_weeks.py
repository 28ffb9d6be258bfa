"""The weeks of the dataset: those that are stored, and those of which a delivered row of sales passes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.errors import LakeError, SchemaError
from demand_assets.ingestion.context import Context
from demand_assets.ingestion.delivery import Delivery
from demand_assets.ingestion.plausibility import ABSURD
from demand_assets.ingestion.quality import PAST_COLUMNS
from demand_assets.ingestion.screening import without_impossible
from demand_assets.partitions import week_key

# What the footer of a week's file says of its rows.
ROWS_KEY = "rows"
_TOLD = ("file", "week", "check", "reason")


def weeks_of(deliveries: Iterable[Delivery]) -> pd.DatetimeIndex:
    """The weeks that sales files cover."""
    weeks = [delivery.weeks for delivery in deliveries if delivery.kind == "sales"]
    return pd.DatetimeIndex(sorted({week for index in weeks for week in index}), name="week")


def empty_weeks(lake: ParquetLake) -> list[str]:
    """Weeks with a file of sales that holds no row, as only older releases wrote it."""
    footers = lake.metadata("raw_sales", lake.partitions("raw_sales"))
    return sorted(str(key) for key, footer in footers.items() if footer.get(ROWS_KEY) == "0")


def require_no_empty_week(lake: ParquetLake) -> None:
    """LakeError naming the weeks of `empty_weeks`, of which one would be taken for the newest."""
    if empty := empty_weeks(lake):
        raise LakeError(
            f"{lake.address('raw_sales')}: expected sales in every week, got files without a row for "
            f"{', '.join(empty)}; remove them with `demand repair`"
        )


@dataclass(frozen=True, eq=False)
class LandedWeeks:
    """Keys of the weeks of the dataset, in order; rows that are set aside and whose weeks are therefore none of them.

    `set_aside`: file, check, reason, and what the rows hold.
    """

    keys: tuple[str, ...]
    set_aside: pd.DataFrame


def landed_weeks(lake: ParquetLake, deliveries: Sequence[Delivery], context: Context) -> LandedWeeks:
    """The weeks that are stored or have a row of sales that is possible beside stored sales.

    `deliveries` have keys for ids. SchemaError where their weeks end on another weekday than those stored.
    """
    stored = lake.partitions("raw_sales")
    _require_weekday_kept(stored, deliveries, context)
    fresh = [_of_new_weeks(one, stored) for one in deliveries if one.kind == "sales"]
    screened = _screened(lake, stored, fresh, context)
    passed = {week_key(week) for one, _ in screened for week in one.frame["week"].unique()}
    aside = pd.concat([pd.DataFrame(columns=_TOLD), *(rows for _, rows in screened)], ignore_index=True)
    gone = ~aside["week"].map(week_key).isin(passed)
    return LandedWeeks(tuple(sorted({*stored, *passed})), aside[gone])


def _require_weekday_kept(stored: Sequence[str], deliveries: Sequence[Delivery], context: Context) -> None:
    names = [one.file.name for one in deliveries if one.kind == "sales"]
    if names and stored and (kept := pd.Timestamp(stored[-1])).dayofweek != context.weekday:
        raise SchemaError(
            f"{', '.join(names)}: expected weeks that end on {kept:%A}, as those stored do, got weeks that end on "
            f"{context.day}; correct the dates, or use another workspace for them"
        )


def _of_new_weeks(delivery: Delivery, stored: Sequence[str]) -> Delivery:
    new = delivery.weeks.difference(pd.DatetimeIndex(list(stored)))
    # Not copied where every week is new.
    if len(new) == len(delivery.weeks):
        return delivery
    frame = delivery.frame[delivery.frame["week"].isin(new)].reset_index(drop=True)
    return replace(delivery, frame=frame, weeks=new)


def _screened(
    lake: ParquetLake, stored: Sequence[str], fresh: Sequence[Delivery], context: Context
) -> list[tuple[Delivery, pd.DataFrame]]:
    """The deliveries without amounts that are impossible beside stored sales, each with those rows."""
    newest = lake.read("raw_sales", stored[-1:], ["sales"])
    if newest is None or _largest(one.frame for one in fresh) <= ABSURD * _largest([newest]):
        # The whole history holds at least what its newest week does, so it need not be read.
        return [(one, pd.DataFrame()) for one in fresh]
    history = lake.read("raw_sales", stored, PAST_COLUMNS)
    past = pd.DataFrame() if history is None else history
    return [without_impossible(one, context, past) for one in fresh]


def _largest(frames: Iterable[pd.DataFrame]) -> float:
    return max((float(np.abs(frame["sales"]).max()) for frame in frames if len(frame)), default=0.0)
