"""terraform/.terraform.lock.hcl pins one release of the provider for every platform, and Terraform holds to it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.repository.docker_files import ROOT
from tests.repository.terraform_files import TERRAFORM, bare, copy_terraform, parsed_file

LOCK = TERRAFORM / ".terraform.lock.hcl"


def locked() -> dict[str, Any]:
    (named,) = parsed_file(LOCK.read_text())["provider"]
    ((address, body),) = named.items()
    assert bare(address) == "registry.terraform.io/hashicorp/aws"
    return {name: bare(value) if isinstance(value, str) else value for name, value in body.items()}


def test_the_lock_pins_a_release_that_the_configuration_allows() -> None:
    lock = locked()
    asked = set(re.findall(r'version = "(~> [\d.]+)"', "".join(p.read_text() for p in TERRAFORM.rglob("versions.tf"))))
    assert {lock["constraints"]} == asked
    least = tuple(int(part) for part in lock["constraints"].removeprefix("~> ").split("."))
    release = tuple(int(part) for part in lock["version"].split("."))
    assert release[0] == least[0]
    assert release[: len(least)] >= least
    assert f"pins release {lock['version']} of" in (ROOT / "docs" / "deploy.md").read_text()


def test_the_lock_has_every_platforms_package_by_both_hashes() -> None:
    hashes = [bare(each) for each in locked()["hashes"]]
    assert hashes == sorted(set(hashes))
    packages = [each for each in hashes if re.fullmatch(r"h1:[A-Za-z0-9+/]{43}=", each)]
    archives = [each for each in hashes if re.fullmatch(r"zh:[0-9a-f]{64}", each)]
    assert len(packages) + len(archives) == len(hashes)
    # Each archive but the manifest, which is no package, has an h1 beside its zh. So those that the page names have.
    assert len(packages) == len(archives) - 1
    page = (ROOT / "docs" / "deploy.md").read_text()
    assert len(set(re.findall(r"-platform=(\w+)", page))) <= len(packages)


@pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not installed; CI has it")
def test_terraform_refuses_another_package_of_that_release(tmp_path: Path) -> None:
    copy_terraform(tmp_path / "root", "backend.tf")
    shutil.copy(LOCK, tmp_path / "root")
    told = json.loads(subprocess.run(["terraform", "version", "-json"], capture_output=True, check=True).stdout)
    version = locked()["version"]
    package = tmp_path / "mirror/registry.terraform.io/hashicorp/aws" / version / told["platform"]
    package.mkdir(parents=True)
    (package / f"terraform-provider-aws_v{version}").write_text("#!/bin/sh\n")
    mirror = f'provider_installation {{\n  filesystem_mirror {{ path = "{tmp_path / "mirror"}" }}\n}}\n'
    (tmp_path / "terraformrc").write_text(mirror)
    done = subprocess.run(
        ["terraform", "init", "-no-color"],
        cwd=tmp_path / "root",
        env=os.environ | {"TF_CLI_CONFIG_FILE": str(tmp_path / "terraformrc")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    said = " ".join(done.stdout.split())
    assert f"Installing hashicorp/aws v{version}" in said
    assert "doesn't match any of the checksums previously recorded in the dependency lock file" in said
    assert done.returncode == 1
