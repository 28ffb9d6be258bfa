"""Checks on one frame alone: columns and types, keys, Fridays, known stores, finite amounts, flags in a week. Pure."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.ingestion.formats import FORMATS, Kind
from demand_assets.ingestion.order import in_order, run_starts, sort_order
from demand_assets.ingestion.outcome import FIRST_ROWS, CheckOutcome, CheckSpec, count, first_of, judge
from demand_assets.ingestion.schemas import COLUMNS, schema_of

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
    fine = f"{count(len(frame), 'row')} of {expected}, typed and within range"
    if _is_right(frame, kind):
        return CheckOutcome(spec.name, True, spec.severity, fine, metrics)
    from pandera.errors import SchemaErrors

    frame = _counted(frame)
    try:
        with warnings.catch_warnings():
            # pandera joins its own reports of faults in a way pandas 2 warns about; the user can do nothing about it.
            warnings.filterwarnings("ignore", "The behavior of DataFrame concatenation", FutureWarning)
            schema_of(kind).validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
    else:
        return CheckOutcome(spec.name, True, spec.severity, fine, metrics)
    faults = []
    for (column, check), found in cases.groupby(["column", "check"], sort=False, dropna=False):
        by_row = found["index"].notna().sum()
        if check == "column_in_schema":
            faults += [f"unknown column {name}" for name in found["failure_case"]]
        else:
            rows = f" in {count(int(by_row), 'row')}, first" if by_row else ":"
            faults.append(f"{column} fails {check}{rows} {found['failure_case'].iloc[0]}")
    rows = pd.to_numeric(cases["index"], errors="coerce").dropna().astype("int64").drop_duplicates().sort_values()
    return CheckOutcome(
        spec.name,
        False,
        spec.severity,
        " ".join("; ".join(faults).split()),
        {**metrics, "faults": len(faults), "failing_rows": len(rows)},
        frame.iloc[rows.iloc[:FIRST_ROWS]].reset_index(drop=True),
    )


def _is_right(frame: pd.DataFrame, kind: Kind) -> bool:
    """Whether the frame keeps its schema, without pandera, which copies every frame; False where that is to judge."""
    columns = COLUMNS[kind]
    if set(frame.columns) != set(columns):
        return False
    for name, column in columns.items():
        values = frame[name]
        if column.dtype == "str" or values.dtype != column.dtype:
            return False
        array = values.to_numpy()
        if not column.nullable and array.dtype.kind in "fM" and values.hasnans:
            return False
        if column.check is None:
            continue
        rule, *limits = column.check
        if rule not in _RULES or not len(array):
            return False
        # NaN is what `nullable` is about: the range is that of the numbers.
        low, high = np.fmin.reduce(array), np.fmax.reduce(array)
        if not (np.isnan(low) or _RULES[rule](low, high, *limits)):
            return False
    return True


# A check of pandera's, told by the least and the greatest value.
_RULES: Mapping[str, Callable[..., bool]] = {
    "ge": lambda low, high, least: bool(low >= least),
    "gt": lambda low, high, below: bool(low > below),
    "in_range": lambda low, high, least, most: bool(low >= least and high <= most),
}


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
        fine=f"{count(len(sales), 'row')}, {usd.sum():,.0f} USD",
        fault=f"{count(rows, 'row')} without a finite amount ({missing:,} missing), first {first_of(sales, wrong)}; "
        "expected USD in every row",
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
