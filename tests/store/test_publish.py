from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from demand_assets.errors import StoreError
from demand_assets.store import queries
from demand_assets.store.dimensions import shown
from demand_assets.store.engine import create_engine_for
from demand_assets.store.publish import (
    VintageRecord,
    forecast_hash,
    publish_accuracy,
    publish_actuals,
    publish_conditions,
    publish_exceptions,
    publish_vintage,
    vintage_id_for,
)
from demand_assets.store.reads import forecasts as reads
from demand_assets.store.tables import forecast_attributions, forecast_totals
from tests.store.conftest import latest_forecast
from tests.waiting import until

ORIGIN = date(2012, 10, 26)
WEEKS = [ORIGIN + timedelta(weeks=ahead) for ahead in (1, 2)]
RECORD = VintageRecord(
    ORIGIN, 2, "demand_forecaster", "7", "data-1", "0.1.0", datetime(2012, 10, 27, 6, tzinfo=UTC), "USD"
)
ROWS: list[tuple[Any, ...]] = [
    ("1", "3", WEEKS[0], 1, 100.0, 80.0, 99.0, 130.0, 120.0),
    ("1", "3", WEEKS[1], 2, 110.0, 85.0, 109.0, 140.0, None),
    ("2", "3", WEEKS[0], 1, -5.0, -9.0, -5.0, 0.0, 0.0),
]

TOTALS: list[tuple[Any, ...]] = [
    ("chain", None, None, WEEKS[0], 1, 95.0, 71.0, 94.0, 130.0, 2),
    ("chain", None, None, WEEKS[1], 2, 110.0, None, None, None, 1),
    ("store", "1", None, WEEKS[0], 1, 100.0, 80.0, 99.0, 130.0, 1),
]
WHY: list[tuple[Any, ...]] = [(*row[:3], row[4] - 6.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0) for row in ROWS]

CHILD = """
import sys, dataclasses
from datetime import UTC, date, datetime
from demand_assets.store.engine import create_engine_for
from demand_assets.store.publish import VintageRecord, publish_vintage
from tests.store.conftest import latest_forecast
keys = [(str(s), str(d)) for s in range(1, int(sys.argv[2])) for d in range(300)]
rows = [(*key, date(2012, 11, 2), 1, 1.5, 1.0, 1.5, 2.0, None) for key in keys]
record = VintageRecord(date(2012, 10, 26), 1, "m", "1", "d", "c", datetime(2012, 10, 27, tzinfo=UTC), "USD")
print("ready", flush=True)
sys.stdin.readline()
print(publish_vintage(create_engine_for(sys.argv[1]), record, rows).inserted)
"""


def child(url: str, stores: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, url, str(stores + 1)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def stored(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return queries.counts(connection)


def test_the_same_content_is_published_once(engine: Engine) -> None:
    first = publish_vintage(engine, RECORD, ROWS)
    later = replace(RECORD, published_at=RECORD.published_at + timedelta(days=1))
    again = publish_vintage(engine, later, ROWS[::-1])
    assert (first.inserted, again.inserted) == (True, False)
    assert first.vintage_id == again.vintage_id
    assert {table: rows for table, rows in stored(engine).items() if rows} == {
        "stores": 2,
        "departments": 1,
        "forecast_vintages": 1,
        "forecasts": 3,
    }


def test_totals_and_attributions_come_with_their_vintage(engine: Engine) -> None:
    bare = vintage_id_for(RECORD, forecast_hash(ROWS))
    published = publish_vintage(engine, RECORD, ROWS, TOTALS[::-1], WHY[::-1])
    assert published.vintage_id == bare
    again = publish_vintage(engine, RECORD, ROWS, [(*TOTALS[0][:5], 1.0, *TOTALS[0][6:])], WHY)
    assert again.inserted is False
    with engine.connect() as connection:
        totals = connection.execute(select(*shown(forecast_totals))).all()
        why = connection.execute(select(*shown(forecast_attributions))).all()
    assert sorted(totals, key=repr) == sorted(((bare, *row) for row in TOTALS), key=repr)
    assert sorted(why) == sorted((bare, *row) for row in WHY)


def test_a_vintage_without_totals_and_attributions_gets_them_once(engine: Engine) -> None:
    publish_vintage(engine, RECORD, ROWS)
    assert publish_vintage(engine, RECORD, ROWS, TOTALS, WHY).inserted is False
    found = stored(engine)
    assert (found["forecasts"], found["forecast_totals"], found["forecast_attributions"]) == (3, 3, 3)


def test_without_its_totals_or_attributions_there_is_no_vintage(engine: Engine) -> None:
    with pytest.raises(StoreError, match="got 2012-11-02 with horizon 2"):
        publish_vintage(engine, RECORD, ROWS, [(*TOTALS[0][:4], 2, *TOTALS[0][5:])], WHY)
    with pytest.raises(StoreError, match="expected one row of attributions per forecast, got 2 for 3 forecasts"):
        publish_vintage(engine, RECORD, ROWS, TOTALS, WHY[:2])
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE forecast_attributions"))
    with pytest.raises(StoreError, match="forecast_attributions"):
        publish_vintage(engine, RECORD, ROWS, TOTALS, WHY)
    with engine.connect() as connection:
        tables = ("stores", "departments", "forecast_vintages", "forecasts", "forecast_totals")
        assert queries.counts(connection, *tables) == dict.fromkeys(tables, 0)


def test_every_part_of_its_identity_makes_another_vintage_id() -> None:
    changed: dict[str, Any] = {
        "origin_week": WEEKS[0], "horizon_weeks": 3, "method": "x", "model_version": "x", "data_version": "x",
        "code_version": "x", "unit": "EUR", "kind": "scenario",
    }  # fmt: skip
    ids = {vintage_id_for(RECORD, "hash"), vintage_id_for(RECORD, "other")}
    ids |= {vintage_id_for(replace(RECORD, **{name: value}), "hash") for name, value in changed.items()}
    assert len(ids) == 2 + len(changed)
    later = replace(RECORD, published_at=RECORD.published_at + timedelta(days=1))
    assert vintage_id_for(later, "hash") == vintage_id_for(RECORD, "hash")


def test_new_content_is_a_new_vintage_and_the_old_one_stays(engine: Engine) -> None:
    old = publish_vintage(engine, RECORD, ROWS)
    later = replace(RECORD, published_at=RECORD.published_at + timedelta(hours=1))
    new = publish_vintage(engine, later, [("1", "3", WEEKS[0], 1, 101.0, 80.0, 99.0, 130.0, 120.0)])
    with engine.connect() as connection:
        newest = latest_forecast(connection, "1", "3", WEEKS[0])
        kept = queries.forecasts_for(connection, old.vintage_id, WEEKS[0])
        covering = queries.vintages_covering(connection, WEEKS[1])
        assert queries.vintages_covering(connection, ORIGIN) == []
        assert list(connection.execute(reads.weeks_forecast("1", "3")).scalars()) == WEEKS
        assert connection.execute(reads.store_exists("2", "3")).all()
        assert not connection.execute(reads.store_exists("3", "3")).all()
    assert newest is not None
    assert (newest["vintage_id"], newest["forecast"]) == (new.vintage_id, 101.0)
    assert newest["published_at"] == later.published_at
    assert [(row["store_id"], row["forecast"], row["order_quantity"]) for row in kept] == [
        ("1", 100.0, 120.0),
        ("2", -5.0, 0.0),
    ]
    assert [row["vintage_id"] for row in covering] == [new.vintage_id, old.vintage_id]


def test_a_later_origin_wins_over_a_later_publication(engine: Engine) -> None:
    next_week = replace(RECORD, origin_week=WEEKS[0])
    newer = publish_vintage(engine, next_week, [("1", "3", WEEKS[1], 1, 1.0, 1.0, 1.0, 1.0, None)])
    publish_vintage(engine, replace(RECORD, published_at=RECORD.published_at + timedelta(days=30)), ROWS)
    with engine.connect() as connection:
        found = latest_forecast(connection, "1", "3", WEEKS[1])
        vintage = queries.newest_vintage(connection)
    assert found is not None
    assert vintage is not None
    assert found["vintage_id"] == vintage["vintage_id"] == newer.vintage_id


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "got no rows"),
        (
            [ROWS[0], ROWS[0]],
            "forecasts: expected one row per .*, got store_id 1, dept_id 3, target_week 2012-11-02 more than once",
        ),
        ([("1", "3", WEEKS[0], 1, float("nan"), 1.0, 1.0, 1.0, None)], "forecast must be a finite number, got nan"),
        ([("1", "3", WEEKS[0], 1, 1.0, 1.0, 1.0, float("inf"), None)], "p90 must be a finite number, got inf"),
        ([("1", "3", WEEKS[0], 2, 1.0, 1.0, 1.0, 1.0, None)], "got 2012-11-02 with horizon 2"),
        (
            [("1", "3", date(2012, 11, 1), 1, 1.0, 1.0, 1.0, 1.0, None)],
            "after origin 2012-10-26, got 2012-11-01 with horizon 1",
        ),
        ([(1, "3", WEEKS[0], 1, 1.0, 1.0, 1.0, 1.0, None)], "store_id must be a text, got 1 of type int64"),
        ([("1", "", WEEKS[0], 1, 1.0, 1.0, 1.0, 1.0, None)], "dept_id must be a text, got ''"),
        ([("1", None, WEEKS[0], 1, 1.0, 1.0, 1.0, 1.0, None)], "dept_id must be a text, got None"),
        ([("1" * 201, "3", WEEKS[0], 1, 1.0, 1.0, 1.0, 1.0, None)], "store_id must be a text of 1 to 200 characters"),
        ([("1\t2", "3", WEEKS[0], 1, 1.0, 1.0, 1.0, 1.0, None)], "store_id must be .* control character, got '1.t2'"),
        ([("1", "3", WEEKS[0])], "expected rows of 9 values"),
        ([ROWS[0], ("1", "4", WEEKS[0])], "expected rows of 9 values .*, got \\[3, 9\\]"),
        ([("1", "3", WEEKS[0], 2**15, 1.0, 1.0, 1.0, 1.0, None)], "horizon must be an integer from 0 to 32767"),
        ([("1", "3", WEEKS[0], -1, 1.0, 1.0, 1.0, 1.0, None)], "horizon must be an integer"),
        ([("1", "3", WEEKS[0], 1.5, 1.0, 1.0, 1.0, 1.0, None)], "horizon must be an integer"),
        ([ROWS[0], (1.5, *ROWS[1][1:])], "store_id holds values of several kinds"),
        (
            [("1", "3", datetime(2012, 11, 2), 1, 1.0, 1.0, 1.0, 1.0, None)],
            "target_week must be a date, got datetime.datetime",
        ),
        ([("1", "3", ORIGIN, 0, 1.0, 1.0, 1.0, 1.0, None)], "got 2012-10-26 with horizon 0"),
        ([("1", "3", WEEKS[1] + timedelta(weeks=1), 3, 1.0, 1.0, 1.0, 1.0, None)], "got 2012-11-16 with horizon 3"),
    ],
)
def test_rows_that_break_the_contract_are_refused(tmp_path: Path, rows: list[Any], message: str) -> None:
    engine = create_engine_for(f"sqlite:///{tmp_path / 'never-opened.db'}")
    with pytest.raises(StoreError, match=message):
        publish_vintage(engine, RECORD, rows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"origin_week": date(2012, 10, 25)}, "1 to 2 weeks after origin 2012-10-25, got 2012-11-02 with horizon 1"),
        ({"origin_week": datetime(2012, 10, 26)}, r"an origin week that is a date, got datetime.datetime\(2012"),
        ({"published_at": datetime(2012, 10, 27, 6)}, "published_at with a time zone, got 2012-10-27T06:00:00"),
    ],
)
def test_a_record_that_breaks_the_contract_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    engine = create_engine_for(f"sqlite:///{tmp_path / 'never-opened.db'}")
    with pytest.raises(StoreError, match=message):
        publish_vintage(engine, replace(RECORD, **changes), ROWS)


def test_attributions_are_of_the_forecasts_they_come_with(tmp_path: Path) -> None:
    engine = create_engine_for(f"sqlite:///{tmp_path / 'never-opened.db'}")
    for place, other in ((0, "9"), (1, "9"), (2, WEEKS[1])):
        wrong = (*WHY[2][:place], other, *WHY[2][place + 1 :])
        with pytest.raises(StoreError, match="expected one row of attributions per forecast, got 3 for 3 forecasts"):
            publish_vintage(engine, RECORD, ROWS, TOTALS, [*WHY[:2], wrong])


@pytest.mark.parametrize("flag", [None, 1, "yes", float("nan")])
def test_a_flag_is_true_or_false(tmp_path: Path, flag: Any) -> None:
    engine = create_engine_for(f"sqlite:///{tmp_path / 'never-opened.db'}")
    with pytest.raises(StoreError, match="actuals: is_holiday must be true or false"):
        publish_actuals(engine, [("1", "3", WEEKS[0], 10.0, flag)])


def test_two_publishers_at_once_make_one_vintage(store_url: str, engine: Engine) -> None:
    publishers = [child(store_url, 10) for _ in range(2)]
    for publisher in publishers:
        go(publisher)
    answers = [publisher.communicate()[0].strip() for publisher in publishers]
    assert sorted(answers) == ["False", "True"]
    found = stored(engine)
    assert (found["forecast_vintages"], found["forecasts"]) == (1, 3000)


def mid_publish(engine: Engine) -> bool:
    """Whether forecasts are being written but not yet committed."""
    if engine.dialect.name == "sqlite":
        log = Path(f"{engine.url.database}-wal")
        return log.exists() and log.stat().st_size > 1_000_000
    with engine.connect() as connection:
        copying = "SELECT count(*) FROM pg_stat_progress_copy WHERE tuples_processed > 0"
        return bool(connection.execute(text(copying)).scalar_one())


def test_a_publisher_killed_half_way_leaves_none(store_url: str, engine: Engine) -> None:
    victim = child(store_url, 400)
    go(victim)
    until(lambda: mid_publish(engine), victim, pause_s=0.001)
    victim.kill()
    victim.communicate()
    found = stored(engine)
    assert (found["forecast_vintages"], found["forecasts"]) == (0, 0)
    # Nothing of it is in the way of the next one.
    assert child(store_url, 400).communicate("\n")[0].strip() == "True"
    found = stored(engine)
    assert (found["forecast_vintages"], found["forecasts"]) == (1, 120_000)


def test_actuals_count_only_the_rows_that_changed(engine: Engine) -> None:
    rows: list[tuple[Any, ...]] = [("1", "3", WEEKS[0], 10.0, False), ("1", "4", WEEKS[0], -2.5, False)]
    assert publish_actuals(engine, rows) == 2
    assert publish_actuals(engine, rows) == 0
    corrected = [
        ("1", "3", WEEKS[0], 11.0, False),
        ("1", "4", WEEKS[0], -2.5, True),
        ("1", "5", WEEKS[0], 0.0, False),
        rows[0],
    ]
    assert publish_actuals(engine, corrected[:3]) == 3
    assert publish_actuals(engine, []) == 0
    with pytest.raises(StoreError, match="store_id 1, dept_id 3, week 2012-11-02 more than once"):
        publish_actuals(engine, corrected)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT dept_key, actual FROM actuals ORDER BY 1")).all()
    assert [tuple(row) for row in found] == [(1, 11.0), (2, -2.5), (3, 0.0)]
    # Of several, only those that differ are written and counted.
    assert publish_actuals(engine, [*corrected[:2], ("1", "5", WEEKS[0], 1.0, False)]) == 1


def test_conditions_are_corrected_in_place_and_run_ahead_of_sales(engine: Engine) -> None:
    rows: list[tuple[Any, ...]] = [
        ("1", WEEKS[0], False, 61.5, 3.5, 211.1, 8.1),
        ("1", WEEKS[1] + timedelta(weeks=40), True, None, None, None, None),
    ]
    assert publish_conditions(engine, rows) == 2
    assert publish_conditions(engine, rows) == 0
    assert publish_conditions(engine, [rows[0], (*rows[1][:6], 15.0)]) == 1
    with engine.connect() as connection:
        found = connection.execute(text("SELECT is_holiday, unemployment FROM store_conditions ORDER BY week")).all()
    assert [(bool(holiday), rate) for holiday, rate in found] == [(False, 8.1), (True, 15.0)]


ACCURACY_ROW = (
    WEEKS[0],
    "2012-10-26-ab",
    "xgboost",
    1,
    "chain",
    None,
    None,
    2,
    3.0,
    3.0,
    4.0,
    -1.0,
    80.0,
    -2.0,
    0.5,
    1.5,
    None,
)
EXCEPTION_ROW = (WEEKS[0], "2012-10-26-ab", "1", "3", 1, 1, 100.0, 80.0, 130.0, None, 150.0, 150.0, "sold 50% more")


def test_accuracy_is_corrected_in_place(engine: Engine) -> None:
    row = ACCURACY_ROW
    assert publish_accuracy(engine, [row]) == 1
    assert publish_accuracy(engine, [row]) == 0
    assert publish_accuracy(engine, [(*row[:-1], -4.5)]) == 1
    assert publish_accuracy(engine, [(*row[:4], "store", "1", None, *row[7:])]) == 1
    with pytest.raises(StoreError, match=r"^forecast_accuracy: expected one row per week, vintage_id, "):
        publish_accuracy(engine, [row, row])
    with pytest.raises(StoreError, match="bias must be a finite number"):
        publish_accuracy(engine, [(*row[:11], float("nan"), *row[12:])])
    with engine.connect() as connection:
        found = connection.execute(text("SELECT level, fva, tracking_signal FROM forecast_accuracy ORDER BY 1")).all()
    assert [tuple(each) for each in found] == [("chain", 1.5, -4.5), ("store", 1.5, None)]


def test_exceptions_of_a_week_replace_those_it_had(engine: Engine) -> None:
    row = EXCEPTION_ROW
    other = (WEEKS[1], *row[1:])
    assert publish_exceptions(engine, WEEKS[1], [other]) == 1
    assert publish_exceptions(engine, WEEKS[0], [row, (*row[:3], "4", 2, *row[5:])]) == 2
    assert publish_exceptions(engine, WEEKS[0], [(*row[:3], "5", *row[4:])]) == 1
    with pytest.raises(StoreError, match="expected rows of 2012-11-02, got rows of 2012-11-09"):
        publish_exceptions(engine, WEEKS[0], [other])
    with engine.connect() as connection:
        found = connection.execute(text("SELECT dept_key FROM forecast_exceptions ORDER BY week, 1")).all()
    assert [tuple(each) for each in found] == [(3,), (1,)]
    assert publish_exceptions(engine, WEEKS[0], []) == 0
    assert stored(engine)["forecast_exceptions"] == 1
