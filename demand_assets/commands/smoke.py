"""`demand smoke`: one tiny run through every part of a deployment."""

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

from demand_assets.assets.smoke import SMOKE
from demand_assets.commands.terminal import terminal
from demand_assets.errors import DeploymentError, SettingsError

_POLL_S = 2.0


def try_deployment(patience_s: float) -> None:
    """Launch the job `smoke` and wait for its end; DeploymentError when it does not succeed in that many seconds.

    The code server must load to launch it, the daemon must take it from the queue, its task must start, and MLflow,
    the lake and the store must answer it.
    """
    home = os.environ.get("DAGSTER_HOME")
    if not home or not (Path(home) / "workspace.yaml").exists():
        raise SettingsError("expected DAGSTER_HOME with a workspace.yaml; on one machine `demand run` shows as much")
    run_id = str(uuid.uuid4())
    _launch(run_id, Path(home) / "workspace.yaml")
    terminal().print(f"Run {run_id} of {SMOKE} is queued ...")
    terminal().print(f"Run {run_id} ended well after {_await(run_id, patience_s):.0f} s.")


def _launch(run_id: str, workspace: Path) -> None:
    command = [sys.executable, "-m", "dagster", "job", "launch", "-w", str(workspace), "-j", SMOKE, "--run-id", run_id]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if ended.returncode != 0:
        last = [line for line in ended.stderr.splitlines() if line.strip()][-1:]
        raise DeploymentError(f"the code server does not give the job {SMOKE}: {''.join(last)}")


def _await(run_id: str, patience_s: float) -> float:
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        begun = time.monotonic()
        while True:
            run = instance.get_run_by_id(run_id)
            waited = time.monotonic() - begun
            if run is not None and run.status is dg.DagsterRunStatus.SUCCESS:
                return waited
            status = "missing" if run is None else run.status.value
            if run is not None and run.is_finished:
                raise DeploymentError(f"run {run_id} of {SMOKE} ended as {status}; its log says why")
            if waited > patience_s:
                raise DeploymentError(f"run {run_id} of {SMOKE} is {status} after {waited:.0f} s; is the daemon up?")
            time.sleep(_POLL_S)
