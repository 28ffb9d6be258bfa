"""The terminal, or the log it is sent to."""

import logging
from pathlib import Path

from rich.console import Console

LOG_WIDTH = 160
ALERT_LOG = Path("logs", "alerts.log")


def terminal(stderr: bool = False) -> Console:
    """A console that wraps at the terminal's edge, and in a log, which has none, hardly at all."""
    console = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    return console


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
