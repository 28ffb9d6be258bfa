"""Checks on one frame alone: columns and types, keys, Fridays, known stores, finite amounts, flags in a week. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.ingestion.formats import FORMATS, Kind
from demand_assets.ingestion.order import in_order, run_starts, sort_order
from demand_assets.ingestion.outcome import CheckOutcome, CheckSpec, count, first_of, first_rows, judge
from demand_assets.ingestion.schemas import COLUMNS, Column

_FRIDAY = 4
# Stands for an id that is no number; no store or department has it.
_NO_ID = -1


def unfit(frame: pd.DataFrame, kind: Kind, needs: Sequence[str]) -> str:
    """Why a frame rules out checks that need these columns, in words; empty when it does not.

    A column may be absent or there twice, or the frame may have no rows.
    """
    if lacking := [column for column in needs if column not in frame]:
        return f"{kind} lacks {', '.join(lacking)}"
    if not frame.columns.is_unique:
        return f"{kind} has a column twice: {', '.join(frame.columns[frame.columns.duplicated()])}"
    if frame.empty:
        return f"{kind} has no rows"
    return ""


def coerce_dtypes(frame: pd.DataFrame, kind: Kind, needs: Sequence[str]) -> pd.DataFrame:
    """These columns of the frame, of types the checks can compute with; what does not fit is NaN, NaT, False or -1.

    Sorted by the keys, rows of one key as they came. A frame that is so already is not copied.
    """
    frame = _counted(frame if list(frame.columns) == list(needs) else frame[list(needs)])
    coerced: dict[str, pd.Series[Any]] = {}
    for field in FORMATS[kind].fields:
        if field.column not in needs:
            continue
        values = frame[field.column]
        # Extension types (nullable, time zones, strings) have a kind code too, but compute differently.
        code = values.dtype.kind if isinstance(values.dtype, np.dtype) else ""
        if field.content == "date" and code != "M":
            dates = pd.to_datetime(values, errors="coerce", utc=True, format="ISO8601")
            coerced[field.column] = dates.dt.tz_localize(None)
        elif field.content == "key" and code not in ("i", "u"):
            ids = pd.to_numeric(values, errors="coerce").astype("float64")
            coerced[field.column] = ids.where(ids.abs() < 2**31, _NO_ID).astype("int64")
        elif field.content in ("count", "number") and code not in ("i", "u", "f"):
            coerced[field.column] = pd.to_numeric(values, errors="coerce").astype("float64")
        elif field.content == "flag" and code != "b":
            coerced[field.column] = pd.to_numeric(values, errors="coerce").fillna(0).astype(bool)
    return in_order(frame.assign(**coerced) if coerced else frame, [key for key in FORMATS[kind].keys if key in needs])


def _counted(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with rows numbered from 0; not copied where they are."""
    counted = isinstance(frame.index, pd.RangeIndex) and frame.index.start == 0 and frame.index.step == 1
    return frame if counted else frame.reset_index(drop=True)


def columns_and_types(spec: CheckSpec, kind: Kind, frame: pd.DataFrame) -> CheckOutcome:
    """Columns, dtypes, missing values and ranges as in `schemas`, all faults at once."""
    metrics: dict[str, int | float | str] = {"rows": len(frame), "columns": len(frame.columns)}
    expected = ", ".join(FORMATS[kind].columns)
    if reason := unfit(frame, kind, FORMATS[kind].columns):
        has = ", ".join(map(str, frame.columns))
        return CheckOutcome(spec.name, False, spec.severity, f"{reason}; has {has}; expected {expected}", metrics)
    faults = [f"unknown column {name}" for name in frame if name not in COLUMNS[kind]]
    wrong = np.zeros(len(frame), dtype=bool)
    for name, column in COLUMNS[kind].items():
        for fault, rows in _column_faults(frame[name], column):
            faults.append(f"{name} {fault}")
            wrong |= rows
    if not faults:
        fine = f"{count(len(frame), 'row')} of {expected}, typed and within range"
        return CheckOutcome(spec.name, True, spec.severity, fine, metrics)
    metrics |= {"faults": len(faults), "failing_rows": int(wrong.sum())}
    shown = frame.iloc[first_rows(wrong)].reset_index(drop=True)
    return CheckOutcome(spec.name, False, spec.severity, " ".join("; ".join(faults).split()), metrics, shown)


def _column_faults(values: pd.Series[Any], column: Column) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """What is wrong with a column, in words, and which rows; the rows of a column of another type are not judged."""
    is_text = column.dtype == "str"
    if values.dtype != ("object" if is_text else column.dtype):
        yield f"has type {values.dtype}, expected {column.dtype}", np.zeros(len(values), dtype=bool)
        return
    missing = values.isna().to_numpy()
    if missing.any() and not column.nullable:
        yield f"is missing in {count(int(missing.sum()), 'row')}", missing
    if column.low == -np.inf:
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


def keys_are_unique(spec: CheckSpec, kind: Kind, frame: pd.DataFrame) -> CheckOutcome:
    """One row per key of the format."""
    keys = list(FORMATS[kind].keys)
    if all(isinstance(frame[key].dtype, np.dtype) and frame[key].dtype.kind in "iuM" for key in keys):
        columns = [frame[key].to_numpy() for key in keys]
        order = sort_order(columns)
        starts = run_starts(columns if order is None else [column[order] for column in columns])
        wrong = np.zeros(len(frame), dtype=bool)
        if len(starts) < len(frame):
            sizes = np.diff(starts, append=len(frame))
            wrong[slice(None) if order is None else order] = np.repeat(sizes > 1, sizes)
        distinct = len(starts)
    else:
        wrong = frame.duplicated(keys, keep=False).to_numpy()
        distinct = len(frame) - int(frame.duplicated(keys).sum())
    per = " and ".join(", ".join(key.removesuffix("_id") for key in keys).rsplit(", ", 1))
    rows = int(wrong.sum())
    return judge(
        spec,
        frame,
        wrong,
        fine=f"{count(len(frame), 'row')}, one per {per}",
        fault=f"{count(rows, 'row')} share their key with another, first {first_of(frame, wrong)}; "
        f"expected one row per {per}",
        metrics={
            "rows": len(frame),
            "rows_sharing_a_key": rows,
            "keys": distinct,
        },
    )


def weeks_are_fridays(spec: CheckSpec, frame: pd.DataFrame) -> CheckOutcome:
    """Every week is a date, and a Friday."""
    weeks = frame["week"].to_numpy()
    starts = run_starts([weeks])
    # Of each week, not of each row.
    distinct = pd.Series(weeks[starts])
    strange = distinct.dt.dayofweek != _FRIDAY
    wrong = np.repeat(strange.to_numpy(), np.diff(starts, append=len(weeks)))
    days = distinct[strange].dt.day_name().fillna("day without a date").unique()
    rows = int(wrong.sum())
    fall, do = ("falls", "does") if rows == 1 else ("fall", "do")
    on = f"{fall} on a {days[0]}" if len(days) == 1 else f"{do} not fall on a Friday"
    return judge(
        spec,
        frame,
        wrong,
        fine=f"{count(len(frame), 'row')}, all on Fridays",
        fault=f"{count(rows, 'row')} {on}, first {first_of(frame, wrong)}; weeks are Fridays",
        metrics={"rows": len(frame), "rows_not_on_a_friday": rows, "weeks": int(distinct.nunique())},
    )


def stores_are_known(spec: CheckSpec, frame: pd.DataFrame, stores: NDArray[np.int64]) -> CheckOutcome:
    """Every store is among `stores`, the known store ids."""
    ids = frame["store_id"].to_numpy()
    starts = run_starts([ids])
    # Of each stretch of rows of one store, not of each row.
    stretches = ids[starts]
    wrong = np.repeat(~np.isin(stretches, stores), np.diff(starts, append=len(ids)))
    unknown = np.unique(ids[wrong])
    named = ", ".join(f"{store:.0f}" for store in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
    rows = int(wrong.sum())
    known = f"{count(len(stores), 'store')} known" if len(stores) else "no stores are known: land a stores.csv first"
    return judge(
        spec,
        frame,
        wrong,
        fine=f"{count(len(np.unique(stretches)), 'store')}, all among the {len(stores):,} known",
        fault=f"{count(rows, 'row')} of {count(len(unknown), 'unknown store')} ({named}), "
        f"first {first_of(frame, wrong)}; {known}",
        metrics={"rows": len(frame), "rows_of_unknown_stores": rows, "known_stores": len(stores)},
    )


def sales_are_finite(spec: CheckSpec, sales: pd.DataFrame) -> CheckOutcome:
    """No amount is missing or infinite."""
    usd = sales["sales"].to_numpy()
    wrong = ~np.isfinite(usd)
    rows, missing = int(wrong.sum()), int(np.isnan(usd).sum())
    return judge(
        spec,
        sales,
        wrong,
        fine=f"{count(len(sales), 'row')}, {usd.sum():,.0f}",
        fault=f"{count(rows, 'row')} without a finite amount ({missing:,} missing), first {first_of(sales, wrong)}; "
        "expected an amount in every row",
        metrics={"rows": len(sales), "rows_missing": missing, "rows_infinite": rows - missing},
    )


def flags_agree_within_weeks(spec: CheckSpec, frame: pd.DataFrame) -> CheckOutcome:
    """All rows of a week carry the same holiday flag; the rows in the minority are the failing ones."""
    wrong, weeks, holidays = differs_from_its_week(frame)
    rows = int(wrong.sum())
    return judge(
        spec,
        frame,
        wrong,
        fine=f"{count(weeks, 'week')}, {holidays} of them holidays in every row",
        fault=f"{count(rows, 'row')} with another holiday flag than their week's, first {first_of(frame, wrong)}; "
        "expected one flag per week",
        metrics={"rows": len(frame), "rows_that_differ": rows, "holiday_weeks": holidays},
    )


def differs_from_its_week(frame: pd.DataFrame) -> tuple[NDArray[np.bool_], int, int]:
    """(n,) mask of the rows whose holiday flag is not the one most rows of their week carry; weeks; weeks with a flag.

    `frame` is sorted by week.
    """
    weeks, flags = frame["week"].to_numpy(), frame["is_holiday"].to_numpy()
    starts = run_starts([weeks])
    sizes = np.diff(starts, append=len(weeks))
    raised = np.add.reduceat(flags, starts, dtype=np.int64)
    dated = ~np.isnat(weeks[starts])
    usual = (raised > sizes / 2) & dated
    return flags != np.repeat(usual, sizes), int(dated.sum()), int((dated & (raised > 0)).sum())
