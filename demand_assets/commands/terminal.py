"""The terminal, or the log it is sent to."""

from rich.console import Console

LOG_WIDTH = 160


def terminal(stderr: bool = False) -> Console:
    """A console that wraps at the terminal's edge, and in a log, which has none, hardly at all."""
    console = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    return console
