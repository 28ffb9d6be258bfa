"""Operators reach Dagster's webserver, others do not, and a network that is there already is used as it is."""

from collections.abc import Callable

from tests.repository.terraform_plan import Plan

BROUGHT = 'network={"vpc_id":"vpc-1","public_subnet_ids":["s-1","s-2"],"private_subnet_ids":["s-3","s-4"]}'


def group(plan: Plan, name: str) -> str:
    return str(plan.one("aws_security_group", name)["id"])


def admitted(plan: Plan, name: str) -> set[tuple[str, int]]:
    """Groups and addresses that may come in, with the port."""
    rules = [
        one for one in plan.all("aws_vpc_security_group_ingress_rule") if one["security_group_id"] == group(plan, name)
    ]
    return {(one.get("referenced_security_group_id") or one["cidr_ipv4"], one["from_port"]) for one in rules}


def test_operators_have_a_way_to_the_webserver_through_a_door_without_open_ports(dev: Plan) -> None:
    door = group(dev, "demand-dev-door")
    assert admitted(dev, "demand-dev-door") == set()
    assert admitted(dev, "demand-dev-alb-internal") == {(door, 443)}
    (machine,) = dev.all("aws_instance")
    assert (machine["vpc_security_group_ids"], machine["metadata_options"][0]["http_tokens"]) == ([door], "required")
    (managed,) = [one for one in dev.all("aws_iam_role_policy_attachment") if one["role"] == "demand-dev-door"]
    assert managed["policy_arn"].endswith("/AmazonSSMManagedInstanceCore")


def test_a_network_that_is_there_already_is_used_as_it_is(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of("dev", BROUGHT, 'operator_cidrs=["10.0.0.0/16"]', "door=false")
    made = ("aws_vpc", "aws_subnet", "aws_route_table", "aws_nat_gateway", "aws_flow_log", "aws_instance")
    assert [kind for kind in made if plan.all(kind)] == []
    assert {one["vpc_id"] for one in plan.all("aws_security_group")} == {"vpc-1"}
    networks = [one["network_configuration"][0] for one in plan.all("aws_ecs_service")]
    assert {tuple(one["subnets"]) for one in networks} == {("s-3", "s-4")}
    assert admitted(plan, "demand-dev-alb-internal") == {("10.0.0.0/16", 443)}
