"""docs/deploy.md names every variable, secret and GitHub setting that the deployment has, and none that it has not."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text()
PREFIXES = ("DEMAND_", "DAGSTER_", "MLFLOW_", "AWS_")


def of_tasks() -> set[str]:
    """Environment and secrets of the task definitions."""
    text = (ROOT / "terraform" / "tasks.tf").read_text()
    return {name for name in re.findall(r"\b([A-Z][A-Z0-9_]{5,})\s+=", text) if name.startswith(PREFIXES)}


def of_the_workflow() -> set[str]:
    """Variables and secrets of the GitHub environment."""
    text = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
    return set(re.findall(r"\b(?:vars|secrets)\.([A-Z_]+)", text))


def of_secrets_manager() -> set[str]:
    text = (ROOT / "terraform" / "modules" / "database" / "main.tf").read_text()
    return set(re.findall(r"\b((?:store|dagster|mlflow)-url(?:-api)?)\b", text))


def required_variables() -> set[str]:
    text = (ROOT / "terraform" / "variables.tf").read_text()
    blocks = re.findall(r'variable "(\w+)" \{\n(.*?)\n\}', text, re.DOTALL)
    files = [(ROOT / "terraform" / f"{stage}.tfvars").read_text() for stage in ("dev", "prod")]
    given = [set(re.findall(r"^(\w+)\s*=", text, re.MULTILINE)) for text in files]
    return {name for name, body in blocks if not re.search(r"^\s*default\s*=", body, re.MULTILINE)} - (
        given[0] & given[1]
    )


def test_the_sources_are_read() -> None:
    assert "DEMAND_STORE_URL" in of_tasks()
    assert "ECS_CLUSTER" in of_the_workflow()
    assert of_secrets_manager() == {"store-url", "store-url-api", "dagster-url", "mlflow-url"}
    assert "bucket_name" in required_variables()


@pytest.mark.parametrize("names", [of_tasks, of_the_workflow, of_secrets_manager, required_variables])
def test_the_page_names_what_the_deployment_has(names: object) -> None:
    assert callable(names)
    assert sorted(name for name in names() if not re.search(rf"(?<![\w-]){name}(?![\w-])", PAGE)) == []


def test_the_page_names_nothing_that_the_deployment_has_not() -> None:
    named = {name for name in re.findall(r"`([A-Z][A-Z0-9_]{5,})`", PAGE) if name.startswith(PREFIXES)}
    assert sorted(named - of_tasks() - of_the_workflow()) == []


def test_every_command_of_the_page_is_one_that_a_shell_reads() -> None:
    blocks = re.findall(r"^( *)```sh\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)
    assert len(blocks) > 6
    for _, block in blocks:
        read = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, ""), block


def test_no_step_needs_a_shell_in_the_private_network() -> None:
    # Its gateway to S3 lets nothing but the stage's own buckets through.
    assert re.findall(r"(?i)cloudshell|psql|bastion|ssh ", PAGE) == []


def test_the_outputs_that_the_page_reads_exist() -> None:
    outputs = set(re.findall(r'^output "(\w+)"', (ROOT / "terraform" / "outputs.tf").read_text(), re.MULTILINE))
    read = set(re.findall(r"output -(?:raw|json) (\w+)|\.(\w+)\.value|outputs? `(\w+)`", PAGE))
    named = {name for names in read for name in names if name}
    assert len(named) > 5
    assert sorted(named - outputs) == []


def test_the_runbook_gives_the_settings_that_the_instance_has() -> None:
    runbook = " ".join((ROOT / "docs" / "runbook.md").read_text().split())
    instance = yaml.safe_load((ROOT / "docker" / "dagster.aws.yaml").read_text())
    monitoring, retries = instance["run_monitoring"], instance["run_retries"]
    assert f"{monitoring['start_timeout_seconds']} s (`start_timeout_seconds`)" in runbook
    assert f"{monitoring['poll_interval_seconds']} s (`run_monitoring.poll_interval_seconds`)" in runbook
    assert f"`max_resume_run_attempts: {monitoring['max_resume_run_attempts']}`" in runbook
    assert ("twice (`run_retries.max_retries`)" in runbook, retries["max_retries"]) == (True, 2)
    assert f"`retry_on_asset_or_op_failure: {str(retries['retry_on_asset_or_op_failure']).lower()}`" in runbook
    assert instance["concurrency"]["runs"]["max_concurrent_runs"] == 1
