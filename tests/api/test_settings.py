"""Settings: bounds, defaults, and what they never show."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from api.settings import ApiSettings
from tests.api.people import WHOLE


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("store_url", ""), ("forecast_deadline_hours", 0), ("forecast_deadline_hours", "soon"), ("host", ""),
        ("port", 0), ("port", 65536), ("port", "http"), ("auth", "maybe"), ("rate_per_second", 0),
        ("rate_per_second", "nan"), ("rate_burst", 0), ("body_bytes", 10), ("body_seconds", 0), ("export_rows", 1),
        ("processes", 0), ("header_bytes", 100), ("header_seconds", 0),
        ("memory_rows", -1), ("refresh_seconds", 0), ("refresh_seconds", "inf"), ("pool_size", 0),
        ("store_seconds", 0),
        ("log_level", "loud"), ("tracing", "perhaps"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused_by_name(field: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = {"store_url": "DEMAND_STORE_URL", "forecast_deadline_hours": "DEMAND_FORECAST_DEADLINE_HOURS"}
    monkeypatch.setenv("DEMAND_STORE_URL", "sqlite:///x.db")
    name = shared.get(field, f"DEMAND_API_{field.upper()}")
    monkeypatch.setenv(name, str(value))
    with pytest.raises(ValidationError) as refused:
        ApiSettings()  # type: ignore[call-arg]
    [error] = refused.value.errors()
    assert str(error["loc"][0]) in (field, name)
    monkeypatch.delenv(name)
    monkeypatch.setenv("DEMAND_STORE_URL", "sqlite:///x.db")
    assert ApiSettings().store_url == "sqlite:///x.db"  # type: ignore[call-arg]


def test_keys_can_be_off_on_loopback_only() -> None:
    def asked(**settings: Any) -> bool:
        return ApiSettings(store_url="sqlite:///x.db", **settings).identity_required

    assert not asked()
    for loopback in ("::1", "localhost", "127.0.0.2"):
        assert not asked(host=loopback)
        assert not asked(host=loopback, auth="off")
        assert asked(host=loopback, auth="on")
    for reachable in ("0.0.0.0", "::", "example.org", "localhost.example.org", "10.0.0.1"):
        assert asked(host=reachable)
    with pytest.raises(ValidationError, match="only on loopback"):
        asked(auth="off", host="10.0.0.1")


def test_a_burst_has_a_request_for_each_process() -> None:
    with pytest.raises(ValidationError, match="DEMAND_API_RATE_BURST is 3: expected at least DEMAND_API_PROCESSES, 4"):
        ApiSettings(store_url="sqlite:///x.db", rate_burst=3, processes=4)
    assert ApiSettings(store_url="sqlite:///x.db", rate_burst=4, processes=4).processes == 4


def test_the_address_of_the_store_is_never_shown() -> None:
    settings = ApiSettings(store_url="postgresql://demand:hunter2secret@host/db")
    assert "hunter2secret" not in repr(settings) + str(settings)
    with pytest.raises(ValidationError) as refused:
        ApiSettings(store_url="postgresql://demand:hunter2secret@host/db", port=0)
    assert "hunter2secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"oidc_issuer": "", "oidc_client_id": ""}, "also needs DEMAND_API_OIDC_ISSUER, DEMAND_API_OIDC_CLIENT_ID"),
        ({"public_url": "", "oidc_roles": ""}, "sign-in also needs DEMAND_API_OIDC_ROLES, DEMAND_PUBLIC_URL"),
        ({"oidc_issuer": "", "session_secret": ""}, "also needs DEMAND_API_OIDC_ISSUER, DEMAND_API_SESSION_SECRET"),
        ({"session_secret": "short"}, "DEMAND_API_SESSION_SECRET: expected 32 characters or more, got 5"),
        ({"oidc_issuer": "http://provider.test"}, "DEMAND_API_OIDC_ISSUER: expected https://HOST"),
        ({"public_url": "demand.test"}, "DEMAND_PUBLIC_URL: expected https://HOST"),
        (
            {"oidc_roles": "boss=it"},
            "a role of viewer, planner, approver, admin, got 'boss=it'",
        ),
        ({"oidc_roles": "viewer"}, "got 'viewer'"),
        ({"oidc_scopes": "email groups"}, "expected openid among them"),
        ({"auth": "off"}, "DEMAND_API_AUTH is off"),
        ({"alb_arn": "app/demand"}, "alb_arn"),
    ],
    ids=str,
)
def test_half_a_sign_in_is_refused_by_name(changes: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        ApiSettings(**WHOLE | changes)
    assert "s" * 32 not in str(error.value)


def test_a_sign_in_is_asked_for_on_loopback_too() -> None:
    settings = ApiSettings(**WHOLE)
    assert (settings.identity_required, settings.sign_in) == (True, "here")
    assert "s" * 32 not in repr(settings)
    assert ApiSettings(**WHOLE, approval_percent=20).approval_percent == 20
