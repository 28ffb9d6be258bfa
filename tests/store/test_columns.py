"""Columns on their way into the store, against plain Python doing the same row by row."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import Engine, func, select

from demand_assets.contract.columns import Table, Type
from demand_assets.contract.store import ACTUALS, FORECAST_ATTRIBUTIONS, FORECAST_TOTALS, FORECASTS
from demand_assets.errors import StoreError
from demand_assets.store.blocks import binary_blocks, keyed, sqlite_blocks
from demand_assets.store.columns import columns_of
from demand_assets.store.dimensions import natural, shown
from demand_assets.store.publish import publish_actuals, publish_conditions, publish_vintage
from demand_assets.store.tables import (
    actuals,
    departments,
    forecast_attributions,
    forecast_totals,
    forecasts,
    store_conditions,
    stores,
)
from tests.store.test_publish import RECORD, ROWS, TOTALS, WEEKS, WHY, stored

FORECAST, TOTAL, WHY_COLUMNS = (
    table.without("vintage_id") for table in (FORECASTS, FORECAST_TOTALS, FORECAST_ATTRIBUTIONS)
)
ARROW = {Type.SMALL: pa.int64(), Type.INTEGER: pa.int64(), Type.NUMBER: pa.float64(), Type.WEEK: pa.date32()}


def as_table(rows: list[tuple[Any, ...]], table: Table) -> pa.Table:
    """As a frame gives them: NaN is null but in the order quantity."""
    values = list(zip(*rows, strict=True))
    return pa.table(
        {
            column.name: pa.array(
                values[place], ARROW.get(column.type, pa.string()), from_pandas=column.name != "order_quantity"
            )
            for place, column in enumerate(table.columns)
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
            f"S-{int(series[at // 2]) // 80}",
            str(int(series[at // 2]) % 80),
            WEEKS[at % 2],
            at % 2 + 1,
            *usd[4 * at : 4 * at + 4].tolist(),
            None if at % 7 == 0 else float(usd[-at]),
        )
        for at in range(count)
    ]


def plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows in canonical form: sorted by key, weeks in ISO, no negative zero."""
    ordered = sorted(rows, key=lambda row: (natural(row[0]), natural(row[1]), row[2]))
    return [
        (row[0], row[1], row[2].isoformat(), *(None if value is None else value + 0 for value in row[3:]))
        for row in ordered
    ]


def test_people_count_two_before_ten() -> None:
    ids = ["10", "2", "B-10", "02", "b-2", "B-2", "0", "2a", "", "B"]
    assert sorted(ids, key=natural) == ["", "0", "02", "2", "2a", "10", "B", "B-2", "B-10", "b-2"]


def test_columns_are_checked_sorted_and_counted() -> None:
    rows = many()
    fast = columns_of(as_table(rows, FORECAST), FORECAST)
    assert [row for block in sqlite_blocks(fast) for row in block] == plain(rows)
    assert fast.pairs("target_week", "horizon") == {(week.isoformat(), at) for at, week in enumerate(WEEKS, 1)}
    again = columns_of(as_table(rows[::-1], FORECAST), FORECAST)
    assert again.has_keys_of(fast)
    assert not again.has_keys_of(columns_of(as_table(rows[1:], FORECAST), FORECAST))


def test_a_hash_is_of_the_content_and_nothing_else() -> None:
    rows = [("10", *ROWS[0][1:]), *ROWS]
    hashed = columns_of(rows, FORECAST).content_hash()
    dictionary = as_table(rows, FORECAST)
    # A dictionary in another order, with a text that no row has, and one twice.
    texts = pa.DictionaryArray.from_arrays(pa.array([4, 0, 2, 1]), pa.array(["1", "2", "1", "unused", "10"]))
    narrow = pa.array([1, 1, 2, 1], pa.int8())
    same = [
        columns_of(rows[::-1], FORECAST),
        columns_of(dictionary.select(sorted(FORECAST.names)), FORECAST),
        columns_of(dictionary.set_column(0, "store_id", texts).set_column(3, "horizon", narrow), FORECAST),
        columns_of([(*row[:8], -0.0 if row[8] == 0 else row[8]) for row in rows], FORECAST),
    ]
    assert {each.content_hash() for each in same} == {hashed}
    changed = ["9", "4", WEEKS[1], 3, 0.1, 0.1, 0.1, 0.1, 0.1]
    other = [[(*rows[0][:place], value, *rows[0][place + 1 :]), *rows[1:]] for place, value in enumerate(changed)]
    assert len({columns_of(each, FORECAST).content_hash() for each in other} | {hashed}) == 10
    nothing = [[(*row[:8], value) for row in rows] for value in (None, 0.0)]
    assert len({columns_of(each, FORECAST).content_hash() for each in nothing}) == 2


def plain_copy(rows: list[Any]) -> bytes:
    """Forecasts in the binary form of COPY, one by one; test_the_binary_form_is_that_of_the_manual has its parts."""
    sent = [b"PGCOPY\n\xff\r\n\0", bytes(8)]
    for store, dept, week, horizon, *amounts in rows:
        days = (date.fromisoformat(week) - date(2000, 1, 1)).days
        sent.append(struct.pack(">h", 9))
        sent.append(struct.pack(">iiiiiiih", 4, int(store), 4, int(dept), 4, days, 2, horizon))
        sent += [struct.pack(">i", -1) if each is None else struct.pack(">id", 8, each) for each in amounts]
    return b"".join([*sent, struct.pack(">h", -1)])


def test_no_row_is_lost_where_one_block_ends_and_the_next_begins() -> None:
    rows = [(str(store), "3", WEEKS[0], 1, 0.5, 1.0, 2.0, 3.0, None) for store in range(2**15 + 1)]
    fast = columns_of(rows, FORECAST)
    keys = {name: {text: int(text) for text in fast.texts(name)} for name in ("store_id", "dept_id")}
    assert [row for block in sqlite_blocks(fast) for row in block] == plain(rows)
    assert b"".join(binary_blocks(keyed(fast, keys))) == plain_copy(plain(rows))


def test_the_binary_form_is_that_of_the_manual() -> None:
    """Rows by hand: count of fields, then length and big-endian value of each; NULL is a length of -1."""
    table = Table("t", "", tuple(FORECAST_TOTALS.column(name) for name in ("level", "store_id", "target_week", "p10")))
    rows = [("chain", None, WEEKS[0], None), ("store ä", "7", WEEKS[1], 0.5)]
    keys = {"store_id": {"7": 3}}
    first, second = ((week - date(2000, 1, 1)) // timedelta(days=1) for week in WEEKS)
    assert b"".join(binary_blocks(keyed(columns_of(rows, table), keys))) == b"".join(
        [
            b"PGCOPY\n\xff\r\n\0" + bytes(8),
            struct.pack(">hi5siiiii", 4, 5, b"chain", 4, 0, 4, first, -1),
            struct.pack(">hi8siiiiid", 4, 8, "store ä".encode(), 4, 3, 4, second, 8, 0.5),
            struct.pack(">h", -1),
        ]
    )


@pytest.mark.parametrize("place", [0, 1, 2])
def test_as_many_rows_of_other_keys_are_not_the_same_keys(place: int) -> None:
    key = (WEEKS[1], "9", "9")[::-1][place]
    other = [*WHY[:2], (*WHY[2][:place], key, *WHY[2][place + 1 :])]
    given = columns_of(ROWS, FORECAST)
    assert columns_of(WHY, WHY_COLUMNS).has_keys_of(given)
    assert not columns_of(other, WHY_COLUMNS).has_keys_of(given)


def test_what_is_published_is_what_is_stored(engine: Engine) -> None:
    rows = many(300)
    why = [(*row[:3], *row[4:8], 1.0, -0.5, 2.0) for row in rows]
    totals = [*TOTALS, ("departments ä", None, "5", WEEKS[0], 1, 1.5, None, None, None, 3)]
    made = publish_vintage(
        engine, RECORD, as_table(rows, FORECAST), as_table(totals, TOTAL), as_table(why, WHY_COLUMNS)
    )
    assert (made.inserted, made.rows) == (True, 300)
    assert publish_vintage(engine, RECORD, rows, totals, why) == type(made)(made.vintage_id, False, 300)
    with engine.connect() as connection:
        for table, given in ((forecasts, rows), (forecast_totals, totals), (forecast_attributions, why)):
            found = connection.execute(select(*shown(table))).all()
            assert sorted(map(repr, found)) == sorted(
                repr((made.vintage_id, *(0.0 if value == 0 and isinstance(value, float) else value for value in row)))
                for row in given
            )


def test_ids_get_keys_in_their_natural_order_and_keep_them(engine: Engine) -> None:
    def publish(*ids: str) -> None:
        publish_vintage(engine, RECORD, [(each, "0", WEEKS[0], 1, 1.0, 1.0, 1.0, 1.0, None) for each in ids])

    publish("10", "2", "0")
    publish("A", "1", "10")
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(select(stores.c.store_key, stores.c.store_id))]
        assert sorted(found) == [(1, "0"), (2, "2"), (3, "10"), (4, "1"), (5, "A")]
        assert connection.execute(select(departments.c.dept_key, departments.c.dept_id)).one() == (1, "0")


def test_publishers_of_other_tables_agree_on_the_keys_of_new_ids(engine: Engine) -> None:
    ids = [str(number) for number in range(200)]
    publish: list[Callable[[], int]] = [
        lambda: publish_actuals(engine, [(each, "1", WEEKS[0], 1.0, False) for each in ids]),
        lambda: publish_conditions(engine, [(each, WEEKS[0], False, *[None] * 4) for each in ids[::-1]]),
    ]
    with ThreadPoolExecutor(2) as pool:
        assert [each.result() for each in [pool.submit(one) for one in publish]] == [200, 200]
    with engine.connect() as connection:
        assert connection.execute(select(func.count(), func.max(stores.c.store_key)).select_from(stores)).one() == (
            200,
            200,
        )
        pairs = (
            select(func.count())
            .select_from(actuals)
            .join(store_conditions, store_conditions.c.store_key == actuals.c.store_key)
        )
        assert connection.execute(pairs).scalar_one() == 200


def test_an_id_of_a_vintage_does_not_depend_on_the_keys_of_a_store(engine: Engine) -> None:
    first = publish_vintage(engine, RECORD, ROWS)
    publish_actuals(engine, [("00", "0", WEEKS[0], 1.0, False)])
    assert publish_vintage(engine, RECORD, ROWS[::-1], TOTALS, as_table(WHY, WHY_COLUMNS)).vintage_id == (
        first.vintage_id
    )
    found = stored(engine)
    assert (found["forecasts"], found["forecast_totals"], found["forecast_attributions"]) == (3, 3, 3)


def _with(**columns: Any) -> pa.Table:
    table = as_table(ROWS, FORECAST)
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, column)
    return table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (as_table(ROWS, FORECAST).drop_columns(["horizon"]), "forecasts: expected the columns store_id, .*, got "),
        (as_table(ROWS, FORECAST)[:0], "got no rows"),
        (_with(target_week=pa.array([datetime(2012, 11, 2)] * 3)), r"a date, got .* of type timestamp\[us\]"),
        (_with(target_week=pa.array([WEEKS[0], None, WEEKS[0]])), "target_week must be a date, got None"),
        (_with(store_id=pa.array([1, 1, 2])), "store_id must be a text, got 1 of type int64"),
        (_with(store_id=pa.array(["1", "1", None])), "store_id must be a text, got None"),
        (_with(p10=pa.array(["a", "b", "c"])), "p10 must be a finite number, got 'a' of type string"),
        (_with(p10=pa.array([1.0, None, 2.0])), "p10 must be a finite number, got None"),
        (_with(order_quantity=pa.array([1.0, None, float("nan")])), "order_quantity must be a finite number, got nan"),
        (_with(horizon=pa.array([1.0, 2.5, 1.0])), "horizon must be an integer from 0 to 32767, got 2.5"),
        (_with(horizon=pa.array([1, None, 1])), "horizon must be an integer from 0 to 32767, got None"),
    ],
)
def test_a_table_that_breaks_the_contract_is_refused(engine: Engine, table: pa.Table, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        publish_vintage(engine, RECORD, table)


@pytest.mark.parametrize("level", ["", "a\0b", None])
def test_an_empty_level_and_a_nul_are_refused(level: Any) -> None:
    with pytest.raises(StoreError, match="forecast_totals: level must be a text, got"):
        columns_of(as_table([(level, *TOTALS[0][1:])], TOTAL), TOTAL)


@pytest.mark.parametrize("flags", [[True, None, False], [1, 0, 1], ["yes", "no", "no"]])
def test_a_flag_of_a_column_is_true_or_false(flags: list[Any]) -> None:
    rows = [("2", "1", WEEKS[0], -3.5, True), ("1", "7", WEEKS[1], 0.0, False), ("1", "7", WEEKS[0], 12.25, True)]
    table = pa.table({name: [row[place] for row in rows] for place, name in enumerate(ACTUALS.names)})
    with pytest.raises(StoreError, match="actuals: is_holiday must be true or false"):
        columns_of(table.set_column(4, "is_holiday", [flags]), ACTUALS)


def test_a_reader_of_the_store_needs_no_arrays() -> None:
    code = (
        "import sys, demand_assets.store.overrides, demand_assets.store.keys, demand_assets.store.ledger;"
        "from demand_assets.store.reads import accuracy, decisions, forecasts, overrides, series;"
        "print({'numpy', 'pyarrow', 'pandas'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_actuals_of_columns_correct_those_that_are_there(engine: Engine) -> None:
    rows = [("2", "1", WEEKS[0], -3.5, True), ("1", "7", WEEKS[1], 0.0, False), ("1", "7", WEEKS[0], 12.25, True)]
    changed = [
        rows[0],
        ("1", "7", WEEKS[1], 0.0, True),
        ("1", "7", WEEKS[0], 12.5, True),
        ("1", "8", WEEKS[0], 1.0, False),
    ]

    def table(given: list[Any]) -> pa.Table:
        return pa.table({name: [row[place] for row in given] for place, name in enumerate(ACTUALS.names)})

    assert publish_actuals(engine, table(rows)) == 3
    assert publish_actuals(engine, table(rows)) == 0
    assert publish_actuals(engine, table(changed)) == 3
    with engine.connect() as connection:
        assert sorted(map(tuple, connection.execute(select(*shown(actuals))))) == sorted(changed)
