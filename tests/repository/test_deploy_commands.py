"""The commands of docs/deploy.md, run from top to bottom against stand-ins for AWS, Terraform's provider and GitHub."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.api.conftest import free_port
from tests.repository.docker_files import ROOT
from tests.repository.terraform_files import copy_terraform
from tests.repository.terraform_plan import INSTALLATION
from tests.repository.terraform_schema import SCHEMA
from tests.waiting import answers, until

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("terraform") or not shutil.which("aws"), reason="needs Terraform and AWS CLI"),
]
# Needs HashiCorp's registry.
ELSEWHERE = ("terraform init -upgrade", "terraform providers lock", "git add .terraform.lock.hcl")
# GitHub, and what the stand-in does not know: the CLI checks parameters of a session and of a quota, and asks nobody.
_FUNCTIONS = """
set -euo pipefail
gh() { [ "$1 $2 $3" = "secret set SMOKE_API_KEY" ] && [[ "${!#}" == dk_* ]] && echo "GitHub has the key"; }
aws() {
  case "$1 $2" in
    "ssm start-session" | "service-quotas get-service-quota") command aws "$@" --generate-cli-skeleton output ;;
    *) command aws "$@" ;;
  esac
}
"""


def blocks() -> list[str]:
    """Every block of commands on the page, in its order."""
    page = (ROOT / "docs" / "deploy.md").read_text()
    found = re.findall(r"^( *)```sh\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
    lines = [re.sub(f"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]
    return ["\n".join(line for line in body.splitlines() if not line.startswith(ELSEWHERE)) for body in lines]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An AWS account of its own, empty."""
    with free_port() as held:
        port = held.getsockname()[1]
    # A process, as moto keeps one account for all servers of a process.
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    given = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**given, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}.items():
        monkeypatch.setenv(name, value)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        until(lambda: answers(f"http://127.0.0.1:{port}"), server)
        yield
        server.terminate()


class Shell:
    """A shell in a copy of the repository, which goes on where the block before ended."""

    def __init__(self, folder: Path, environment: Mapping[str, str], names: Mapping[str, str]) -> None:
        self.folder, self.environment, self.names = folder, environment, names

    def __call__(self, block: str) -> str:
        for name, value in self.names.items():
            block = re.sub(rf"\b{name}\b", value, block)
        done = subprocess.run(
            ["bash", "-c", f"{_FUNCTIONS}\n{block}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}"
        if block.startswith("cd "):
            self.folder = self.folder / block.split()[1]
        return done.stdout


def network() -> dict[str, Any]:
    """A VPC that is there already: the stand-in for ECS starts tasks in subnets that it knows."""
    ec2 = boto3.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    made = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{one}.0/24")["Subnet"]["SubnetId"] for one in range(4)]
    return {"vpc_id": vpc, "public_subnet_ids": made[:2], "private_subnet_ids": made[2:]}


def make_what_terraform_planned() -> None:
    """Of what the commands after `apply` touch; the provider's stand-in makes nothing."""
    for name in ("store-url", "store-url-api", "dagster-url", "mlflow-url", "key-smoke"):
        boto3.client("secretsmanager").create_secret(Name=f"demand/dev/{name}")
    boto3.client("s3").create_bucket(Bucket="example-demand")
    ecs = boto3.client("ecs")
    ecs.create_cluster(clusterName="demand-dev")
    ecs.register_task_definition(
        family="demand-dev-migrate",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="512",
        memory="1024",
        containerDefinitions=[{"name": "migrate", "image": "x", "memory": 1024}],
    )


def test_the_page_is_a_script_from_an_empty_account_to_its_end(account: None, csv_folder: Path, tmp_path: Path) -> None:
    from tests.repository.terraform_provider import provider_environment

    copy_terraform(tmp_path / "terraform")
    mine = f"{INSTALLATION}\nnetwork = {json.dumps(network())}\n"
    (tmp_path / "terraform" / "dev.mine.tfvars").write_text(mine)
    names = {
        "STATE_BUCKET": "demand-state",
        "BUCKET": "example-demand",
        "FOLDER": str(csv_folder),
        "CLIENT_SECRET": "s3cret",
    }
    # The state is kept in S3 as on the page; moto's names have no subdomains.
    init = ("use_path_style=true", "skip_credentials_validation=true", "skip_requesting_account_id=true")
    local = {
        "TF_CLI_ARGS_init": " ".join(f"-backend-config={one}" for one in init),
        "TF_CLI_ARGS_apply": "-auto-approve",
        "TF_CLI_ARGS_destroy": "-auto-approve",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with provider_environment(json.loads(SCHEMA.read_text())["types"], made=True) as environment:
        shell = Shell(tmp_path, os.environ | environment | local, names)
        said = []
        for block in blocks():
            said.append(shell(block))
            if "terraform apply" in block:
                make_what_terraform_planned()
            if "put-secret-value" in block:
                secret = boto3.client("secretsmanager").get_secret_value(SecretId="demand/dev/store-url-api")
                assert re.fullmatch(
                    r"postgresql://demand_api:\w{40}@[\w.-]+:5432/demand\?sslmode=verify-full", secret["SecretString"]
                )
            if "aws s3 cp" in block:
                landed = boto3.client("s3").list_objects_v2(Bucket="example-demand", Prefix="raw/")["Contents"]
                assert {one["Key"] for one in landed} == {f"raw/{path.name}" for path in csv_folder.iterdir()}
                # What the task `migrate` does with it, test_aws_instance.py has.
                boto3.client("secretsmanager").put_secret_value(SecretId="demand/dev/key-smoke", SecretString="dk_1")
    everything = "".join(said)
    assert "Apply complete!" in everything
    assert "GitHub has the key" in everything
    assert "Destroy complete!" in said[-1]
    assert boto3.client("s3").get_bucket_versioning(Bucket="demand-state")["Status"] == "Enabled"
    (state,) = boto3.client("s3").list_objects_v2(Bucket="demand-state")["Contents"]
    kept = json.loads(boto3.client("s3").get_object(Bucket="demand-state", Key=state["Key"])["Body"].read())
    assert (state["Key"], kept["resources"]) == ("env:/dev/demand.tfstate", [])
