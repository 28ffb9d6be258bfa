"""What commands read from their options, and what they print on the terminal or into a log."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from demand_assets.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]
LOG_WIDTH = 160
ALERT_LOG = Path("logs", "alerts.log")


def terminal(stderr: bool = False) -> Console:
    """A console that wraps at the terminal's edge, and in a log, which has none, hardly at all.

    It reads no markup and no emoji codes: folders, files, reasons and names of checks are the user's.
    """
    console = Console(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    return console


def print_json(answer: object) -> None:
    """Print what a program reads; dates and times in ISO form."""
    print(json.dumps(answer, indent=1, default=lambda value: value.isoformat()))  # noqa: T201


def print_list(
    title: str, rows: Sequence[Row], cells: Callable[[Row], Mapping[str, str]], empty: str, as_json: bool
) -> None:
    """Print rows as JSON, or as a table of their `cells` by heading; `empty` says that there is none yet."""
    if as_json:
        print_json(rows)
    elif not rows:
        terminal().print(empty)
    else:
        print_table(title, [cells(row) for row in rows])


def print_table(title: str, rows: Sequence[Mapping[str, str]], numbers: Sequence[str] = ()) -> None:
    """Print a table of rows of cells by heading; the columns `numbers` are aligned to the right."""
    table = Table(title=title, title_justify="left")
    for heading in rows[0]:
        table.add_column(heading, overflow="fold", justify="right" if heading in numbers else "left")
    for row in rows:
        table.add_row(*row.values())
    terminal().print(table)


def moment_of(option: str, text: str) -> datetime:
    """The aware time that an option's ISO text names, in UTC unless it says otherwise; SettingsError if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{option} is {text!r}; expected an ISO time such as 2012-07-10T00:30 (UTC)") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def week_of(option: str, text: str, weeks: pd.DatetimeIndex) -> pd.Timestamp:
    """The week that an option names; SettingsError with the nearest ones when it ends on another weekday than `weeks`.

    Without any `weeks` every weekday will do.
    """
    import pandas as pd

    from demand_assets.forecasting.weeks import as_week, weekday_of

    try:
        return as_week(text, weekday_of(weeks)) if len(weeks) else pd.Timestamp(text).normalize()
    except ValueError as error:
        raise SettingsError(f"{option}: {error}") from error


def log_alerts(home: Path) -> None:
    """Send the log of alerts to a file of the workspace: on stderr it would come between a command's own lines.

    Where no file can be opened it stays on stderr: an alert has to be seen.
    """
    path = home / ALERT_LOG
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path)
    except OSError:
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("demand.alerts")
    for former in log.handlers[:]:
        log.removeHandler(former)
        former.close()
    log.addHandler(handler)
    log.propagate = False
