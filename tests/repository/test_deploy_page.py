"""docs/deploy.md names every variable, secret and GitHub setting that the deployment has, and none that it has not."""

import re
from pathlib import Path

import pytest

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
