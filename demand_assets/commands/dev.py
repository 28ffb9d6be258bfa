"""`demand dev`: every server of the product on this machine, started together and stopped together."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from demand_assets.commands.instance import child_environment
from demand_assets.commands.terminal import terminal
from demand_assets.errors import DemandError
from demand_assets.settings import read_settings

_HOST = "127.0.0.1"
_STARTUP_SECONDS = 120.0
_SHUTDOWN_SECONDS = 15.0
_ROOT = Path(__file__).parents[2]


def serve(dagster_port: int, api_port: int, mlflow_port: int) -> int:
    """Run until Ctrl-C or until a server ends; 0 after Ctrl-C, 1 when a server ended by itself."""
    settings = read_settings()
    console = terminal()
    ports = {"Dagster UI": dagster_port, "API": api_port, "MLflow": mlflow_port}
    for name, port in ports.items():
        with socket.socket() as probe:
            if probe.connect_ex((_HOST, port)) == 0:
                raise DemandError(f"port {port} for {name} is taken; stop what listens there or choose another port")
    from demand_assets.resources import build_resources
    from demand_assets.store.migrations import migrate

    migrate(settings.store)
    pages = {"MLflow": build_resources(settings)["registry"].page()}
    environment = {**child_environment(settings), "DEMAND_STORE_URL": settings.store}
    # Nobody asks for MLflow's jobs: eight processes of 250 MB each.
    environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    logs = settings.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    bin_folder = Path(sys.executable).parent
    code = ["-m", "demand_assets.definitions"]
    commands = {
        "Dagster UI": [str(bin_folder / "dagster-webserver"), *code, "-h", _HOST, "-p", str(dagster_port)],
        "Dagster daemon": [str(bin_folder / "dagster-daemon"), "run", *code],
        "API": [sys.executable, "-m", "api", "--host", _HOST, "--port", str(api_port)],
        "MLflow": [
            str(bin_folder / "mlflow"), "server", "--host", _HOST, "--port", str(mlflow_port), "--workers", "1",
            "--backend-store-uri", settings.tracking, "--default-artifact-root", settings.artifacts,
        ],
    }  # fmt: skip
    processes: dict[str, subprocess.Popen[bytes]] = {}
    # Both: a shell that starts this in the background has it ignore the interrupt.
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        for name, command in commands.items():
            log = open(logs / f"{name.lower().replace(' ', '-')}.log", "ab")  # noqa: SIM115
            # A group of its own: Dagster's servers have children that would outlive them.
            processes[name] = subprocess.Popen(  # noqa: S603
                command, env=environment, cwd=_ROOT, stdout=log, stderr=log, start_new_session=True
            )
            log.close()
        with console.status("Starting the servers ..."):
            _await(processes, ports)
        console.print(f"Workspace {settings.home}; logs in {logs}")
        for name, port in ports.items():
            console.print(f"  {name:<11} http://{_HOST}:{port}{pages.get(name, '')}", soft_wrap=True)
        console.print("Ctrl-C stops them all.")
        while True:
            _require_alive(processes, logs)
            time.sleep(0.5)
    except KeyboardInterrupt:
        console.print("Stopping ...")
        return 0
    finally:
        _stop(processes)


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def _await(processes: dict[str, subprocess.Popen[bytes]], ports: dict[str, int]) -> None:
    deadline = time.monotonic() + _STARTUP_SECONDS
    waiting = dict(ports)
    while waiting:
        _require_alive(processes, None)
        if time.monotonic() > deadline:
            raise DemandError(f"{next(iter(waiting))} did not start within {_STARTUP_SECONDS:.0f} s; see its log")
        for name, port in list(waiting.items()):
            with socket.socket() as probe:
                if probe.connect_ex((_HOST, port)) == 0:
                    del waiting[name]
        time.sleep(0.2)


def _require_alive(processes: dict[str, subprocess.Popen[bytes]], logs: Path | None) -> None:
    for name, process in processes.items():
        if process.poll() is not None:
            where = f"; see {logs}" if logs else "; see its log"
            raise DemandError(f"{name} ended by itself with code {process.returncode}{where}")


def _stop(processes: dict[str, subprocess.Popen[bytes]]) -> None:
    for sign, patience in ((signal.SIGINT, _SHUTDOWN_SECONDS), (signal.SIGKILL, 5.0)):
        for process in processes.values():
            _signal_group(process, sign)
        deadline = time.monotonic() + patience
        while any(process.poll() is None for process in processes.values()) and time.monotonic() < deadline:
            time.sleep(0.1)
    # The leaders are gone; children of theirs that ignored the signal are not.
    for process in processes.values():
        _signal_group(process, signal.SIGKILL)


def _signal_group(process: "subprocess.Popen[bytes]", sign: int) -> None:
    try:
        os.killpg(process.pid, sign)
    except ProcessLookupError:
        return
