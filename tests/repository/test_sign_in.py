"""The load balancer signs people in, machines with keys go past, and the service takes what Terraform gives it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from api.settings import ApiSettings
from tests.repository.terraform_plan import Plan

SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:oidc-AbCdEf"
PROVIDER = {
    "issuer": "https://login.example.org",
    "authorization_endpoint": "https://login.example.org/authorize",
    "token_endpoint": "https://login.example.org/token",
    "user_info_endpoint": "https://login.example.org/userinfo",
    "client_id": "demand",
    "secret_arn": SECRET,
    "roles": "viewer=*; planner=sales",
}
COLUMNS = {"SITE": "store_id", "QTY": "order_quantity"}
SETTINGS = {"DEMAND_API_ORDER_LAYOUT": json.dumps({"columns": COLUMNS}), "DEMAND_API_STORE_SECONDS": "9"}
OWN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:own-AbCdEf"
TOPIC = "arn:aws:sns:us-east-1:123456789012:events"


@pytest.fixture
def retailer(plan_of: Callable[..., Plan]) -> Plan:
    """The stage dev with what a retailer may set."""
    return plan_of(
        "dev",
        f"sign_in={json.dumps(PROVIDER)}",
        f"api_settings={json.dumps(SETTINGS)}",
        f"api_setting_secrets={json.dumps({'DEMAND_API_SESSION_SECRET': OWN})}",
        f"settings={json.dumps({'DEMAND_EVENT_SNS_TOPIC': TOPIC})}",
        f"setting_secrets={json.dumps({'DEMAND_ALERT_URLS': OWN})}",
    )


def rules(plan: Plan) -> dict[int, tuple[set[str], list[str]]]:
    """By priority: the paths and headers of each rule of the service's listener, and its actions in their order."""
    found = {}
    for rule in plan.all("aws_lb_listener_rule"):
        asked: set[str] = set()
        for one in rule["condition"]:
            asked |= {path for inner in one["path_pattern"] for path in inner["values"]}
            asked |= {f"{inner['http_header_name']}: {inner['values'][0]}" for inner in one["http_header"]}
        actions = [
            f"{one['type']} {inner['on_unauthenticated_request']}" if one["authenticate_oidc"] else one["type"]
            for one in rule["action"]
            for inner in one["authenticate_oidc"] or [None]
        ]
        found[rule["priority"]] = (asked, actions)
    return found


def test_people_sign_in_and_keys_go_past(retailer: Plan) -> None:
    assert rules(retailer) == {
        5: ({"/metrics"}, ["fixed-response"]),
        6: ({"Authorization: Bearer *"}, ["forward"]),
        7: ({"X-API-Key: *"}, ["forward"]),
        8: ({"/sign-in"}, ["authenticate-oidc authenticate", "forward"]),
        9: ({"/*"}, ["authenticate-oidc allow", "forward"]),
        10: (set(), ["forward"]),
    }
    hosts = [
        [inner["values"] for one in rule["condition"] for inner in one["host_header"]]
        for rule in retailer.all("aws_lb_listener_rule")
        if rule["priority"] > 5
    ]
    assert hosts == [[["demand.example.com"]]] * 5
    (client,) = {
        tuple(inner[name] for name in ("issuer", "client_id", "client_secret", "session_timeout"))
        for rule in retailer.all("aws_lb_listener_rule")
        for one in rule["action"]
        for inner in one["authenticate_oidc"]
    }
    assert client == ("https://login.example.org", "demand", "some secret_string", 8 * 3600)


def test_nobody_signs_in_without_a_provider(dev: Plan) -> None:
    assert set(rules(dev)) == {5, 10}
    assert not [name for name in dev.environment("demand-dev-api") if "OIDC" in name or "ALB" in name]


def test_the_load_balancer_reaches_the_provider_only_to_sign_in(retailer: Plan, dev: Plan) -> None:
    def ways_out(plan: Plan) -> list[Any]:
        alb = plan.one("aws_security_group", "demand-dev-alb")["id"]
        rules = plan.all("aws_vpc_security_group_egress_rule")
        return sorted(
            one["cidr_ipv4"] for one in rules if one["security_group_id"] == alb and one.get("cidr_ipv4") is not None
        )

    assert (ways_out(retailer), ways_out(dev)) == (["0.0.0.0/0"], [])


def test_the_service_takes_what_a_retailer_sets(retailer: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    container = retailer.container("demand-dev-api")
    secrets = {one["name"]: one["valueFrom"] for one in container["secrets"]}
    assert set(secrets) == {"DEMAND_API_SESSION_SECRET", "DEMAND_STORE_URL"}
    for name, value in (retailer.environment("demand-dev-api") | dict.fromkeys(secrets, "s" * 40)).items():
        monkeypatch.setenv(name, value)
    settings = ApiSettings()  # type: ignore[call-arg]
    assert settings.alb_arn == retailer.one("aws_lb", "demand-dev-api")["arn"]
    assert (settings.sign_in, settings.oidc_issuer, settings.store_seconds) == ("load_balancer", PROVIDER["issuer"], 9)
    assert settings.order_layout.columns == COLUMNS


def test_a_secret_of_the_retailers_is_read_by_who_needs_it(retailer: Plan) -> None:
    documents = {part: str(retailer.policies(f"demand-dev-{part}-execution")) for part in ("api", "run", "mlflow")}
    assert {part: OWN in text for part, text in documents.items()} == {"api": True, "run": True, "mlflow": False}
    assert retailer.environment("demand-dev-run")["DEMAND_EVENT_SNS_TOPIC"] == TOPIC
    assert TOPIC in str(retailer.policies("demand-dev-run-task"))
