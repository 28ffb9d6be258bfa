"""Runs as Fargate tasks, with the network of the tasks taken from the environment."""

from collections.abc import Mapping
from typing import Any

from dagster import Field, StringSource
from dagster_aws.ecs import EcsRunLauncher


class FargateRunLauncher(EcsRunLauncher):
    """EcsRunLauncher that starts its tasks in `subnets` (comma-separated) with `security_group` and no public address.

    EcsRunLauncher takes both only as literal lists inside run_task_kwargs, where `env:` is not resolved; one
    dagster.yaml would fit one network alone.
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

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """The fields of EcsRunLauncher, and the network's."""
        return {
            **super().config_type(),  # type: ignore[no-untyped-call]
            "subnets": Field(StringSource, description="Subnets of the tasks, comma-separated."),
            "security_group": Field(StringSource, description="Security group of the tasks."),
        }
