"""A Dask cluster of two ECS services that have tasks only while a run needs them.

    python -m demand_assets.adapters.cluster_services scheduler

runs the scheduler in its container and, when nothing was asked of it for a while, gives both services no tasks any
more: the last line against a cluster that nobody stopped.
"""

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from demand_assets.errors import EngineError

if TYPE_CHECKING:
    from distributed import Scheduler

log = logging.getLogger(__name__)
IDLE_MINUTES = 20


def set_tasks(services: str, scheduler: int, workers: int) -> None:
    """Ask for so many tasks of `cluster/prefix`'s services; EngineError when ECS refuses."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    cluster, _, prefix = services.partition("/")
    try:
        client = boto3.client("ecs")
        for name, count in ((f"{prefix}-scheduler", scheduler), (f"{prefix}-worker", workers)):
            client.update_service(cluster=cluster, service=name, desiredCount=count)
    except (BotoCoreError, ClientError) as error:
        raise EngineError(f"ECS cannot run {workers} workers of {services}: {error}") from error


def stop_unless_shared(services: str, client: Any) -> None:
    """No tasks for the services any more, unless another run is connected to their scheduler, which stops them then."""
    try:
        others = client.run_on_scheduler(_clients) - 1
    except OSError as error:
        log.warning("the scheduler of %s is gone (%s): stopping its services", services, error)
        others = 0
    if others > 0:
        log.warning("%s is left to %d other runs", services, others)
    else:
        set_tasks(services, 0, 0)


def _clients(dask_scheduler: "Scheduler") -> int:
    # The scheduler itself keeps one, for tasks that nobody waits for.
    return len([name for name in dask_scheduler.clients if name.startswith("Client")])


def main(arguments: list[str]) -> int:
    """Run the scheduler until it has been idle, then stop the services it belongs to."""
    if arguments != ["scheduler"]:
        log.error("expected: scheduler; got: %s", " ".join(arguments) or "nothing")
        return 2
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard", "--port", "8786"]
    ended = subprocess.run([*command, "--idle-timeout", f"{IDLE_MINUTES} minutes"], check=False)  # noqa: S603
    services = os.environ.get("DEMAND_DASK_SERVICES", "")
    if services and not ended.returncode:
        log.warning("idle for %d minutes: stopping %s", IDLE_MINUTES, services)
        set_tasks(services, 0, 0)
    return ended.returncode


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(main(sys.argv[1:]))
