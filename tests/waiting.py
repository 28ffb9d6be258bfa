"""Waiting for something to happen. The limits here only end a test that hangs; no test passes or fails by the clock."""

import subprocess
import time
from collections.abc import Callable

import httpx

# Everything that is waited for takes a second or two on an idle machine.
GUARD_S = 120.0


def until(
    claim: Callable[[], bool],
    process: subprocess.Popen[str] | subprocess.Popen[bytes] | None = None,
    pause_s: float = 0.02,
    progress: Callable[[], object] = lambda: None,
) -> None:
    """Wait for `claim` to come true; AssertionError when `process`, which should make it true, has ended before.

    The limit begins anew whenever `progress` gives something else.
    """
    seen, deadline = progress(), time.monotonic() + GUARD_S
    while not claim():
        if (now := progress()) != seen:
            seen, deadline = now, time.monotonic() + GUARD_S
        assert process is None or process.poll() is None, f"the process ended with {process and process.returncode}"
        assert time.monotonic() < deadline, f"it did not come true within {GUARD_S:.0f} s"
        time.sleep(pause_s)


def answers(url: str) -> bool:
    """Whether a server answers at `url`."""
    try:
        httpx.get(url, timeout=GUARD_S)
    except httpx.TransportError:
        return False
    return True
