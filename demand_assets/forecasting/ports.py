"""What the forecaster asks of the outside: tables that it can read by name, and workers to map over parts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, Self, TypeVar

import pandas as pd

Item = TypeVar("Item")
Made = TypeVar("Made")


class WeeklyTable(Protocol):
    """A reference to a stored table of weekly files: its rows are read where they are used."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Its weeks, YYYY-MM-DD, in order."""

    def only(self, keys: Sequence[str]) -> Self:
        """Those of its weeks that are among `keys`."""

    def read(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All its rows, in order of week."""

    def weeks(self, columns: Sequence[str] | None = None) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each week's rows, one week in memory at a time."""


class Workers(Protocol):
    """Who does the parts of heavy work: this machine, or the workers of a cluster."""

    @property
    def count(self) -> int:
        """How many parts are done side by side."""

    @property
    def threads(self) -> int:
        """Threads that the work of one part may use."""

    def map(self, function: Callable[..., Made], parts: Iterable[Item], *shared: Any) -> Iterator[Made]:
        """`function(*shared, part)` of each part, in order; the function must be pure, and may make an iterator."""


def dealt(items: Sequence[Item], workers: int) -> list[list[Item]]:
    """`items` in one part for one worker, for several in about two each.

    They are dealt in turn: later weeks have more history, and take several times as long as the first.
    """
    count = min(len(items), 2 * workers) if workers > 1 else 1
    return [list(items[first::count]) for first in range(count)]
