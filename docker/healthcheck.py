"""Whether the container's process does its work: `healthcheck.py [webserver|daemon|code]`, exit code 0 if so.

Without an argument the command of process 1 says which it is. A run or a one-off task has nothing to ask: it ends.
"""

import http.client
import subprocess
import sys
from pathlib import Path

WEBSERVER_PORT, CODE_PORT = 3000, 4000
_COMMANDS = {"dagster-webserver": "webserver", "dagster-daemon": "daemon", "code-server": "code"}


def role_of(command: str) -> str:
    """The part of the system that a command line starts; empty for a run or a one-off task."""
    return next((role for name, role in _COMMANDS.items() if name in command), "")


def is_healthy(role: str) -> bool:
    """Ask the process of that role on this machine; an empty role is healthy while it lives."""
    if role == "webserver":
        connection = http.client.HTTPConnection("127.0.0.1", WEBSERVER_PORT, timeout=10)
        try:
            connection.request("GET", "/server_info")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()
    if role == "daemon":
        # Heartbeats of every daemon in Dagster's storage, so a loop that hangs is found too.
        return _succeeds("dagster-daemon", "liveness-check")
    if role == "code":
        return _succeeds("dagster", "api", "grpc-health-check", "-p", str(CODE_PORT))
    return True


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, timeout=25, check=False).returncode == 0  # noqa: S603


if __name__ == "__main__":
    given = sys.argv[1] if len(sys.argv) > 1 else role_of(Path("/proc/1/cmdline").read_text())
    sys.exit(0 if is_healthy(given) else 1)
