"""What is deployed is what was built once, tried, scanned and signed: the same bytes in every stage."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
DIGEST = f"sha256:{'1' * 64}"
TARGET = "1.dkr.ecr.us-east-1.amazonaws.com/demand-dev/api:c0ffee-1-1"
# Stand-ins that write down how they were called; the digest of the copy is that of the file `copied`.
DOCKER = """#!/bin/sh
echo "docker $*" >> calls
case $* in
  *"inspect ghcr.io/"*:none*) exit 1 ;;
  *"inspect ghcr.io/"*) echo "DIGEST" ;;
  *inspect*) cat copied ;;
esac
"""
COSIGN = """#!/bin/sh
echo "cosign $*" >> calls
test ! -e unsigned
"""


def promote(folder: Path, commit: str = "c0ffee") -> Any:
    for name, script in (("docker", DOCKER.replace("DIGEST", DIGEST)), ("cosign", COSIGN)):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "GITHUB_REPOSITORY": "Example/Demand"}
    command = [ROOT / "docker" / "promote.sh", "api", commit, TARGET]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def calls(folder: Path) -> list[str]:
    return [" ".join(line.split()[:4]) for line in (folder / "calls").read_text().splitlines()]


def test_a_signed_image_is_copied_by_its_digest(tmp_path: Path) -> None:
    (tmp_path / "copied").write_text(DIGEST)
    ended = promote(tmp_path)
    assert (ended.returncode, ended.stdout) == (0, f"api={TARGET.rpartition(':')[0]}@{DIGEST}\n"), ended.stderr
    assert calls(tmp_path) == [
        "docker buildx imagetools inspect",
        f"cosign verify ghcr.io/example/demand/api@{DIGEST} --output",
        "docker buildx imagetools create",
        "docker buildx imagetools inspect",
    ]
    verified = (tmp_path / "calls").read_text().splitlines()[1]
    assert "https://github.com/Example/Demand/.github/workflows/images.yml@refs/heads/main" in verified


def test_an_image_that_is_not_signed_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "unsigned").touch()
    assert promote(tmp_path).returncode != 0
    assert not any("create" in call for call in calls(tmp_path))


@pytest.mark.parametrize(
    ("commit", "told"), [("none", "there is no image ghcr.io/example/demand/api:none"), ("c0ffee", "got sha256:2")]
)
def test_an_image_that_is_missing_or_became_another_is_told_of(tmp_path: Path, commit: str, told: str) -> None:
    (tmp_path / "copied").write_text("sha256:2")
    ended = promote(tmp_path, commit)
    assert (ended.returncode, told in ended.stderr, ended.stdout) == (1, True, "")


def test_images_are_built_once_and_signed_after_they_were_tried_and_scanned() -> None:
    deploy = (WORKFLOWS / "deploy.yml").read_text()
    assert "build-push-action" not in deploy
    assert deploy.index("docker/promote.sh") < deploy.index("docker/deploy.py roll-out")
    steps = yaml.safe_load((WORKFLOWS / "images.yml").read_text())["jobs"]["image"]["steps"]
    words = [f"{step.get('uses', '')} {step.get('run', '')}" for step in steps]
    order = ["build-push-action", "try_image.sh", "scan-action", "cosign sign"]
    assert [
        next(word for word in order if word in line) for line in words if any(word in line for word in order)
    ] == order
    built = next(step["with"] for step in steps if "build-push-action" in step.get("uses", ""))
    assert (built["sbom"], built["provenance"]) == (True, "mode=max")
