"""Single rows that are wrong and can be set aside, so that the rest of their file lands. Pure and vectorised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.ingestion.catalogue import SPECS
from demand_assets.ingestion.context import Context
from demand_assets.ingestion.outcome import accept_line, count, settle, some
from demand_assets.ingestion.plausibility import ABSURD
from demand_assets.ingestion.quality import absurd_amounts
from demand_assets.ingestion.schemas import Schema, schema_of
from demand_assets.ingestion.structure import (
    YEARS_AHEAD,
    off_the_weekday,
    repeats,
    shared_keys,
    to_come,
    unfit,
    week_runs,
)
from demand_assets.ingestion.understanding import COVARIATES, Kind

# More wrong rows than both refuse the whole file.
SHARE, ROWS = 0.01, 10


def wrong_rows(kind: Kind, frame: pd.DataFrame, context: Context, past: pd.DataFrame | None = None) -> pd.DataFrame:
    """The rows of sales or covariates that are wrong by themselves: `row` (position), `check`, `reason`; by position.

    Of weeks to come, of another weekday, without a finite number, with an impossible amount that nobody accepted; each
    row once, with the first of these. `frame` is sorted by its keys; `past` is stored sales of any weeks. Empty for a
    frame whose columns or types are wrong, which is refused as a whole.
    """
    found = _Found()
    schema = schema_of(kind, frame)
    if "week" not in schema.columns or unfit(frame, kind, list(schema.columns)) or frame["week"].dtype.kind != "M":
        return found.frame()
    weeks, sizes = week_runs(frame)
    far = to_come(weeks, context, kind)
    off = off_the_weekday(weeks, context) & ~far
    undated = np.asarray(weeks.isna())
    if far.any() or off.any():
        masks = [np.repeat(of, sizes) for of in (far, off & undated, off & ~undated)]
        _add_weeks(found, kind, frame, masks, context)
    dated = np.repeat(~(far | off), sizes)
    if kind == "sales" and frame["sales"].dtype.kind in "if":
        _add_amounts(found, frame, dated, context, past)
    elif kind in COVARIATES:
        _add_numbers(found, frame, schema, dated)
    return found.frame()


def without_repeats(kind: Kind, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with each row that repeats another in all values once; the frame itself where none does."""
    schema = schema_of(kind, frame)
    repeated = repeats(frame, schema, shared_keys(frame, schema.keys)[0])
    return frame[~repeated].reset_index(drop=True) if repeated.any() else frame


def _add_weeks(
    found: _Found,
    kind: Kind,
    frame: pd.DataFrame,
    masks: Sequence[NDArray[np.bool_]],
    context: Context,
) -> None:
    """`masks`: (n,) which rows are too far ahead, have no date, or fall on another weekday."""
    far, undated, strange = masks
    begun = "sales_weeks_have_begun" if kind == "sales" else f"{kind}_weeks_are_within_10_years"
    limit = f"is more than {YEARS_AHEAD} years ahead of" if kind in COVARIATES else "has yet to begin on"
    found.add(far, begun, "week " + _dates(frame, far) + f" {limit} {context.today}")
    weekday = f"{kind}_weeks_end_on_one_weekday"
    found.add(undated, weekday, "week is missing")
    days = frame["week"][strange].dt.day_name()
    found.add(strange, weekday, "week " + _dates(frame, strange) + " is a " + days + f", not a {context.day}")


def _dates(frame: pd.DataFrame, wrong: NDArray[np.bool_]) -> pd.Series[str]:
    weeks: pd.Series[pd.Timestamp] = frame["week"][wrong]
    return weeks.dt.strftime("%Y-%m-%d")


class _Found:
    """Rows that were found wrong, by check."""

    def __init__(self) -> None:
        self._parts: list[pd.DataFrame] = []

    def add(self, wrong: NDArray[np.bool_], check: str, reasons: pd.Series[str] | str) -> None:
        """Add the rows of an (n,) mask, with a reason each or one for all."""
        rows = np.flatnonzero(wrong)
        if not len(rows):
            return
        values = reasons if isinstance(reasons, str) else reasons.to_numpy()
        self._parts.append(pd.DataFrame({"row": rows, "check": check, "reason": values}, index=range(len(rows))))

    def frame(self) -> pd.DataFrame:
        """All of them, by position."""
        if not self._parts:
            return pd.DataFrame({"row": np.empty(0, dtype=np.int64), "check": [], "reason": []})
        return pd.concat(self._parts).sort_values("row", ignore_index=True)


def _add_amounts(
    found: _Found, sales: pd.DataFrame, dated: NDArray[np.bool_], context: Context, past: pd.DataFrame | None
) -> None:
    amounts = sales["sales"].to_numpy()
    fit = np.isfinite(amounts) & dated
    # Not copied where every row is fit.
    judged = sales
    if not fit.all():
        missing = np.isnan(amounts)
        found.add(dated & missing, "sales_are_finite", "sales is missing")
        found.add(dated & ~fit & ~missing, "sales_are_finite", "sales is infinite")
        judged = sales[fit].reset_index(drop=True)
    absurd, limit = absurd_amounts(judged, past)
    if not absurd.any():
        return
    spec = SPECS["sales_are_possible"]
    wrong = np.zeros(len(sales), dtype=bool)
    wrong[fit] = settle(spec, judged["week"].to_numpy(), absurd, context)[0]
    if not wrong.any():
        return
    rows, largest = sales[wrong], limit / ABSURD
    lines = rows["week"].map({week: accept_line(week, spec.name) for week in rows["week"].unique()})
    times = (rows["sales"].abs() / largest).map("{:,.0f}x".format)
    than = f" the largest amount of the others, {context.amount(largest)}; if it is right: "
    found.add(wrong, spec.name, "sales " + rows["sales"].map(context.amount) + " is " + times + than + lines)


def _add_numbers(found: _Found, frame: pd.DataFrame, schema: Schema, dated: NDArray[np.bool_]) -> None:
    infinite = {
        name: np.isinf(frame[name].to_numpy())
        for name, column in schema.columns.items()
        if column.dtype == "float64" and frame[name].dtype.kind == "f"
    }
    taken = ~dated
    for name, wrong in infinite.items():
        found.add(wrong & ~taken, f"{schema.kind}_columns_and_types_are_right", f"{name} is infinite")
        taken = taken | wrong


def too_many(wrong: pd.DataFrame, rows: int) -> str:
    """Why a file of so many rows is refused for its wrong rows; empty where these can be set aside.

    `wrong` has `file`, `line`, `check` and `reason`.
    """
    if len(wrong) <= max(ROWS, SHARE * rows):
        return ""
    checks = wrong["check"].value_counts()
    named = some([f"{check} {number:,}" for check, number in checks.items()])
    first = wrong.loc[wrong["line"].idxmin()]
    return (
        f"{first['file']}: {len(wrong):,} of {count(rows, 'row')} are wrong, more than {SHARE:.0%} and {ROWS}, "
        f"so none is taken ({named}); first, line {first['line']}: {first['reason']}; "
        f"{SPECS[str(checks.index[0])].answer}"
    )
