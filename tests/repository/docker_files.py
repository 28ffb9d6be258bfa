"""The folder of the images and the command of each part."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMMANDS = {
    "code": "dagster code-server start -h 0.0.0.0 -p 4000 -m demand_assets.definitions",
    "webserver": "dagster-webserver -h 0.0.0.0 -p 3000 -w /opt/dagster/workspace.yaml",
    "daemon": "dagster-daemon run -w /opt/dagster/workspace.yaml",
    "api": "python -m api",
    "mlflow": "mlflow server --host 0.0.0.0 --port 5000 --workers 1 --serve-artifacts",
    "migrate": "sh -c demand migrate && dagster instance migrate",
    "database": "demand bootstrap-database",
    "dask-scheduler": "python -m demand_assets.adapters.cluster_services scheduler",
    "dask-worker": (
        "python -m distributed.cli.dask_worker tcp://dask-scheduler:8786 "
        "--nthreads 1 --memory-limit 0.9 --no-dashboard --death-timeout 300"
    ),
}
