"""Checks on one frame alone: columns and types, keys, repeated rows, weekdays, dates to come, finite amounts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.ingestion.context import Context
from demand_assets.ingestion.order import in_order, run_starts, sort_order
from demand_assets.ingestion.outcome import CheckOutcome, CheckSpec, count, first_of, first_rows, in_words, judge
from demand_assets.ingestion.schemas import Column, Schema
from demand_assets.ingestion.understanding import COVARIATES, Kind

# Stands for an id that is no number; no store or department has it.
_NO_ID = -1
# Plans and calendars run ahead of today, by years at most.
YEARS_AHEAD = 10


def unfit(frame: pd.DataFrame, kind: Kind, needs: Sequence[str]) -> str:
    """Why a frame rules out checks that need these columns, in words; empty when it does not.

    A column may be absent or there twice, or the frame may have no rows.
    """
    if lacking := [column for column in needs if column not in frame]:
        return f"{kind} lacks {', '.join(lacking)}"
    if not frame.columns.is_unique:
        return f"{kind} has a column twice: {', '.join(map(str, frame.columns[frame.columns.duplicated()]))}"
    if frame.empty:
        return f"{kind} has no rows"
    return ""


def coerce_dtypes(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """The columns of the schema, of types the checks can compute with; what does not fit is NaN, NaT, False or -1.

    Sorted by the keys, rows of one key as they came. A frame that is so already is not copied.
    """
    names = list(schema.columns)
    frame = _counted(frame if list(frame.columns) == names else frame[names])
    coerced: dict[str, pd.Series[Any]] = {}
    for name, column in schema.columns.items():
        values = frame[name]
        # Extension types (nullable, time zones, strings) have a kind code too, but compute differently.
        code = values.dtype.kind if isinstance(values.dtype, np.dtype) else ""
        if column.dtype.startswith("datetime") and code != "M":
            dates = pd.to_datetime(values, errors="coerce", utc=True, format="ISO8601")
            coerced[name] = dates.dt.tz_localize(None)
        elif column.dtype == "int32" and code not in ("i", "u"):
            ids = pd.to_numeric(values, errors="coerce").astype("float64")
            coerced[name] = ids.where(ids.abs() < 2**31, _NO_ID).astype("int64")
        elif column.dtype in ("int64", "float64") and code not in ("i", "u", "f"):
            coerced[name] = pd.to_numeric(values, errors="coerce").astype("float64")
        elif column.dtype == "bool" and code != "b":
            coerced[name] = pd.to_numeric(values, errors="coerce").fillna(0).astype(bool)
    return in_order(frame.assign(**coerced) if coerced else frame, schema.keys)


def _counted(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with rows numbered from 0; not copied where they are."""
    counted = isinstance(frame.index, pd.RangeIndex) and frame.index.start == 0 and frame.index.step == 1
    return frame if counted else frame.reset_index(drop=True)


def columns_and_types(spec: CheckSpec, frame: pd.DataFrame, schema: Schema, context: Context) -> CheckOutcome:
    """Columns, dtypes, missing values and ranges as in the schema, all faults at once."""
    metrics: dict[str, int | float | str] = {"rows": len(frame), "columns": len(frame.columns)}
    expected = ", ".join(schema.columns)
    if reason := unfit(frame, schema.kind, list(schema.columns)):
        has = ", ".join(map(str, frame.columns))
        fault = f"{reason}; has {has}; expected {expected}; {spec.answer}"
        return CheckOutcome(spec.name, False, spec.severity, fault, metrics)
    faults = [f"unknown column {name}" for name in frame if name not in schema.columns]
    wrong = np.zeros(len(frame), dtype=bool)
    for name, column in schema.columns.items():
        for fault, rows in _column_faults(frame[name], column):
            faults.append(f"{name} {fault}")
            wrong |= rows
    if not faults:
        fine = f"{count(len(frame), 'row')} of {expected}, typed and within range"
        return CheckOutcome(spec.name, True, spec.severity, fine, metrics)
    metrics |= {"faults": len(faults), "failing_rows": int(wrong.sum())}
    shown = in_words(frame.iloc[first_rows(wrong)].reset_index(drop=True), context.ids) if wrong.any() else frame[:0]
    return CheckOutcome(
        spec.name, False, spec.severity, f"{' '.join('; '.join(faults).split())}; {spec.answer}", metrics, shown
    )


def _fits(dtype: Any, column: Column) -> bool:
    """Whether values of this type can be those of the column."""
    kind = dtype.kind if isinstance(dtype, np.dtype) else ""
    if column.dtype == "str":
        return kind == "O" or isinstance(dtype, pd.CategoricalDtype | pd.StringDtype)
    return dtype == column.dtype or (column.dtype in ("int64", "float64") and bool(kind) and kind in "iufb")


def _is_right(values: NDArray[Any], column: Column) -> bool:
    """Whether a column is without fault, told by its least and greatest value; False where that does not tell."""
    kind = values.dtype.kind
    if kind not in "biufM" or not len(values):
        return False
    if kind == "b":
        return column.low == -np.inf
    # The least of values of which one is missing is missing.
    if not column.nullable and pd.isna(values.min()):
        return False
    if kind == "M":
        return True
    low, high = np.fmin.reduce(values), np.fmax.reduce(values)
    if column.finite and (np.isinf(low) or np.isinf(high)):
        return False
    return not (low < column.low or high > column.high)


def _column_faults(values: pd.Series[Any], column: Column) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """What is wrong with a column, in words, and which rows; the rows of a column of another type are not judged."""
    is_text = column.dtype == "str"
    if not _fits(values.dtype, column):
        yield f"has type {values.dtype}, expected {column.dtype}", np.zeros(len(values), dtype=bool)
        return
    if not is_text and _is_right(values.to_numpy(), column):
        return
    missing = values.isna().to_numpy()
    if missing.any() and not column.nullable:
        yield f"is missing in {count(int(missing.sum()), 'row')}", missing
    if column.low == -np.inf:
        if column.finite and values.dtype.kind == "f" and (infinite := np.isinf(values.to_numpy())).any():
            yield f"is infinite in {count(int(infinite.sum()), 'row')}", infinite
        return
    # What is no text has no length.
    sizes = values.map(lambda text: len(text) if isinstance(text, str) else 0) if is_text else values
    outside = ((sizes < column.low) | (sizes > column.high)).to_numpy() & ~missing
    if outside.any():
        unit = " characters" if is_text else ""
        where = (
            f"below {column.low:g}" if column.high == np.inf else f"outside {column.low:,.10g} to {column.high:,.10g}"
        )
        yield f"is {where}{unit} in {count(int(outside.sum()), 'row')}, first {values[outside].iloc[0]}", outside


def keys_are_unique(
    spec: CheckSpec, frame: pd.DataFrame, schema: Schema, context: Context, shared: NDArray[np.bool_], distinct: int
) -> CheckOutcome:
    """No key has rows that contradict each other; rows that repeat another are for `rows_come_once`.

    `shared` and `distinct` are as `shared_keys` gives them.
    """
    wrong = np.zeros(len(frame), dtype=bool)
    if shared.any():
        candidates = frame[shared].drop_duplicates(list(schema.columns))
        contradicting = candidates[list(schema.keys)][candidates.duplicated(list(schema.keys), keep=False)]
        keys = pd.MultiIndex.from_frame(frame.loc[shared, list(schema.keys)])
        wrong[shared] = keys.isin(pd.MultiIndex.from_frame(contradicting))
    per = _per(schema)
    rows = int(wrong.sum())
    return judge(
        spec,
        frame,
        wrong,
        context,
        fine=f"{count(len(frame), 'row')}, one per {per}",
        fault=f"{count(rows, 'row')} contradict another of the same {per}, first {first_of(frame, wrong, context.ids)}",
        metrics={"rows": len(frame), "rows_contradicting": rows, "keys": distinct},
    )


def rows_come_once(spec: CheckSpec, frame: pd.DataFrame, repeated: NDArray[np.bool_], context: Context) -> CheckOutcome:
    """No row repeats another in all its values; `repeated` is as `repeats` gives it."""
    rows = int(repeated.sum())
    return judge(
        spec,
        frame,
        repeated,
        context,
        fine=f"{count(len(frame), 'row')}, none twice",
        fault=f"{count(rows, 'row')} repeat another in all values and count once, "
        f"first {first_of(frame, repeated, context.ids)}",
        metrics={"rows": len(frame), "rows_repeated": rows},
    )


def repeats(frame: pd.DataFrame, schema: Schema, shared: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) mask of the rows that repeat an earlier one in all values: what is left without them counts once."""
    if not shared.any():
        return shared
    repeated = shared.copy()
    repeated[shared] = frame[shared].duplicated(list(schema.columns)).to_numpy()
    return repeated


def shared_keys(frame: pd.DataFrame, keys: Sequence[str]) -> tuple[NDArray[np.bool_], int]:
    """(n,) mask of the rows that share their key with another, and the number of distinct keys."""
    if all(isinstance(frame[key].dtype, np.dtype) and frame[key].dtype.kind in "iuM" for key in keys):
        columns = [frame[key].to_numpy() for key in keys]
        order = sort_order(columns)
        starts = run_starts(columns if order is None else [column[order] for column in columns])
        shared = np.zeros(len(frame), dtype=bool)
        if len(starts) < len(frame):
            sizes = np.diff(starts, append=len(frame))
            shared[slice(None) if order is None else order] = np.repeat(sizes > 1, sizes)
        return shared, len(starts)
    shared = frame.duplicated(list(keys), keep=False).to_numpy()
    return shared, len(frame) - int(frame.duplicated(list(keys)).sum())


def _per(schema: Schema) -> str:
    return " and ".join(", ".join(key.removesuffix("_id") for key in schema.keys).rsplit(", ", 1))


def weeks_end_on_the_weekday(spec: CheckSpec, frame: pd.DataFrame, context: Context) -> CheckOutcome:
    """Every week is a date, and of the weekday that ends this retailer's weeks."""
    distinct, sizes = week_runs(frame)
    strange = off_the_weekday(distinct, context)
    wrong = np.repeat(strange, sizes)
    days = distinct[strange].day_name().fillna("day without a date").unique()
    rows = int(wrong.sum())
    fall, do = ("falls", "does") if rows == 1 else ("fall", "do")
    on = f"{fall} on a {days[0]}" if len(days) == 1 else f"{do} not fall on a {context.day}"
    return judge(
        spec,
        frame,
        wrong,
        context,
        fine=f"{count(len(frame), 'row')}, all on {context.day}s",
        fault=f"{count(rows, 'row')} {on}, first {first_of(frame, wrong, context.ids)}; weeks end on {context.day}",
        metrics={"rows": len(frame), "rows_on_another_day": rows, "weeks": int(distinct.nunique())},
    )


def weeks_have_begun(spec: CheckSpec, frame: pd.DataFrame, context: Context, kind: Kind) -> CheckOutcome:
    """No week has yet to begin; weeks of covariates, which are planned ahead, begin within 10 years."""
    distinct, sizes = week_runs(frame)
    wrong = np.repeat(to_come(distinct, context, kind), sizes)
    rows = int(wrong.sum())
    newest = distinct.max()
    limit = f"more than {YEARS_AHEAD} years ahead" if kind in COVARIATES else "that have yet to begin"
    return judge(
        spec,
        frame,
        wrong,
        context,
        fine=f"newest week {newest:%Y-%m-%d}" if not pd.isna(newest) else "no dates",
        fault=f"{count(rows, 'row')} of weeks {limit}, first {first_of(frame, wrong, context.ids)}; "
        f"today is {context.today}",
        metrics={"rows": len(frame), "rows_to_come": rows},
    )


def week_runs(frame: pd.DataFrame) -> tuple[pd.DatetimeIndex, NDArray[np.intp]]:
    """The week of each run of rows of one week, and the number of its rows."""
    weeks = frame["week"].to_numpy()
    starts = run_starts([weeks])
    return pd.DatetimeIndex(weeks[starts]), np.diff(starts, append=len(weeks))


def off_the_weekday(weeks: pd.DatetimeIndex, context: Context) -> NDArray[np.bool_]:
    """Which dates do not end a week; what is no date does not."""
    return np.asarray(weeks.dayofweek != context.weekday)


def to_come(weeks: pd.DatetimeIndex, context: Context, kind: Kind) -> NDArray[np.bool_]:
    """Which weeks are too far ahead for this kind of frame."""
    # A week is seven days, of which the date is the last.
    last = pd.Timestamp(context.today + timedelta(days=6))
    return np.asarray(weeks > (last + pd.DateOffset(years=YEARS_AHEAD) if kind in COVARIATES else last))


def sales_are_finite(spec: CheckSpec, sales: pd.DataFrame, context: Context) -> CheckOutcome:
    """No amount is missing or infinite."""
    amounts = sales["sales"].to_numpy()
    wrong = ~np.isfinite(amounts)
    rows, missing = int(wrong.sum()), int(np.isnan(amounts).sum())
    return judge(
        spec,
        sales,
        wrong,
        context,
        fine=f"{count(len(sales), 'row')}, {amounts.sum():,.0f} {context.unit}".rstrip(),
        fault=f"{count(rows, 'row')} without a finite amount ({missing:,} missing), "
        f"first {first_of(sales, wrong, context.ids)}; expected an amount in every row",
        metrics={"rows": len(sales), "rows_missing": missing, "rows_infinite": rows - missing},
    )
