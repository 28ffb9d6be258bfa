"""Runs as Fargate tasks: their size by job, and their network from the environment."""

from collections.abc import Mapping
from typing import Any

from dagster import DagsterRun, Field, StringSource
from dagster_aws.ecs import EcsRunLauncher

# CPU units and MiB of the task of each job's runs, a combination that Fargate has. Twice and more what the job took on
# 3,331 series (docs/deploy.md has the figures); training has room for a horizon of 39 weeks.
TASK_SIZES = {
    "ingest": (1024, 2048),
    "build_features": (2048, 4096),
    "train_and_forecast": (4096, 16384),
    "forecast": (2048, 4096),
    "weekly": (2048, 4096),
    "score": (1024, 2048),
    "scenario": (2048, 4096),
    "smoke": (1024, 2048),
}


class FargateRunLauncher(EcsRunLauncher):
    """EcsRunLauncher that starts its tasks in `subnets` (comma-separated) with `security_group` and no public address.

    EcsRunLauncher takes both only as literal lists inside run_task_kwargs, where `env:` is not resolved; one
    dagster.yaml would fit one network alone. It takes sizes from tags alone, which jobs would carry everywhere.
    """

    def __init__(
        self,
        subnets: str,
        security_group: str,
        run_task_kwargs: Mapping[str, Any] | None = None,
        **others: Any,
    ):
        network = {
            "subnets": [subnet.strip() for subnet in subnets.split(",") if subnet.strip()],
            "securityGroups": [security_group],
            "assignPublicIp": "DISABLED",
        }
        super().__init__(
            run_task_kwargs={**(run_task_kwargs or {}), "networkConfiguration": {"awsvpcConfiguration": network}},
            **others,
        )

    def get_cpu_and_memory_overrides(self, container_context: Any, run: DagsterRun) -> Mapping[str, str]:
        """The run's own tags ecs/cpu and ecs/memory, else the size of its job."""
        sizes = dict(zip(("cpu", "memory"), map(str, TASK_SIZES.get(run.job_name, ())), strict=False))
        return {**sizes, **super().get_cpu_and_memory_overrides(container_context, run)}

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """The fields of EcsRunLauncher, and the network's."""
        return {
            **super().config_type(),  # type: ignore[no-untyped-call]
            "subnets": Field(StringSource, description="Subnets of the tasks, comma-separated."),
            "security_group": Field(StringSource, description="Security group of the tasks."),
        }
