"""Environment -> settings of the service."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.layouts import OrderLayout, OrderLayoutSetting
from api.people import Grants, parse_grants
from demand_assets.store.overrides import OverrideRules

PREFIX = "DEMAND_API_"
# What the service shares with the pipeline: one address of the store, one deadline of a forecast, its own address.
STORE_URL, DEADLINE, PUBLIC_URL = "DEMAND_STORE_URL", "DEMAND_FORECAST_DEADLINE_HOURS", "DEMAND_PUBLIC_URL"
_SHORTEST_SECRET = 32


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ApiSettings(BaseSettings):
    """Field `x` is read from `DEMAND_API_X`; the store's address and the deadline from the pipeline's own variables."""

    # The store's address may hold a password, so errors do not repeat inputs.
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, hide_input_in_errors=True, populate_by_name=True, enable_decoding=False
    )

    store_url: Annotated[
        str,
        Field(
            min_length=1,
            repr=False,
            validation_alias=AliasChoices("store_url", STORE_URL),
            description="SQL store: sqlite:///FILE or postgresql://USER@HOST/DB.",
        ),
    ]
    forecast_deadline_hours: Annotated[
        int,
        Field(
            ge=1,
            le=168,
            validation_alias=AliasChoices("forecast_deadline_hours", DEADLINE),
            description="Hours after a week's end by which it is to be forecast; later the newest forecast is stale.",
        ),
    ] = 72
    host: Annotated[str, Field(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535, description="Port to listen on.")] = 8000
    auth: Annotated[
        Literal["auto", "on", "off"],
        Field(
            description="Keys or sign-in: auto asks for them unless bound to loopback, where alone they may be off; "
            "with sign-in set up, always."
        ),
    ] = "auto"
    allowed_hosts: Annotated[
        str,
        Field(
            description="Host names answered to, comma-separated; empty: any, on loopback only loopback's own names."
        ),
    ] = ""
    cors_origins: Annotated[str, Field(description="Origins whose pages may call, comma-separated; empty: none.")] = ""
    root_path: Annotated[
        str,
        Field(
            pattern=r"^(/[A-Za-z0-9._~-]+)*$",
            description="Prefix that a proxy serves it under, such as /demand; whether or not the proxy takes it off.",
        ),
    ] = ""
    local_user: Annotated[
        str, Field(min_length=1, max_length=100, description="Who gives the numbers where neither is asked for.")
    ] = "local"
    public_url: Annotated[
        str,
        Field(
            validation_alias=AliasChoices("public_url", PUBLIC_URL),
            description="Address at which people open the dashboard; sign-in needs it.",
        ),
    ] = ""
    oidc_issuer: Annotated[
        str, Field(description="Issuer of the OpenID provider that people sign in at; empty: no sign-in.")
    ] = ""
    oidc_client_id: Annotated[str, Field(description="What that provider calls the service.")] = ""
    oidc_client_secret: Annotated[
        str, Field(repr=False, description="The service's secret at that provider; empty for a public client.")
    ] = ""
    oidc_scopes: Annotated[
        str, Field(min_length=6, description="Scopes asked of the provider, separated by spaces; openid is one.")
    ] = "openid email profile"
    oidc_name_claim: Annotated[
        str, Field(min_length=1, description="Claim that names a person: the author of what they decide.")
    ] = "email"
    oidc_roles_claim: Annotated[str, Field(min_length=1, description="Claim that holds a person's groups.")] = "groups"
    oidc_roles: Annotated[
        str,
        Field(
            description="Who is what: ROLE=GROUP, separated by semicolons; viewer, planner, approver or admin, "
            "and * for everybody who can sign in."
        ),
    ] = ""
    session_secret: Annotated[
        str, Field(repr=False, description="Signs the cookies of those who are signed in; 32 characters or more.")
    ] = ""
    session_hours: Annotated[float, Field(gt=0, le=168, description="How long a sign-in lasts.")] = 8.0
    alb_arn: Annotated[
        str,
        Field(
            pattern=r"^$|^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:loadbalancer/app/[^/\s]+/[0-9a-f]+$",
            description="Application Load Balancer that signs people in; empty: none, the service does it.",
        ),
    ] = ""
    alb_key_url: Annotated[
        str, Field(description="Where its public keys are; empty: at AWS's own address for its region.")
    ] = ""
    reason_codes: Annotated[
        str,
        Field(description="Codes of which a planner's number has to name one, comma-separated; empty: any."),
    ] = ""
    approval_percent: Annotated[
        float | None,
        Field(gt=0, description="Change of a forecast, in percent, over which a second person has to approve."),
    ] = None
    approval_amount: Annotated[
        float | None,
        Field(gt=0, description="Change of a forecast, in its unit, over which a second person has to approve."),
    ] = None
    lock_days: Annotated[
        int | None,
        Field(
            ge=-6,
            le=365,
            description="Days before the first day of a week from which on its numbers are fixed.",
        ),
    ] = None
    order_layout: Annotated[
        OrderLayoutSetting,
        Field(description="Columns of orders with `format=erp`: JSON, or the path of a JSON or TOML file."),
    ] = OrderLayout()
    rate_per_second: Annotated[
        float, Field(gt=0, le=1e6, description="Requests per second and API key, in all processes together.")
    ] = 50.0
    rate_burst: Annotated[
        int,
        Field(ge=1, le=10_000_000, description="Requests at once before that rate counts, in all of them together."),
    ] = 200
    processes: Annotated[
        int,
        Field(ge=1, le=1000, description="Processes behind one address; each lets its share of the rate through."),
    ] = 1
    header_bytes: Annotated[
        int, Field(ge=4096, le=2**20, description="Largest head of a request: its line and headers.")
    ] = 32_768
    header_seconds: Annotated[
        float, Field(gt=0, le=3600, description="Time the head of a request may take to arrive.")
    ] = 15.0
    body_bytes: Annotated[int, Field(ge=1024, le=2**30, description="Largest request body.")] = 2_000_000
    body_seconds: Annotated[float, Field(gt=0, le=3600, description="Time a request body may take to arrive.")] = 15.0
    export_rows: Annotated[
        int, Field(ge=1000, le=10**7, description="Most rows of one file: CSV, Excel, Arrow or Parquet.")
    ] = 200_000
    memory_rows: Annotated[
        int, Field(ge=0, le=10**8, description="Most rows of the newest vintage that are kept in memory.")
    ] = 500_000
    refresh_seconds: Annotated[float, Field(gt=0, le=3600, description="How often a new vintage is looked for.")] = 1.0
    pool_size: Annotated[int, Field(ge=1, le=64, description="Connections to PostgreSQL, or SQLite threads.")] = 4
    store_seconds: Annotated[
        float,
        Field(gt=0, le=3600, description="Wait for a connection to PostgreSQL before a request is refused."),
    ] = 5.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Field(description="Least severe lines logged; at warning, requests that went well are not."),
    ] = "info"
    tracing: Annotated[
        bool, Field(description="Spans to the OpenTelemetry collector of OTEL_EXPORTER_OTLP_ENDPOINT.")
    ] = False

    @model_validator(mode="after")
    def _keys_unless_loopback(self) -> ApiSettings:
        if self.auth == "off" and not is_loopback(self.host):
            raise ValueError("API keys can be off only on loopback; set DEMAND_API_AUTH=auto or listen on 127.0.0.1")
        return self

    @model_validator(mode="after")
    def _a_request_in_each_process(self) -> ApiSettings:
        if self.rate_burst < self.processes:
            raise ValueError(
                f"DEMAND_API_RATE_BURST is {self.rate_burst}: expected at least DEMAND_API_PROCESSES, "
                f"{self.processes}, since each process lets one request through"
            )
        return self

    @model_validator(mode="after")
    def _keys_for_approval(self) -> ApiSettings:
        limits = (self.approval_percent, self.approval_amount)
        if limits != (None, None) and not self.identity_required:
            raise ValueError("approval by a second person needs to know who asks; set DEMAND_API_AUTH=on")
        return self

    @model_validator(mode="after")
    def _sign_in_is_whole(self) -> ApiSettings:
        """Everything that is missing at once: half a sign-in would be none, or one that ends in an error."""
        said = (self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret, self.oidc_roles, self.session_secret)
        if not (self.alb_arn or any(said)):
            return self
        issuer, secret, roles = f"{PREFIX}OIDC_ISSUER", f"{PREFIX}SESSION_SECRET", f"{PREFIX}OIDC_ROLES"
        needed = {issuer: self.oidc_issuer, f"{PREFIX}OIDC_CLIENT_ID": self.oidc_client_id}
        needed |= {roles: self.oidc_roles, PUBLIC_URL: self.public_url}
        needed |= {} if self.alb_arn else {secret: self.session_secret}
        if missing := [name for name, value in needed.items() if not value]:
            raise ValueError(f"sign-in also needs {', '.join(missing)}")
        if not self.alb_arn and len(self.session_secret) < _SHORTEST_SECRET:
            raise ValueError(
                f"{secret}: expected {_SHORTEST_SECRET} characters or more, got {len(self.session_secret)}"
            )
        if self.auth == "off":
            raise ValueError(f"{PREFIX}AUTH is off, and {issuer} asks people to sign in; leave one of them out")
        if "openid" not in self.oidc_scopes.split():
            raise ValueError(f"{PREFIX}OIDC_SCOPES: expected openid among them, got {self.oidc_scopes!r}")
        _require_safe(issuer, self.oidc_issuer)
        _require_safe(PUBLIC_URL, self.public_url)
        parse_grants(roles, self.oidc_roles)
        return self

    @property
    def sign_in(self) -> Literal["here", "load_balancer"] | None:
        """Who signs people in; None where nobody does."""
        if self.alb_arn:
            return "load_balancer"
        return "here" if self.oidc_issuer else None

    @property
    def grants(self) -> Grants:
        """The roles that each group has."""
        return parse_grants(f"{PREFIX}OIDC_ROLES", self.oidc_roles)

    @property
    def home(self) -> str:
        """The address at which people open the dashboard, without a slash at its end."""
        return self.public_url.rstrip("/")

    @property
    def override_rules(self) -> OverrideRules:
        """What a planner's number needs."""
        codes = tuple(part.strip() for part in self.reason_codes.split(",") if part.strip())
        return OverrideRules(self.approval_percent, self.approval_amount, self.lock_days, codes)

    @property
    def identity_required(self) -> bool:
        """Whether a request has to say who sends it: by an API key or, where people sign in, as one of them."""
        return self.auth == "on" or self.sign_in is not None or (self.auth == "auto" and not is_loopback(self.host))

    @property
    def hosts(self) -> frozenset[str]:
        """Host names answered to, without port; empty for any."""
        return _listed(self.allowed_hosts)

    def for_listening(self) -> ApiSettings:
        """These, with loopback's own names as the only hosts where neither an identity nor hosts are asked for.

        A page of another site can make its own name resolve to 127.0.0.1; there only the name tells it apart.
        """
        if self.allowed_hosts or self.identity_required:
            return self
        return self.model_copy(update={"allowed_hosts": "localhost,127.0.0.1,[::1]"})

    @property
    def origins(self) -> frozenset[str]:
        """Origins whose pages may call."""
        return _listed(self.cors_origins)


def _listed(text: str) -> frozenset[str]:
    return frozenset(part.strip().lower() for part in text.split(",") if part.strip())


def _require_safe(name: str, url: str) -> None:
    """ValueError unless what is sent to `url` can be read there alone."""
    parts = urlsplit(url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not safe or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{name}: expected https://HOST, or http:// on loopback, got {url!r}")
