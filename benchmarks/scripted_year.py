"""A year in the life of the pipeline: real history first, then one week at a time, then trouble of two kinds.

Each week lands as CSVs; landing sensor, feature sensor, weekly schedule, retraining sensor and alerts are ticked as the
daemon would, and what they ask for is run on a real Dagster instance. Then one store's sales arrive in cents, which a
check must stop until a corrected file lands; and from some week on ten departments sell 30% more, which must show as
drift, then as loss, then as a retrained model. Prints what happened per week; writes ledger, losses and a picture.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import dagster as dg
import pandas as pd

from demand_assets.adapters.evidence import chain_losses
from demand_assets.alerting import alert_on_run, monitoring_alerts
from demand_assets.automation import landing_zone_sensor, retraining_sensor, stale_features_sensor, weekly_request
from demand_assets.definitions import defs
from demand_assets.monitoring.retraining import loss_state
from demand_assets.resources import Clock, build_resources
from demand_assets.settings import Settings, read_settings

RESULTS = Path(__file__).parent / "results"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
SHIFT = 1.3


@dataclass
class Diary:
    """What happened, a line per event, and what the closing checks need."""

    lines: list[str] = field(default_factory=list)
    requested: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    drift: dict[str, str] = field(default_factory=dict)

    def note(self, week: str, words: str) -> None:
        """Keep and print one line."""
        self.lines.append(f"{week}  {words}")
        click.echo(self.lines[-1])


class Pipeline:
    """The graph with the clock set to one moment, on one instance."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance, diary: Diary) -> None:
        self.settings, self.instance, self.diary = settings, instance, diary
        self.cursor: str | None = None
        self.resources: dict[str, Any] = dict(build_resources(settings))
        definitions = dg.Definitions(
            assets=defs.assets,
            asset_checks=defs.asset_checks,
            jobs=defs.jobs,
            # Read when a run starts, so that each week's runs have its clock.
            resources={**self.resources, "clock": Clock(fixed_at=dg.EnvVar("DEMAND_CLOCK"))},
            executor=dg.in_process_executor,
        )
        names = ("ingest", "build_features", "weekly", "train_and_forecast")
        self.jobs = {name: definitions.resolve_job_def(name) for name in names}

    def set_clock(self, moment: str) -> None:
        """Everything is stamped with `moment` from now on."""
        self.moment = moment
        os.environ["DEMAND_CLOCK"] = moment
        self.resources["clock"] = Clock(fixed_at=moment)

    def run(self, week: str, job: str, request: dg.RunRequest) -> bool:
        """What a sensor asked for, once per run key; whether it succeeded."""
        if request.run_key in self.diary.requested:
            return True
        self.diary.requested.add(str(request.run_key))
        result = self.jobs[job].execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            run_config=QUIET,
            raise_on_error=False,
        )
        for alert in alert_on_run(self.instance, result.run_id, self.resources["alerts"]):
            self.diary.note(week, f"alert {alert.kind}: {alert.summary}")
        if not result.success:
            self.diary.failed.append(f"{week} {job}")
        return result.success

    def _sensor(self, sensor: Any, **resources: Any) -> tuple[list[dg.RunRequest], str]:
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor, definitions=defs) as context:
            answer = sensor(context, **resources)
        if isinstance(answer, dg.SkipReason):
            return [], answer.skip_message or ""
        if isinstance(answer, dg.RunRequest):
            return [answer], ""
        if answer.cursor:
            self.cursor = answer.cursor
        return list(answer.run_requests or []), str(answer.skip_reason or "")

    def live_a_week(self, week: str) -> bool:
        """Land, build, forecast, score, watch, retrain if need be; whether every run succeeded."""
        parts = self.resources
        good = True
        for request in self._sensor(landing_zone_sensor, landing=parts["landing"])[0]:
            good &= self.run(week, "ingest", request)
        if not good:
            return False
        cursor, self.cursor = self.cursor, None
        asked = self._sensor(stale_features_sensor, lake=parts["lake"], training=parts["training"])[0]
        for request in asked:
            good &= self.run(week, "build_features", request)
        self.train(week)
        due = datetime.fromisoformat(self.moment)
        with dg.build_schedule_context(instance=self.instance, scheduled_execution_time=due) as context:
            answer = weekly_request(context, lake=parts["lake"], ledger=parts["ledger"])
        if isinstance(answer, dg.RunRequest):
            good &= self.run(week, "weekly", answer)
            self.train(week)
        elif isinstance(answer, dg.SkipReason):
            self.diary.note(week, f"schedule: {answer.skip_message}")
        names = ("lake", "registry", "ledger", "alerts", "clock")
        before = {path.name for path in Path(parts["alerts"].uri).glob("*.json")}
        with dg.build_sensor_context(instance=self.instance, definitions=defs) as context:
            monitoring_alerts(context, **{name: parts[name] for name in names})
        for path in sorted(Path(parts["alerts"].uri).glob("*.json")):
            if path.name not in before:
                alert = json.loads(path.read_text())
                self.diary.note(week, f"alert {alert['kind']}: {alert['summary']}")
        self.cursor = cursor
        return good

    def train(self, week: str) -> None:
        """One tick of the retraining sensor."""
        parts = self.resources
        names = ("lake", "training", "registry", "ledger", "retraining")
        asked, words = self._sensor(retraining_sensor, **{name: parts[name] for name in names})
        if not asked:
            self.diary.note(week, words)
        for request in asked:
            self.diary.note(week, request.tags["demand/requested_by"])
            decisions = len(parts["ledger"].rows())
            self.run(week, "train_and_forecast", request)
            rows = parts["ledger"].rows()
            for row in reversed(rows[: len(rows) - decisions]):
                self.diary.note(
                    week, f"gate: version {row['to_version']} {row['outcome']}: {'; '.join(row['reasons'])}"
                )


def _deliver(zone: Path, name: str, frame: pd.DataFrame, moment: str) -> None:
    path = zone / name
    frame.to_csv(path, index=False)
    stamp = pd.Timestamp(moment).timestamp()
    os.utime(path, (stamp, stamp))


def _year(
    train: pd.DataFrame, conditions: pd.DataFrame, start: str, cents_week: str, shift_week: str
) -> Iterator[tuple[str, str, pd.DataFrame, pd.DataFrame, pd.DataFrame | None]]:
    """(week, Monday after it, its sales, its conditions, the corrected sales or None) for each week after `start`."""
    before = train[train["Date"] <= start]
    largest = before.groupby("Dept")["Weekly_Sales"].sum().nlargest(10).index
    for week, rows in train[train["Date"] > start].groupby("Date"):
        sales = rows.copy()
        if str(week) >= shift_week:
            sales.loc[sales["Dept"].isin(largest), "Weekly_Sales"] *= SHIFT
        right = None
        if week == cents_week:
            right = sales.copy()
            sales.loc[sales["Store"] == 20, "Weekly_Sales"] *= 100
        monday = f"{pd.Timestamp(str(week)) + pd.Timedelta(days=3):%Y-%m-%d}T06:00:00+00:00"
        yield str(week), monday, sales.round(2), conditions[conditions["Date"] == week], right


def _picture(pipeline: Pipeline, shift_week: str, path: Path) -> None:
    from matplotlib.dates import date2num
    from matplotlib.figure import Figure

    losses = chain_losses(pipeline.resources["registry"], pipeline.resources["ledger"])
    states = [loss_state(losses[: count + 1]) for count in range(len(losses))]
    weeks = pd.to_datetime([week for week, _ in losses])
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(weeks, [loss for _, loss in losses], color="#1f5fbf", marker="o", markersize=3, label="WMAE of the week")
    upper = [float("nan") if state is None else state.upper for state in states]
    axes.plot(weeks, upper, color="#9a9a9a", linestyle="--", label="end of its band")
    axes.axvline(float(date2num(pd.Timestamp(shift_week))), color="#c0392b", linewidth=1, label="ten departments +30%")
    decisions = pd.DataFrame(pipeline.resources["ledger"].rows()).iloc[::-1]
    for outcome, style in {"refused": ("#c78a2b", (0, (1, 4))), "promoted": ("#2e8b57", (0, (4, 2)))}.items():
        for number, moment in enumerate(decisions.loc[decisions["outcome"] == outcome, "decided_at"]):
            label = f"model {outcome}" if number == 0 else None
            axes.axvline(float(date2num(moment)), color=style[0], linestyle=style[1], label=label)
    axes.set_ylim(bottom=0)
    axes.set_title(
        "Realised loss, week by week (USD; before the first forecast the backtest's)", loc="left", fontsize=11
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, ncols=2)
    figure.savefig(path, dpi=90, metadata={"Software": None})


@click.command()
@click.option("--raw-dir", required=True, type=click.Path(path_type=Path, exists=True), help="Folder with the 3 CSVs.")
@click.option("--start", default="2011-10-28", show_default=True, help="Last week of the history that lands at once.")
@click.option("--end", default="2012-06-29", show_default=True, help="Last week delivered.")
@click.option("--cents-week", default="2012-03-23", show_default=True, help="Week in which store 20 sends cents.")
@click.option("--shift-week", default="2012-04-06", show_default=True, help="First week of the level shift.")
@click.option("--rounds", default=40, show_default=True)
@click.option("--home", default=".demand/scripted-year", show_default=True, type=click.Path(path_type=Path))
@click.option("--threads", default=2, show_default=True)
def main(
    raw_dir: Path, start: str, end: str, cents_week: str, shift_week: str, rounds: int, home: Path, threads: int
) -> None:
    """Run the year in a fresh workspace at --home and say whether it went as it should; exit 1 if not."""
    began = time.perf_counter()
    shutil.rmtree(home, ignore_errors=True)
    zone = home / "landing"
    zone.mkdir(parents=True)
    home, zone = home.absolute(), zone.absolute()
    RESULTS.mkdir(exist_ok=True)
    settings = read_settings(
        home=home,
        landing_uri=str(zone),
        model_settings=json.dumps({"rounds": rounds, "members": 1}),
        threads=threads,
        quantiles="0.1,0.5,0.9",
    )
    from demand_assets.store.migrations import migrate

    migrate(settings.store)
    train = pd.read_csv(raw_dir / "train.csv")
    conditions = pd.read_csv(raw_dir / "features.csv", keep_default_na=False)
    shutil.copy2(raw_dir / "stores.csv", zone / "stores.csv")
    first = f"{pd.Timestamp(start) + pd.Timedelta(days=3):%Y-%m-%d}T06:00:00+00:00"
    _deliver(zone, "history.csv", train[train["Date"] <= start], first)
    _deliver(zone, "conditions.csv", conditions[conditions["Date"] <= start], first)
    diary = Diary()
    (home / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
        pipeline = Pipeline(settings, instance, diary)
        pipeline.set_clock(first)
        pipeline.live_a_week(start)
        delivered = [start]
        for week, monday, sales, weather, right in _year(train, conditions, start, cents_week, shift_week):
            if week > end:
                break
            pipeline.set_clock(monday)
            _deliver(zone, f"conditions-{week}.csv", weather, monday)
            _deliver(zone, f"sales-{week}.csv", sales, monday)
            good = pipeline.live_a_week(week)
            if right is not None:
                diary.note(week, "the check held the week back" if not good else "CENTS WENT THROUGH")
                tuesday = monday.replace("T06", "T18")
                pipeline.set_clock(tuesday)
                _deliver(zone, f"sales-{week}.csv", right, tuesday)
                good = pipeline.live_a_week(week)
            if not good:
                diary.note(week, "A RUN FAILED")
            delivered.append(week)
        ledger = pipeline.resources["ledger"].rows()
        lake = pipeline.resources["lake"]
        vintages = {key.split("/")[0] for key in lake.partitions("published_forecast", nested=True)}
        _picture(pipeline, shift_week, RESULTS / "scripted_year.png")
    (RESULTS / "scripted_year_ledger.json").write_text(json.dumps(ledger, indent=1, default=str) + "\n")
    (RESULTS / "scripted_year.txt").write_text("\n".join(diary.lines) + "\n")
    after = [row for row in ledger if str(row["as_of"]) >= shift_week and row["outcome"] == "promoted"]
    outcomes = {row["outcome"] for row in ledger}
    claims = {
        f"every one of {len(delivered)} weeks has a vintage": set(delivered) <= vintages,
        "a challenger was refused, and one promoted": {"refused", "promoted"} <= outcomes,
        "cents were stopped by a check, and nothing else failed": {line.split()[0] for line in diary.failed}
        == ({cents_week} if start < cents_week <= end else set()),
        "after the shift a retrained model was promoted": bool(after),
    }
    for claim, holds in claims.items():
        click.echo(f"{'yes' if holds else 'NO '}  {claim}")
    click.echo(f"{len(ledger)} decisions in the ledger; {time.perf_counter() - began:.0f} s")
    sys.exit(0 if all(claims.values()) else 1)


if __name__ == "__main__":
    main()
