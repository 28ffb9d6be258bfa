"""`demand ...`: the command line. Nothing heavy is imported before a command has said what it is doing."""

import io
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from demand_assets.errors import DemandError
from demand_assets.memory import collect_less, keep_less

INTERRUPTED = 130
SATURDAY = 5


@contextmanager
def _quiet_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the block by KeyboardInterrupt, and libraries that it meets half-way say nothing about it."""

    def interrupt(signum: int, frame: object) -> None:
        logging.disable(logging.CRITICAL)
        sys.unraisablehook = lambda _: None
        raise KeyboardInterrupt

    # Left alone where it is ignored (in the background of a shell) or handled by a program around this one.
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _Commands(click.Group):
    """A group whose commands turn a user's mistake, or the machine's, into one line on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            # A folder may have a name that the terminal cannot show; it is spelled out.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        collect_less()
        keep_less()
        try:
            with _quiet_interrupt():
                return super().invoke(ctx)
        except DemandError as error:
            click.echo(f"demand: {' '.join(str(error).split())}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("demand: interrupted; run again", err=True)
            ctx.exit(INTERRUPTED)
        except Exception as error:
            from demand_assets.commands.mishaps import mishap

            line = mishap(error)
            if line is None or isinstance(error, click.ClickException | click.exceptions.Exit):
                raise
            click.echo(f"demand: {' '.join(line.split())}", err=True)
            ctx.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="demand-assets", prog_name="demand")
def main() -> None:
    """Weekly retail demand forecasts: sales files in, published forecasts out."""


def last_friday(today: date) -> date:
    """The last Friday before a day: the newest week that is over."""
    return today - timedelta(days=(today.weekday() - SATURDAY) % 7 + 1)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--stores", default=45, show_default=True, help="Number of stores.")
@click.option("--departments", default=81, show_default=True, help="Number of departments.")
@click.option("--weeks", default=143, show_default=True, help="Weeks of sales history.")
@click.option("--seed", default=7, show_default=True, help="The same seed and end give the same bytes.")
@click.option(
    "--end",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Last week of sales, by the day that ends it.  [default: the last Friday before today]",
)
@click.option("--plain", is_flag=True, help="Only sales, conditions and names: no promotions, no prices, no story.")
def sample(
    folder: Path, stores: int, departments: int, weeks: int, seed: int, end: datetime | None, plain: bool
) -> None:
    """Write the files of an invented retailer into FOLDER.

    README.txt says what to look for in them: a store that opened, promotions, a department that drifts, a correction.
    """
    click.echo(f"Inventing {weeks} weeks of {stores} stores x {departments} departments ...")
    from demand_assets.sample import stream, tell, write_csvs, write_story

    last = end.date() if end else last_friday(date.today())
    data = stream(stores, departments, weeks, seed, last_week=last)
    paths = write_csvs(data, folder, named=True) if plain else write_story(tell(data), folder)
    with open(paths[0], "rb") as train:
        rows = sum(1 for _ in train) - 1
    click.echo(f"{rows:,} rows of sales in {', '.join(str(path) for path in paths)}")
    click.echo(f"Next: demand run --raw-dir {folder}")


@main.command()
@click.argument("folder")
@click.option("--json", "as_json", is_flag=True, help="Print what was understood as JSON on stdout.")
@click.option("--no-write", is_flag=True, help="Only print; write no demand.toml.")
@click.option("--force", is_flag=True, help="Write an existing demand.toml anew; what it states is kept.")
def inspect(folder: str, as_json: bool, no_write: bool, force: bool) -> None:
    """Say what each file of FOLDER holds and what could not be told, and write demand.toml beside the files.

    FOLDER is a folder or s3://bucket/prefix with your files as they are: CSV, Excel, Parquet, JSON lines, gz or zip.
    The table shows the role of each file, its dates, keys, amounts and gaps. Below it stand the open questions, each
    with the lines of demand.toml that answer it; demand run starts when none is left. Your files are never changed.
    """
    from demand_assets.commands.inspect import inspect_folder

    inspect_folder(folder, as_json, not no_write, force)


@main.command()
@click.option("--raw-dir", help="Landing zone: a folder or s3://bucket/prefix of files.  [default: the last one used]")
@click.option("--json", "as_json", is_flag=True, help="Print the closing summary as JSON on stdout.")
def run(raw_dir: str | None, as_json: bool) -> None:
    """Ingest and check the files of a landing zone, then forecast and publish the newest week.

    It trains a model first only when the retraining rules ask for one, and says why or why not. Each part runs as a job
    of the Dagster graph.
    """
    from demand_assets.commands.run import run_main_job

    run_main_job(raw_dir, as_json)


@main.command()
@click.option("--raw-dir", required=True, help="Landing zone: a folder or s3://bucket/prefix of files.")
@click.option("--horizon", default=4, show_default=True, type=click.IntRange(1, 52), help="Weeks ahead.")
@click.option(
    "--origins", required=True, help="Comma-separated origin weeks, each by its last day, e.g. 2012-01-27,2012-02-24."
)
@click.option("--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Parquet to write.")
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="HTML report to write; default: beside --output."
)
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON on stdout.")
def backtest(raw_dir: str, horizon: int, origins: str, output: Path, report: Path | None, as_json: bool) -> None:
    """Train at each origin on what was known then, forecast, and score the model beside the baselines."""
    from demand_assets.commands.backtest import run_backtest

    run_backtest(raw_dir, horizon, origins, output, report, as_json)


@main.command()
@click.option("--history", is_flag=True, help="The promotion ledger instead: every decision, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON on stdout.")
def models(history: bool, as_json: bool) -> None:
    """List the registered model versions, newest first, with aliases and backtest scores."""
    from demand_assets.commands.models import list_models, list_promotions

    (list_promotions if history else list_models)(as_json)


@main.command()
@click.argument("version")
@click.option("--to", type=click.Choice(["staging", "production"]), required=True, help="The alias to move.")
@click.option("--reason", help="Why; kept in the ledger. Needed for production.")
@click.option("--force", is_flag=True, help="Promote to production below the gate; kept in the ledger.")
@click.option("--json", "as_json", is_flag=True, help="Print the ledger's row, or the staged version, as JSON.")
def promote(version: str, to: str, reason: str | None, force: bool, as_json: bool) -> None:
    """Put model VERSION into production, if it passes the gate against the champion, or into staging.

    Staging is an alias alone: no gate judges it, nothing is forecast with it, and the next training moves it on.
    """
    from demand_assets.commands.models import promote_version, stage_version

    if to == "staging":
        if reason or force:
            raise click.UsageError("--reason and --force are for --to production: staging has no gate and no ledger")
        stage_version(version, as_json)
        return
    if not reason:
        raise click.UsageError("Missing option '--reason': say why it goes to production")
    sys.exit(promote_version(version, reason, force, as_json))


@main.command()
@click.option("--reason", default="rolled back by hand", show_default=True, help="Why; kept in the ledger.")
@click.option("--json", "as_json", is_flag=True, help="Print the ledger's row as JSON on stdout.")
def rollback(reason: str, as_json: bool) -> None:
    """Put the previous champion back into production; the next forecast uses it."""
    from demand_assets.commands.models import roll_back

    roll_back(reason, as_json)


@main.command()
@click.option("--now", "at", metavar="ISO", help="The time to judge by, e.g. 2012-07-10T00:30.  [default: the clock]")
@click.option("--daemon", is_flag=True, help="Also alert when Dagster's daemon has been silent for five minutes.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON on stdout.")
def watch(at: str | None, daemon: bool, as_json: bool) -> None:
    """Look for what is absent: a forecast past its deadline, a store, a working sensor; exit code 1 if anything is.

    A process of its own, for cron or EventBridge: it needs neither Dagster's daemon nor any server of this product.
    """
    from demand_assets.commands.watch import watch_once

    sys.exit(watch_once(at, daemon, as_json))


@main.command()
@click.option("--origin", required=True, help="Origin week of the vintage by its last day, e.g. 2012-06-29.")
@click.option("--vintage", help="Id of one vintage of that origin.  [default: the newest]")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON on stdout.")
def reproduce(origin: str, vintage: str | None, as_json: bool) -> None:
    """Make a past vintage again from its data, code and model, and compare it with the store to the byte."""
    from demand_assets.commands.reproduce import reproduce as make_again

    sys.exit(make_again(origin, vintage, as_json))


@main.command()
@click.option("--week", help="Week of the finding by its last day, e.g. 2012-06-29.")
@click.option("--check", help="Name of the check, as the finding shows it, e.g. no_week_is_missing.")
@click.option("--reason", help="Why it is right, for those who read the check later.")
@click.option("--by", help="Who accepts it.  [default: the user of this machine]")
@click.option("--list", "as_list", is_flag=True, help="Show what has been accepted; accept nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON on stdout.")
def accept(
    week: str | None, check: str | None, reason: str | None, by: str | None, as_list: bool, as_json: bool
) -> None:
    """Take an unusual finding of a check as right, for one week.

    When demand run stops at an unusual week or warns of one, it prints this command with --week and --check filled in.
    From the next run on the check passes for that week and shows your reason. Findings that are certainly wrong cannot
    be accepted: correct the file. --week, --check and --reason belong together; --list shows what has been accepted.
    """
    from demand_assets.commands import accept as command

    if as_list:
        command.list_accepted(as_json)
        return
    if not (week and check and reason):
        raise click.UsageError("name --week, --check and --reason, or give --list")
    command.accept(week, check, reason, by, as_json)


@main.command()
@click.argument("name", required=False)
@click.argument("changes", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--author", help="Who asks or adopts.  [default: the user of this machine]")
@click.option("--adopt", is_flag=True, help="Make the forecasts that scenario NAME moves overrides.")
@click.option("--list", "as_list", is_flag=True, help="List the scenarios instead, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON on stdout.")
def scenario(
    name: str | None, changes: Path | None, author: str | None, adopt: bool, as_list: bool, as_json: bool
) -> None:
    """Ask what if: forecast on plans changed by CHANGES.csv, and publish it as NAME beside the newest forecast.

    Without CHANGES.csv the scenario of that name is shown. CHANGES.csv has the columns covariate and change, and if
    wanted store_id, dept_id and week; an empty cell means all. A change is a value, a factor (*0.5) or a percentage
    (-20%).
    """
    from demand_assets.commands import scenario as command

    if as_list:
        command.list_scenarios(as_json)
    elif not name or (adopt and changes):
        raise click.UsageError("give NAME and CHANGES.csv, or NAME alone, or NAME --adopt, or --list")
    elif adopt:
        command.adopt(name, author, as_json)
    elif changes is None:
        command.show(name, as_json)
    else:
        command.make(name, changes, author, as_json)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print what was removed as JSON on stdout.")
def repair(as_json: bool) -> None:
    """Remove what belongs to no week with sales: files of the lake without a sale, partitions added by hand."""
    from demand_assets.commands.repair import repair_workspace

    repair_workspace(as_json)


@main.group()
def keys() -> None:
    """Keys that open the API when it asks for them."""


@keys.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(["read", "write", "approve"]),
    multiple=True,
    required=True,
    help="Repeatable.",
)
@click.option("--expires", metavar="ISO", help="First moment it is not valid, e.g. 2027-01-01 (UTC).  [default: none]")
@click.option("--secret", metavar="ID", help="Put the key into this secret of AWS Secrets Manager; print it nowhere.")
@click.option("--json", "as_json", is_flag=True, help="Print the key and its row as JSON on stdout.")
def create_key(name: str, scopes: tuple[str, ...], expires: str | None, secret: str | None, as_json: bool) -> None:
    """Make a key for NAME and print it, this once; NAME may have two at a time, the old and the new."""
    from demand_assets.commands.keys import create

    create(name, scopes, expires, as_json, secret)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON on stdout.")
def list_keys(as_json: bool) -> None:
    """List every key: whose, for what, until when. The keys themselves are not kept."""
    from demand_assets.commands.keys import list_keys as show

    show(as_json)


@keys.command("revoke")
@click.argument("key_id")
@click.option("--json", "as_json", is_flag=True, help="Print the key's row as JSON on stdout.")
def revoke_key(key_id: str, as_json: bool) -> None:
    """Make key KEY_ID open nothing any more."""
    from demand_assets.commands.keys import revoke

    revoke(key_id, as_json)


@main.command()
@click.option("--patience", default=900, show_default=True, type=click.IntRange(1), help="Seconds to wait for its end.")
def smoke(patience: int) -> None:
    """Launch one tiny run on a deployment with a queue, and wait until it has ended well.

    It shows that the code server loads, the daemon launches, a task starts, and that MLflow, lake and store answer it.
    """
    from demand_assets.commands.smoke import try_deployment

    try_deployment(patience)


@main.command("bootstrap-database")
def bootstrap_database() -> None:
    """Make the databases and roles that the four addresses in the environment name, or set their passwords anew.

    The server and its master user come from PGHOST, PGUSER, PGPASSWORD and PGSSLMODE; the user may create roles and
    databases and need not be a superuser. DEMAND_STORE_URL, DAGSTER_POSTGRES_URL and MLFLOW_BACKEND_STORE_URI each
    name a role, its password and the database it owns; DEMAND_API_STORE_URL names the role that reads the store.
    """
    from demand_assets.commands.database import make

    make(os.environ)


@main.command()
def migrate() -> None:
    """Bring the SQL store to the schema this code expects."""
    from demand_assets.settings import read_settings
    from demand_assets.store.migrations import migrate as migrate_store

    before, after = migrate_store(read_settings().store)
    click.echo(f"store is at revision {after}" + ("" if before == after else f", was at {before or 'nothing'}"))


@main.command()
@click.option("--dagster-port", default=3000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--api-port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--mlflow-port", default=5000, show_default=True, type=click.IntRange(1, 65535))
def dev(dagster_port: int, api_port: int, mlflow_port: int) -> None:
    """Start the Dagster UI and daemon, the API and MLflow on this machine; Ctrl-C stops them all."""
    from demand_assets.commands.dev import serve

    sys.exit(serve(dagster_port, api_port, mlflow_port))


if __name__ == "__main__":
    main()
