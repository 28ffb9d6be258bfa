"""An AWS-speaking server whose ECS runs what it is asked to run: `python -m tests.stack.aws_server PORT FOLDER`.

moto's server keeps the state of S3, ECS, SNS, SQS, CloudWatch, Secrets Manager and EC2. Beside it an agent does what
ECS's own does: a task that was asked for becomes a process, made of the command, environment and secrets of the task
definition with the run's overrides on top; when it ends, the task is STOPPED with its exit code; a task that is stopped
loses its process.

Who calls is judged by the policies of its role, which `FOLDER/roles.json` has by name; `GET /refused` lists what was
refused.

`GET /faults?s3=0.2` makes that share of S3 calls fail with 503 SlowDown, and one in a hundred of those hang past the
client's patience first; they are drawn from a seeded generator. `GET /faults?hold=processed/demand_features/` lets
three objects under that prefix be written and keeps every later one waiting; `hold=` ends the wait, with 503 and
nothing written.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ecs.models import Task, ecs_backends
from moto.moto_api import state_manager
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from tests.identity import REGION, Identity
from tests.stack.confinement import Confinement
from tests.stack.tasks import client_of, given_by_ecs

HANG_S = 25.0
LET_THROUGH = 3
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Faults:
    """WSGI middleware in front of moto."""

    def __init__(self, app: Identity) -> None:
        self.app, self.share, self.made = app, 0.0, 0
        self.prefix, self.let_through, self.held = "", 0, 0
        self._draw, self._lock, self._ended = random.Random(7), threading.Lock(), threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/refused":
            start_response("200 OK", [("content-type", "application/json")])
            return [json.dumps(self.app.refused).encode()]
        if environ["PATH_INFO"] == "/faults":
            query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
            self.share = float(query.get("s3", [self.share])[0])
            if "hold" in query:
                self._ended.set()
                self._ended = threading.Event()
                self.prefix, self.let_through, self.held = query["hold"][0], LET_THROUGH, 0
            start_response("200 OK", [("content-type", "application/json")])
            return [json.dumps({"share": self.share, "made": self.made, "held": self.held}).encode()]
        if "/s3/aws4_request" in environ.get("HTTP_AUTHORIZATION", ""):
            with self._lock:
                drawn = self._draw.random()
                fails = drawn < self.share
                self.made += fails
            if not fails and self._waits(environ):
                self._ended.wait()
                start_response("503 Slow Down", [("content-type", "application/xml")])
                return [_SLOW_DOWN]
            if fails:
                if drawn > self.share * 0.99:
                    time.sleep(HANG_S)
                start_response("503 Slow Down", [("content-type", "application/xml")])
                return [_SLOW_DOWN]
        return self.app(environ, start_response)

    def _waits(self, environ: dict[str, Any]) -> bool:
        """Whether this is a write to wait: of an object under the prefix, after those that are let through."""
        if environ["REQUEST_METHOD"] != "PUT" or not self.prefix or self.prefix not in environ["PATH_INFO"]:
            return False
        with self._lock:
            self.let_through -= 1
            self.held += self.let_through < 0
            return self.let_through < 0


class Agent:
    """Runs the tasks that ECS says are running."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder, self.endpoint = folder, endpoint
        self.ecs = client_of("ecs", endpoint, "agent")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.confinement = Confinement(folder.parent)

    def look(self) -> None:
        """Start what is new, note what has ended, end what was stopped."""
        backend = ecs_backends[DEFAULT_ACCOUNT_ID][REGION]
        for tasks in list(backend.tasks.values()):
            for task in list(tasks.values()):
                self._tend(task)

    def _tend(self, task: Task) -> None:
        process = self.processes.get(task.id)
        if process is None and task.last_status == "RUNNING" and task.desired_status == "RUNNING":
            self.processes[task.id] = self._start(task)
            return
        if process is None:
            return
        if task.desired_status == "STOPPED" and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        code = process.poll()
        if code is not None and task.last_status != "STOPPED":
            task.containers[0].exitCode = code if code >= 0 else 128 - code
            task.stopped_reason = "Essential container in task exited"
            task.desired_status = task.last_status = "STOPPED"

    def _start(self, task: Task) -> "subprocess.Popen[bytes]":
        told = self.ecs.describe_task_definition(taskDefinition=task.task_definition_arn)["taskDefinition"]
        override: dict[str, Any] = next(iter(task.overrides.get("containerOverrides", [])), {})
        environment = {**os.environ, **given_by_ecs(told, override, self.endpoint)}
        record = {"command": override["command"], "overrides": task.overrides, "tags": task.tags}
        (self.folder / f"{task.id}.json").write_text(json.dumps(record, default=str))
        with open(self.folder / f"{task.id}.log", "wb") as log:
            started = self.confinement.command(told, override, override["command"])
            return subprocess.Popen(started, env=environment, stdout=log, stderr=log, start_new_session=True)

    def stop(self) -> None:
        """End every process."""
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.confinement.end()


def main(port: int, folder: Path) -> None:
    """Serve until SIGTERM."""
    # A task stays as it is until the agent says otherwise.
    state_manager.set_transition("ecs::task", {"progression": "manual", "times": 10**9})
    roles = json.loads((folder / "roles.json").read_text())
    judged = Identity(DomainDispatcherApplication(create_backend_app), roles)
    server = make_server("127.0.0.1", port, Faults(judged), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    agent = Agent(folder, f"http://127.0.0.1:{port}")
    while not ended.wait(0.2):
        agent.look()
    agent.stop()
    server.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
