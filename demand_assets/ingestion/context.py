"""What rows are judged in: the retailer's ids, week and unit, the day of the check, and what people have said. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import pandas as pd

from demand_assets.ingestion.dataspec import WEEKDAYS, Accept, Closed, DataSpec
from demand_assets.ingestion.ids import IdTexts


@dataclass(frozen=True, eq=False)
class Context:
    """What checks must know beside the rows.

    `today` is the day of the check: sales of weeks that have yet to begin are wrong. `weekday` ends a week (0 Monday to
    6 Sunday). In `closed` weeks the named stores, or without any the whole chain, did not trade. `accepted` are the
    findings that somebody takes as right. `holidays_by_store`: holiday flags of stores differ by intent.
    """

    today: date
    ids: IdTexts = field(default_factory=IdTexts)
    weekday: int = WEEKDAYS.index("friday")
    unit: str = ""
    missing: Literal["zero", "unknown"] = "unknown"
    closed: tuple[Closed, ...] = ()
    accepted: tuple[Accept, ...] = ()
    holidays_by_store: bool = False

    @property
    def day(self) -> str:
        """Name of the day that ends a week: `Friday`."""
        return WEEKDAYS[self.weekday].capitalize()

    @property
    def chain_closed(self) -> frozenset[pd.Timestamp]:
        """Weeks in which no store traded."""
        return frozenset(pd.Timestamp(closed.week) for closed in self.closed if not closed.stores)

    def amount(self, value: float) -> str:
        """`1,234.50 EUR`; an amount of no unit stands alone."""
        digits = f"{value:,.2f}".removesuffix(".00")
        return f"{digits} {self.unit}" if self.unit else digits

    def reasons(self, check: str) -> dict[pd.Timestamp, str]:
        """Week -> why somebody takes the findings of this check as right."""
        return {pd.Timestamp(accept.week): accept.reason for accept in self.accepted if accept.check == check}


def context_of(spec: DataSpec, today: date, ids: IdTexts, recorded: Sequence[Accept] = ()) -> Context:
    """The context that `demand.toml` states; `recorded` are the findings accepted with `demand accept`."""
    closed = tuple(each if isinstance(each, Closed) else Closed(week=each) for each in spec.data.closed)
    return Context(
        today=today,
        ids=ids,
        weekday=WEEKDAYS.index(spec.data.week_ends or "friday"),
        unit=spec.data.unit,
        missing=spec.sales.missing,
        closed=closed,
        accepted=(*spec.accept, *recorded),
        holidays_by_store=spec.holidays.by_store,
    )
