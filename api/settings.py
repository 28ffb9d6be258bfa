"""Environment -> settings of the service."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.layouts import OrderLayout, OrderLayoutSetting
from demand_assets.store.overrides import OverrideRules

PREFIX = "DEMAND_API_"
# What the service shares with the pipeline: one address of the store, one deadline of a forecast.
STORE_URL, DEADLINE = "DEMAND_STORE_URL", "DEMAND_FORECAST_DEADLINE_HOURS"


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
        Field(description="API keys: auto asks for them unless bound to loopback, where alone they may be off."),
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
        str, Field(min_length=1, max_length=100, description="Who gives the numbers where API keys are off.")
    ] = "local"
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
        if limits != (None, None) and not self.keys_required:
            raise ValueError("approval by a second person needs to know who asks; set DEMAND_API_AUTH=on")
        return self

    @property
    def override_rules(self) -> OverrideRules:
        """What a planner's number needs."""
        codes = tuple(part.strip() for part in self.reason_codes.split(",") if part.strip())
        return OverrideRules(self.approval_percent, self.approval_amount, self.lock_days, codes)

    @property
    def keys_required(self) -> bool:
        """Whether a request needs an API key."""
        return self.auth == "on" or (self.auth == "auto" and not is_loopback(self.host))

    @property
    def hosts(self) -> frozenset[str]:
        """Host names answered to, without port; empty for any."""
        return _listed(self.allowed_hosts)

    def for_listening(self) -> ApiSettings:
        """These, with loopback's own names as the only hosts where neither keys nor hosts are asked for.

        A page of another site can make its own name resolve to 127.0.0.1; without keys only the name tells it apart.
        """
        if self.allowed_hosts or self.keys_required:
            return self
        return self.model_copy(update={"allowed_hosts": "localhost,127.0.0.1,[::1]"})

    @property
    def origins(self) -> frozenset[str]:
        """Origins whose pages may call."""
        return _listed(self.cors_origins)


def _listed(text: str) -> frozenset[str]:
    return frozenset(part.strip().lower() for part in text.split(",") if part.strip())
