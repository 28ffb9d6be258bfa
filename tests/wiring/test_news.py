"""A failure and a published forecast reach people and other systems, by the commands and by the sensor."""

import base64
import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from demand_assets.adapters.events import Events
from demand_assets.alerting import publication_events
from demand_assets.definitions import defs
from demand_assets.resources import Clock
from tests.receivers import mailbox, webhook
from tests.wiring.conftest import SETTINGS, demand

SECRET = f"whsec_{base64.b64encode(bytes(32)).decode()}"


def test_runs_tell_of_each_vintage_and_of_a_failure_once(
    workspace: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, zone = workspace
    with webhook() as chat, webhook() as consumer, mailbox() as box:
        monkeypatch.setitem(SETTINGS, "DEMAND_ALERT_URLS", f"{chat.address} {box.address}")
        monkeypatch.setitem(SETTINGS, "DEMAND_EVENT_URLS", consumer.url)
        monkeypatch.setitem(SETTINGS, "DEMAND_EVENT_SECRET", SECRET)
        consumer.status = 503
        first = demand(home, "run", "--raw-dir", str(zone))
        assert first.returncode == 0, first.stderr
        assert "is told again of new forecasts: expected 127.0.0.1 to answer 2xx, got 503" in first.stdout
        consumer.status = 200
        # What stands where the forecast is written cannot be replaced by a file.
        forecast = max((home / "lake" / "weekly_forecast").glob("*.parquet"))
        forecast.unlink()
        (forecast / "in the way").mkdir(parents=True)
        assert demand(home, "run", "--raw-dir", str(zone)).returncode == 1
        with closing(sqlite3.connect(home / "store.db")) as store:
            published = [row[0] for row in store.execute("SELECT sequence FROM forecast_vintages ORDER BY 1")]
        assert [body["sequence"] for body in consumer.bodies] == published
    titles = [mail["subject"].split(":")[0] for mail in box.mails]
    assert [title.split(" of ")[0] for title in titles] == ["Forecast", "[critical] run_failed"]
    assert [body["title"].split(":")[0] for body in chat.bodies] == titles
    said = first.stdout + first.stderr + (home / "logs" / "alerts.log").read_text()
    assert not [secret for secret in ("hunter2", "s3cret", "t0ken", SECRET) if secret in said]


def test_the_sensor_tells_what_there_is(
    finished: tuple[Path, dict[str, object]], tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    store = tmp_path / "store.db"
    with closing(sqlite3.connect(finished[0] / "store.db")) as source, closing(sqlite3.connect(store)) as copy:
        source.backup(copy)
    with webhook() as consumer:
        events = Events(store_url=f"sqlite:///{store}", webhooks=consumer.url, secret=SECRET)
        context = dg.build_sensor_context(instance=instance, definitions=defs)
        said = [publication_events(context, events=events, clock=Clock()).skip_message for _ in range(2)]
    assert said == [f"told 1 targets of {len(consumer.taken)} events", "told 1 targets of 0 events"]
    assert consumer.bodies[-1]["event"] == "vintage.published"
