"""What a check says: passed or not, one line with numbers, metrics, and the first rows that are wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.errors import SchemaError
from demand_assets.ingestion.context import Context
from demand_assets.ingestion.ids import IdTexts

Severity = Literal["error", "warn"]
Metric = int | float | str

FIRST_ROWS = 20
_NAMED, _LONGEST_ID = 5, 60


@dataclass(frozen=True)
class CheckSpec:
    """A check that exists: its name (a true sentence when it passes), its exact rule, and what a failure asks for.

    An `error` blocks, a `warn` does not. `answer` is what to do about a failure; `acceptable`: a finding that is right
    can be accepted week by week, and passes from then on.
    """

    name: str
    rule: str
    severity: Severity = "error"
    answer: str = "correct the file and land it again"
    acceptable: bool = False

    def answer_for(self, rows: pd.DataFrame) -> str:
        """How to answer the findings that these rows are."""
        weeks = pd.DatetimeIndex(rows["week"].dropna().unique() if self.acceptable else [])
        if weeks.empty:
            return self.answer
        more = f" (and {count(len(weeks) - 1, 'more week')})" if len(weeks) > 1 else ""
        return f"{self.answer}; if it is right: {accept_line(weeks[0], self.name)}{more}"


@dataclass(frozen=True, eq=False)
class CheckOutcome:
    """What one check found: `description` is one line with numbers, `failing_rows` the first 20 at most.

    `accepted`: why the findings that somebody accepted are right; empty without any.
    """

    name: str
    passed: bool
    severity: Severity
    description: str
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    failing_rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    file: str = ""
    accepted: str = ""


def accept_line(week: pd.Timestamp, check: str) -> str:
    """The command that takes a finding as right."""
    return f"demand accept --week {week:%Y-%m-%d} --check {check} --reason ..."


def settle(
    spec: CheckSpec, weeks: NDArray[Any], wrong: NDArray[np.bool_], context: Context
) -> tuple[NDArray[np.bool_], str]:
    """The wrong rows that nobody accepted, and why the others are right; `weeks` are those of all (n,) rows."""
    reasons = context.reasons(spec.name) if spec.acceptable else {}
    if not reasons or not wrong.any():
        return wrong, ""
    taken = wrong & np.isin(weeks, np.array(list(reasons), dtype="datetime64[ns]"))
    said = dict.fromkeys(reasons[pd.Timestamp(week)] for week in np.unique(weeks[taken]))
    return wrong & ~taken, "; ".join(said)


def judge(
    spec: CheckSpec,
    rows: pd.DataFrame,
    wrong: NDArray[np.bool_],
    context: Context,
    *,
    fine: str,
    fault: str,
    metrics: Mapping[str, Metric],
    beside: Mapping[str, NDArray[Any]] | None = None,
    accepted: str = "",
) -> CheckOutcome:
    """The outcome of a (len(rows),) mask of wrong rows: `fine` or `fault`, and how to answer, become the description.

    `beside`: further columns of the rows shown, which are `first_rows(wrong)`. `accepted` is as `settle` gives it.
    """
    failing = rows.iloc[first_rows(wrong)].reset_index(drop=True).assign(**(beside or {}))
    passed = not wrong.any()
    said = [fine] if passed else [fault, spec.answer_for(rows[wrong])]
    said += [f"accepted: {accepted}"] if accepted else []
    return CheckOutcome(
        spec.name, passed, spec.severity, "; ".join(said), metrics, in_words(failing, context.ids), accepted=accepted
    )


def first_rows(wrong: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Positions of the wrong rows that are shown."""
    return np.flatnonzero(wrong)[:FIRST_ROWS]


def in_words(rows: pd.DataFrame, ids: IdTexts) -> pd.DataFrame:
    """The rows with the text ids that their keys stand for; what is no key is left as it is."""
    texts = {"store_id": ids.store, "dept_id": ids.dept}
    keys = [name for name in texts if name in rows and rows[name].dtype.kind in "iu"]
    return rows.assign(**{name: [texts[name](key) for key in rows[name]] for name in keys})


def first_of(rows: pd.DataFrame, wrong: NDArray[np.bool_], ids: IdTexts) -> str:
    """The first wrong row in words: `2010-02-04 store ZRH-01 dept food/1`; empty when none is wrong."""
    if not wrong.any():
        return ""
    row = rows.iloc[int(np.argmax(wrong))]
    words = []
    # Stores and departments may have an attribute of that name.
    if rows.dtypes.get("week", np.dtype(object)).kind == "M":
        words.append("no date" if pd.isna(row["week"]) else f"{row['week']:%Y-%m-%d}")
    if "store_id" in row:
        words.append(f"store {plain(ids.store(row['store_id']))}")
    if "dept_id" in row:
        words.append(f"dept {plain(ids.dept(row['dept_id']))}")
    return " ".join(words)


def plain(text: str) -> str:
    """An id as it stands in a line: in quotes where it holds white space or marks of the line, cut where it is long."""
    short = text if len(text) <= _LONGEST_ID else f"{text[: _LONGEST_ID - 3]}..."
    return repr(short) if any(mark.isspace() or mark in ",;:" for mark in short) else short


def some(texts: Sequence[str]) -> str:
    """The first five, and that there are more: `1, 2, 3, 4, 5, ...`."""
    return ", ".join(texts[:_NAMED]) + (", ..." if len(texts) > _NAMED else "")


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 row`, `1,234 rows`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def raise_on_failure(outcomes: Sequence[CheckOutcome]) -> None:
    """SchemaError, one line, for the first failed check of severity `error`, its file if known; warnings pass."""
    failed = [outcome for outcome in outcomes if not outcome.passed and outcome.severity == "error"]
    if failed:
        more = f" (and {count(len(failed) - 1, 'more check')} failed)" if len(failed) > 1 else ""
        raise SchemaError(f"{failed[0].file or failed[0].name}: {failed[0].description}{more}")
