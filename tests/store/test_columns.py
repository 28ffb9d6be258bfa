"""Publishing by column against publishing row by row: the plain way is the reference for every answer."""

from __future__ import annotations

import struct
import subprocess
import sys
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import Engine, select

from demand_assets.errors import StoreError
from demand_assets.store.columns import canonical_columns
from demand_assets.store.publish import publish_actuals, publish_vintage
from demand_assets.store.rows import ACTUAL, FORECAST, REASON, TOTAL, CanonicalRows, Check, canonical, content_hash
from demand_assets.store.tables import actuals, forecast_reasons, forecast_totals, forecasts
from tests.store.test_publish import REASONS, RECORD, ROWS, TOTALS, WEEKS, stored

SERIES_WEEK = ("store_id", "dept_id", "target_week")
KINDS = {"store_id": pa.int32(), "dept_id": pa.int32(), "target_week": pa.date32(), "level": pa.string()}


def as_table(rows: list[tuple[Any, ...]], columns: dict[str, Check]) -> pa.Table:
    numbers = {"horizon": pa.int64(), "series": pa.int64()}
    types = [KINDS.get(name, numbers.get(name, pa.float64())) for name in columns]
    values = list(zip(*rows, strict=True))
    # An amount that is no number arrives from a frame as null.
    return pa.table(
        {
            name: pa.array(values[place], types[place], from_pandas=name != "order_quantity")
            for place, name in enumerate(columns)
        }
    )


def many(count: int = 70_000) -> list[tuple[Any, ...]]:
    """More rows than one block, unsorted, with every kind of number that a text form could get wrong."""
    draw = np.random.default_rng(5)
    odd = [
        0.0,
        -0.0,
        0.1,
        1 / 3,
        1e-4,
        9.9e-5,
        1e10,
        12345678901.25,
        9999999999.99,
        1e16,
        1e22,
        -5e-324,
        1.7e308,
        100.0,
    ]
    usd = np.concatenate([odd, np.round(draw.lognormal(9, 2, count - 14), 2), -draw.lognormal(0, 8, 5 * count)])
    draw.shuffle(usd)
    series = draw.permutation(count // 2)
    return [
        (
            int(series[at // 2]) // 80,
            int(series[at // 2]) % 80,
            WEEKS[at % 2],
            at % 2 + 1,
            *usd[4 * at : 4 * at + 4].tolist(),
            None if at % 7 == 0 else float(usd[-at]),
        )
        for at in range(count)
    ]


def test_columns_have_the_rows_the_hash_and_the_weeks_of_rows() -> None:
    rows = many()
    plain = canonical(rows, FORECAST, SERIES_WEEK, "forecasts")
    fast = canonical_columns(as_table(rows, FORECAST), FORECAST, SERIES_WEEK, "forecasts")
    assert fast.rows() == plain
    assert fast.content_hash() == content_hash(plain)
    assert fast.pairs("target_week", "horizon") == {(week.isoformat(), at) for at, week in enumerate(WEEKS, 1)}
    assert fast.keys() == [row[:3] for row in plain]
    again = canonical_columns(as_table(sorted(rows, key=lambda row: row[:3]), FORECAST), FORECAST, SERIES_WEEK, "x")
    assert again.has_keys_of(fast)
    assert not again.has_keys_of(canonical_columns(as_table(rows[1:], FORECAST), FORECAST, SERIES_WEEK, "x"))


def test_no_row_is_lost_where_one_block_ends_and_the_next_begins() -> None:
    rows = [(store, 3, WEEKS[0], 1, 0.5, 1.0, 2.0, 3.0, None) for store in range(2**15 + 1)]
    fast = canonical_columns(as_table(rows, FORECAST), FORECAST, SERIES_WEEK, "forecasts")
    plain = canonical(rows, FORECAST, SERIES_WEEK, "forecasts")
    assert [row for block in fast.blocks() for row in block] == plain
    assert b"".join(fast.copied(forecasts, "v-1")) == plain_copy(plain, "v-1")


def plain_copy(rows: list[Any], vintage_id: str) -> bytes:
    """Forecasts in the binary form of COPY, one by one; test_the_binary_form_is_that_of_the_manual has its parts."""
    sent = [b"PGCOPY\n\xff\r\n\0", bytes(8)]
    for store, dept, week, horizon, *usd in rows:
        days = (date.fromisoformat(week) - date(2000, 1, 1)).days
        sent.append(struct.pack(">hi", 10, len(vintage_id)) + vintage_id.encode())
        sent.append(struct.pack(">iiiiiiih", 4, store, 4, dept, 4, days, 2, horizon))
        sent += [struct.pack(">i", -1) if each is None else struct.pack(">id", 8, each) for each in usd]
    return b"".join([*sent, struct.pack(">h", -1)])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_as_many_rows_of_other_keys_are_not_the_same_keys(place: int) -> None:
    key = (WEEKS[1], 9, 9)[::-1][place]
    other = [*REASONS[:2], (*REASONS[2][:place], key, *REASONS[2][place + 1 :])]
    fast, same, wrong = (
        canonical_columns(as_table(rows, columns), columns, SERIES_WEEK, "x")
        for rows, columns in ((ROWS, FORECAST), (REASONS, REASON), (other, REASON))
    )
    plain = CanonicalRows(REASON, SERIES_WEEK, canonical(other, REASON, SERIES_WEEK, "x"))
    assert same.has_keys_of(fast)
    assert not wrong.has_keys_of(fast)
    assert not fast.has_keys_of(plain)
    assert not plain.has_keys_of(fast)


@pytest.mark.parametrize(
    "numbers",
    [
        np.random.default_rng(1).integers(0, 2**63, 100_000).view(np.float64),
        np.random.default_rng(2).uniform(-1e10, 1e10, 100_000),
        10.0 ** np.arange(-30, 30),
        np.nextafter(10.0 ** np.arange(-30, 30), 0),
    ],
    ids=["any bits", "amounts", "powers of ten", "just below them"],
)
def test_numbers_are_hashed_as_python_writes_them(numbers: Any) -> None:
    numbers = numbers[np.isfinite(numbers)]
    columns: dict[str, Check] = {"store_id": FORECAST["store_id"], "usd": FORECAST["forecast"]}
    table = pa.table({"store_id": pa.array(np.arange(len(numbers))), "usd": pa.array(numbers)})
    plain = list(enumerate((numbers + 0.0).tolist()))
    assert canonical_columns(table, columns, ("store_id",), "x").content_hash() == content_hash(plain)


def test_tables_of_columns_are_stored_as_rows_are(engine: Engine) -> None:
    rows = many(300)
    reasons = [(*row[:3], *row[4:8], 1.0, -0.5, 2.0) for row in rows]
    totals = [*TOTALS, ("departments ä", 0, 5, WEEKS[0], 1, 1.5, None, None, None, 3)]
    tables = (as_table(rows, FORECAST), as_table(totals, TOTAL), as_table(reasons, REASON))
    if engine.dialect.name == "sqlite":
        rowwise = publish_vintage(engine, RECORD, rows, totals, reasons)
        assert publish_vintage(engine, RECORD, *tables) == type(rowwise)(rowwise.vintage_id, False, 300)
        return
    made = publish_vintage(engine, RECORD, *tables)
    assert (made.inserted, made.rows) == (True, 300)
    assert publish_vintage(engine, RECORD, rows, totals, reasons).inserted is False
    with engine.connect() as connection:
        for table, given in ((forecasts, rows), (forecast_totals, totals), (forecast_reasons, reasons)):
            found = connection.execute(select(table)).all()
            assert sorted(map(repr, found)) == sorted(
                repr((made.vintage_id, *(0.0 if value == 0 and isinstance(value, float) else value for value in row)))
                for row in given
            )


def test_both_ways_are_one_vintage(engine: Engine) -> None:
    first = publish_vintage(engine, RECORD, as_table(ROWS, FORECAST))
    assert publish_vintage(engine, RECORD, ROWS[::-1], TOTALS, as_table(REASONS, REASON)).vintage_id == first.vintage_id
    found = stored(engine)
    assert (found["forecasts"], found["forecast_totals"], found["forecast_reasons"]) == (3, 3, 3)


@pytest.mark.parametrize(
    "rows",
    [
        [ROWS[0], ROWS[1], ROWS[0]],
        [ROWS[0], (1, 4, WEEKS[0], 1, float("nan"), 1.0, 1.0, 1.0, None)],
        [(1, 3, WEEKS[0], 1, 1.0, 1.0, 1.0, float("inf"), None)],
        [(1, 3, WEEKS[0], 1, 1.0, 1.0, 1.0, 1.0, float("nan"))],
        [(1, 3, WEEKS[0], 1, 1.0, 1.0, 1.0, 1.0, float("-inf"))],
        [ROWS[0], (1, 3, WEEKS[0], 2, 1.0, 1.0, 1.0, 1.0, None)],
        [(1, 3, WEEKS[1], 1, 1.0, 1.0, 1.0, 1.0, None)],
        [(1, 3, date(2012, 11, 1), 1, 1.0, 1.0, 1.0, 1.0, None)],
        [(-1, 3, WEEKS[0], 1, 1.0, 1.0, 1.0, 1.0, None)],
    ],
)
def test_what_is_wrong_is_said_as_for_rows(engine: Engine, rows: list[Any]) -> None:
    with pytest.raises(StoreError) as plain:
        publish_vintage(engine, RECORD, rows)
    with pytest.raises(StoreError) as fast:
        publish_vintage(engine, RECORD, as_table(rows, FORECAST))
    assert str(fast.value) == str(plain.value)


def _with(**columns: Any) -> pa.Table:
    table = as_table(ROWS, FORECAST)
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, column)
    return table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (as_table(ROWS, FORECAST).drop_columns(["horizon"]), r"expected rows of 9 values .*, got \[8\]"),
        (as_table(ROWS, FORECAST)[:0], "got no rows"),
        (_with(target_week=pa.array([datetime(2012, 11, 2)] * 3)), "target_week must be a date, got datetime"),
        (_with(target_week=pa.array([WEEKS[0], None, WEEKS[0]])), "target_week must be a date, got NoneType"),
        (_with(store_id=pa.array([1.0, 1.5, 2.0])), "store_id must be an integer from 0 to 2147483647, got 1.5"),
        (_with(store_id=pa.array([1, 2**31, 2])), "store_id must be an integer from 0 to 2147483647, got 2147483648"),
        (_with(store_id=pa.array(["1", "1", "2"])), "store_id must be an integer|store_id cannot be of type string"),
        (_with(p10=pa.array(["a", "b", "c"])), "p10 must be could not convert"),
    ],
)
def test_a_table_that_breaks_the_contract_is_refused(engine: Engine, table: pa.Table, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        publish_vintage(engine, RECORD, table)


def test_an_empty_level_and_a_nul_are_refused() -> None:
    for level in ("", "a\0b", None):
        table = as_table([(level, *TOTALS[0][1:])], TOTAL)
        with pytest.raises(StoreError, match="level must be a text, got"):
            canonical_columns(table, TOTAL, ("level", *SERIES_WEEK), "forecast totals")


def test_the_binary_form_is_that_of_the_manual() -> None:
    """One row by hand: count of fields, then length and big-endian value of each; NULL is a length of -1."""
    columns = canonical_columns(as_table(ROWS[1:2], FORECAST), FORECAST, SERIES_WEEK, "forecasts")
    days = (WEEKS[1] - date(2000, 1, 1)) // timedelta(days=1)
    row = struct.pack(">hi3siiiiiiih", 10, 3, b"v-1", 4, 1, 4, 3, 4, days, 2, 2)
    row += b"".join(struct.pack(">id", 8, usd) for usd in ROWS[1][4:8]) + struct.pack(">i", -1)
    header = b"PGCOPY\n\xff\r\n\0" + bytes(8)
    assert b"".join(columns.copied(forecasts, "v-1")) == header + row + struct.pack(">h", -1)


def test_a_reader_of_the_store_needs_no_arrays() -> None:
    code = "import sys, demand_assets.store.publish; print({'numpy', 'pyarrow', 'pandas'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_actuals_as_columns_are_those_of_rows_and_a_flag_is_true_or_false() -> None:
    rows = [(2, 1, WEEKS[0], -3.5, True), (1, 7, WEEKS[1], 0.0, False), (1, 7, WEEKS[0], 12.25, True)]
    names, key = list(ACTUAL), ("store_id", "dept_id", "week")
    table = pa.table({name: [row[place] for row in rows] for place, name in enumerate(names)})
    assert canonical_columns(table, ACTUAL, key, "actuals").rows() == canonical(rows, ACTUAL, key, "actuals")
    for wrong in ([True, None, False], [1, 0, 1], ["yes", "no", "no"]):
        with pytest.raises(StoreError, match=r"actuals: .*is_holiday"):
            canonical_columns(table.set_column(4, "is_holiday", [wrong]), ACTUAL, key, "actuals")


def test_actuals_of_columns_correct_those_that_are_there(engine: Engine) -> None:
    rows = [(2, 1, WEEKS[0], -3.5, True), (1, 7, WEEKS[1], 0.0, False), (1, 7, WEEKS[0], 12.25, True)]
    changed = [rows[0], (1, 7, WEEKS[1], 0.0, True), (1, 7, WEEKS[0], 12.5, True), (1, 8, WEEKS[0], 1.0, False)]

    def table(given: list[Any]) -> pa.Table:
        return pa.table({name: [row[place] for row in given] for place, name in enumerate(ACTUAL)})

    assert publish_actuals(engine, table(rows)) == 3
    assert publish_actuals(engine, table(rows)) == 0
    assert publish_actuals(engine, table(changed)) == 3
    with engine.connect() as connection:
        assert sorted(map(tuple, connection.execute(select(actuals)))) == sorted(changed)
