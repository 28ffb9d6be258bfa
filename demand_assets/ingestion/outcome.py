"""What a check says: passed or not, one line with numbers, metrics, and the first rows that are wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.errors import SchemaError

Severity = Literal["error", "warn"]
Metric = int | float | str

FIRST_ROWS = 20


@dataclass(frozen=True)
class CheckSpec:
    """A check that exists: its name (a true sentence when it passes), how grave a failure is, and its exact rule."""

    name: str
    rule: str
    severity: Severity = "error"


@dataclass(frozen=True, eq=False)
class CheckOutcome:
    """What one check found: `description` is one line with numbers, `failing_rows` the first 20 at most."""

    name: str
    passed: bool
    severity: Severity
    description: str
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    failing_rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    file: str = ""


def judge(
    spec: CheckSpec,
    rows: pd.DataFrame,
    wrong: NDArray[np.bool_],
    *,
    fine: str,
    fault: str,
    metrics: Mapping[str, Metric],
    beside: Mapping[str, NDArray[Any]] | None = None,
) -> CheckOutcome:
    """The outcome of a (len(rows),) mask of wrong rows: `fine` or `fault` becomes the description.

    `beside`: further columns of the rows shown, which are `first_rows(wrong)`.
    """
    failing = rows.iloc[first_rows(wrong)].reset_index(drop=True).assign(**(beside or {}))
    passed = not wrong.any()
    return CheckOutcome(spec.name, passed, spec.severity, fine if passed else fault, metrics, failing)


def first_rows(wrong: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Positions of the wrong rows that are shown."""
    return np.flatnonzero(wrong)[:FIRST_ROWS]


def first_of(rows: pd.DataFrame, wrong: NDArray[np.bool_]) -> str:
    """The first wrong row in words: `2010-02-04 store 1 dept 1`; empty when none is wrong."""
    if not wrong.any():
        return ""
    row = rows.iloc[int(np.argmax(wrong))]
    words = []
    if "week" in row:
        words.append("no date" if pd.isna(row["week"]) else f"{row['week']:%Y-%m-%d}")
    words += [
        f"{word} {row[column]:.0f}" for word, column in (("store", "store_id"), ("dept", "dept_id")) if column in row
    ]
    return " ".join(words)


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 row`, `1,234 rows`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def raise_on_failure(outcomes: Sequence[CheckOutcome]) -> None:
    """SchemaError, one line, for the first failed check of severity `error`, its file if known; warnings pass."""
    failed = [outcome for outcome in outcomes if not outcome.passed and outcome.severity == "error"]
    if failed:
        more = f" (and {count(len(failed) - 1, 'more check')} failed)" if len(failed) > 1 else ""
        raise SchemaError(f"{failed[0].file or failed[0].name}: {failed[0].description}{more}")
