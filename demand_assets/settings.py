"""Environment -> typed settings, read once. Unknown or bad values are refused by name."""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field, JsonValue, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from demand_assets.cores import usable_cores
from demand_assets.errors import SettingsError
from demand_assets.locales import DEFAULT_LOCALE, LocaleText

PREFIX = "DEMAND_"
# The workspace of the last `demand run`: `demand dev` and `demand models` show the same one.
CURRENT_WORKSPACE = Path(".demand/current.env")
_Topic = Annotated[str, Field(pattern=r"^(arn:[^:]+:sns:[^:]+:[^:]+:[^:]+)?$")]
_WORKSPACE = "the last workspace used; before the first run `.demand/workspace`"


def _shown(default_text: str) -> dict[str, JsonValue]:
    """What the docs say of a default that depends on other settings or on the machine."""
    return {"default_text": default_text}


class Settings(BaseSettings):
    """Every setting of the pipeline; field `x` is read from `DEMAND_X`. Empty addresses are below `home`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    deployment: Annotated[
        Literal["local", "aws"], Field(description="Where the pipeline runs: on this machine, or on S3, RDS and ECS.")
    ] = "local"
    bucket: Annotated[
        str,
        Field(
            pattern=r"^(s3://[^/]+(/.+)?)?$",
            description="Bucket (or prefix) of all data on AWS: s3://NAME, with `raw`, `processed`, `forecasts` and "
            "`reports` below it.",
        ),
    ] = ""
    home: Annotated[
        Path, Field(description="Folder of everything the pipeline writes.", json_schema_extra=_shown(_WORKSPACE))
    ] = Path(".demand/workspace")
    landing_uri: Annotated[
        str,
        Field(
            description="Landing zone: a folder or s3://bucket/prefix of files.",
            json_schema_extra=_shown("`home`/landing; on AWS `bucket`/raw"),
        ),
    ] = ""
    lake_uri: Annotated[
        str,
        Field(
            description="Parquet lake: a folder or s3://bucket/prefix.",
            json_schema_extra=_shown("`home`/lake; on AWS `bucket`/processed"),
        ),
    ] = ""
    store_url: Annotated[
        str,
        Field(
            description="SQL store: sqlite:///... or postgresql://...",
            json_schema_extra=_shown("SQLite in `home`; required on AWS"),
        ),
    ] = ""
    mlflow_tracking_uri: Annotated[
        str,
        Field(description="MLflow server or database.", json_schema_extra=_shown("SQLite in `home`; required on AWS")),
    ] = ""
    mlflow_artifact_uri: Annotated[
        str,
        Field(
            description="Where MLflow stores the artefacts of new experiments.",
            json_schema_extra=_shown("`home`/mlflow-artifacts; on AWS the MLflow server decides"),
        ),
    ] = ""
    alert_sns_topic: Annotated[_Topic, Field(description="ARN of the SNS topic that receives alerts.")] = ""
    alert_urls: Annotated[
        str,
        Field(
            repr=False,
            description="Apprise addresses, separated by spaces, that receive alerts and the news of each forecast: "
            "[alerts, news and events](#alerts-news-and-events).",
        ),
    ] = ""
    locale: Annotated[
        LocaleText,
        Field(description="Locale of numbers and dates in that news, such as de-CH; pages use the browser's."),
    ] = DEFAULT_LOCALE
    event_urls: Annotated[
        str,
        Field(
            repr=False,
            pattern=r"^(https?://\S+(\s+https?://\S+)*)?$",
            description="Addresses, separated by spaces, to which a signed event is sent for each published vintage.",
        ),
    ] = ""
    event_secret: Annotated[
        str,
        Field(
            repr=False,
            pattern=r"^(whsec_[A-Za-z0-9+/]{32,88}={0,2})?$",
            description="Key of the events' signatures: `whsec_` and base64 of 24 to 64 bytes.",
            json_schema_extra=_shown("none; required with `event_urls`"),
        ),
    ] = ""
    event_sns_topic: Annotated[_Topic, Field(description="ARN of the SNS topic (standard or FIFO) of the events.")] = ""
    public_url: Annotated[
        str,
        Field(
            pattern=r"^(https?://[^\s?#]+)?$",
            description="Address at which others reach the API, for the links in events and news.",
            json_schema_extra=_shown("none: links are paths"),
        ),
    ] = ""
    metrics_namespace: Annotated[
        str, Field(description="CloudWatch namespace of the metrics and of the count of alerts.")
    ] = ""
    bad_rows: Annotated[
        Literal["quarantine", "refuse"],
        Field(
            description="A row that is wrong by itself (a date in the future, an impossible amount): set aside, or its "
            "file refused."
        ),
    ] = "quarantine"
    forecast_deadline_hours: Annotated[
        int,
        Field(
            ge=1,
            le=168,
            description="Hours after the end of a week (midnight UTC) within which its forecast must be published.",
        ),
    ] = 72
    weekly_cron: Annotated[
        str,
        Field(
            pattern=r"^\S+( \S+){4}$",
            description="Cron expression (UTC) at which the newest landed week is forecast, unless it is already.",
        ),
    ] = "0 6 * * *"
    automation: Annotated[
        Literal["stopped", "running"],
        Field(
            description="Whether the sensors and the schedule that ask for runs are on from the start; each can be "
            "turned off and on in the UI.",
            json_schema_extra=_shown("`stopped`; Terraform sets `running`"),
        ),
    ] = "stopped"
    run_history_weeks: Annotated[
        int, Field(ge=0, le=5200, description="Weeks for which Dagster's runs, events and logs are kept; 0: all.")
    ] = 52
    source_url: Annotated[
        str, Field(pattern=r"^(https://.+/tree/.+)?$", description="Repository's page, .../tree/main, of assets' code.")
    ] = ""
    model_name: Annotated[str, Field(description="Name of the registered model in MLflow.")] = "demand_forecaster"
    horizon_weeks: Annotated[int, Field(ge=1, le=52, description="Forecast horizon H, in weeks.")] = 4
    backtest_origins: Annotated[
        int, Field(ge=1, le=104, description="Number of rolling origins in the backtest, on which the gate decides.")
    ] = 6
    backtest_step_weeks: Annotated[int, Field(ge=1, le=52, description="Weeks between two backtest origins.")] = 4
    backtest_series: Annotated[
        int,
        Field(ge=1, description="Maximum series in the backtest; larger panels are sampled by store."),
    ] = 50_000
    training_rows: Annotated[
        int, Field(ge=1000, description="Maximum training rows per member; more are subsampled.")
    ] = 1_000_000
    feature_origins: Annotated[
        int, Field(ge=1, description="Number of newest origins whose features are kept up to date.")
    ] = 520
    model: Annotated[str, Field(description="Name of the model that is trained.")] = "xgboost"
    model_settings: Annotated[
        str,
        Field(description='Settings of the model that differ from its defaults, as JSON: {"rounds": 50}.'),
    ] = "{}"
    quantiles: Annotated[
        str,
        Field(
            pattern=r"^0?\.\d+(,0?\.\d+)*$",
            description="Quantiles of every forecast; 0.1, 0.5 and 0.9 are required, and only they are published.",
        ),
    ] = "0.1,0.5,0.9"
    underage_cost: Annotated[
        float,
        Field(gt=0, description="Cost of one unit too few, relative to `overage_cost`; both set `order_quantity`."),
    ] = 3.0
    overage_cost: Annotated[float, Field(gt=0, description="Cost of one unit too many.")] = 1.0
    promotion_margin: Annotated[
        float, Field(ge=0, lt=1, description="Share by which a challenger's WMAE must be below the champion's.")
    ] = 0.005
    promotion_significance: Annotated[float, Field(gt=0, lt=1, description="Maximum p-value of that difference.")] = (
        0.05
    )
    max_model_age_weeks: Annotated[
        int,
        Field(
            ge=1, le=520, description="Age in weeks at which a model is retrained and may be replaced by an equal one."
        ),
    ] = 26
    retraining_cooldown_weeks: Annotated[
        int, Field(ge=0, le=520, description="Weeks after a training before the sensor starts another.")
    ] = 4
    clock: Annotated[
        str,
        Field(
            pattern=r"^(\d{4}-\d\d-\d\dT\d\d:\d\d.*)?$",
            description="Fixed time of every record, ISO 8601.",
            json_schema_extra=_shown("the current time"),
        ),
    ] = ""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="Seed of all random numbers.")] = 7
    threads: Annotated[
        int,
        Field(
            ge=1,
            le=1024,
            description="Threads of heavy work; on a Dask worker, threads of that worker.",
            json_schema_extra=_shown("the cores this process may use"),
        ),
    ] = Field(default_factory=usable_cores)
    engine: Annotated[
        Literal["local", "dask"],
        Field(description="Where heavy work runs: in the process of the run, or on Dask workers."),
    ] = "local"
    dask_scheduler: Annotated[
        str,
        Field(
            pattern=r"^((tcp|tls)://[^/\s]+:\d+)?$",
            description="Address of the Dask scheduler, tcp://host:8786 or tls://...",
            json_schema_extra=_shown("none: workers are started on this machine"),
        ),
    ] = ""
    dask_workers: Annotated[
        int, Field(ge=1, le=1000, description="Number of Dask workers to start, or to wait for at the scheduler.")
    ] = 2
    dask_services: Annotated[
        str,
        Field(
            pattern=r"^([\w-]+/[\w-]+)?$",
            description="ECS cluster/prefix of the Dask services; they run only while a run needs them.",
        ),
    ] = ""

    @field_validator("quantiles")
    @classmethod
    def _hold_the_published_ones(cls, quantiles: str) -> str:
        if not {0.1, 0.5, 0.9} <= set(map(float, quantiles.split(","))):
            raise ValueError("expected 0.1, 0.5 and 0.9 among them, which are published")
        return quantiles

    @field_validator("model_settings")
    @classmethod
    def _is_a_json_object(cls, text: str) -> str:
        try:
            read = json.loads(text)
        except ValueError as error:
            raise ValueError(f'expected JSON such as {{"rounds": 50}}: {error}') from error
        if not isinstance(read, dict):
            raise ValueError('expected a JSON object such as {"rounds": 50}')
        return text

    @model_validator(mode="after")
    def _aws_names_its_services(self) -> "Settings":
        if self.deployment == "aws":
            needed = ("bucket", "store_url", "mlflow_tracking_uri")
            missing = [PREFIX + name.upper() for name in needed if not getattr(self, name)]
            if missing:
                raise ValueError(f"deployment aws requires {', '.join(missing)}")
        return self

    @model_validator(mode="after")
    def _events_are_signed(self) -> "Settings":
        if self.event_urls and not self.event_secret:
            raise ValueError("DEMAND_EVENT_URLS requires DEMAND_EVENT_SECRET, the key that signs what is sent to them")
        return self

    def _place(self, prefix: str, folder: str) -> str:
        """A prefix of the bucket on aws, else a folder of the workspace."""
        return f"{self.bucket.rstrip('/')}/{prefix}" if self.deployment == "aws" else str(self.home / folder)

    @property
    def landing(self) -> str:
        """Address of the landing zone."""
        return self.landing_uri or self._place("raw", "landing")

    @property
    def lake(self) -> str:
        """Address of the Parquet lake."""
        return self.lake_uri or self._place("processed", "lake")

    @property
    def table_uris(self) -> dict[str, str]:
        """Tables of the lake with a prefix of their own on AWS, because other systems read them: vintages and pages."""
        if self.deployment != "aws" or self.lake_uri:
            return {}
        return {"published_forecast": self._place("forecasts", ""), "drift_report_html": self._place("reports", "")}

    @property
    def store(self) -> str:
        """SQLAlchemy URL of the SQL store."""
        return self.store_url or f"sqlite:///{self.home / 'store.db'}"

    @property
    def tracking(self) -> str:
        """Address of MLflow's tracking server and registry."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def artifacts(self) -> str:
        """Root of MLflow's artefacts; empty: the MLflow server decides."""
        if self.deployment == "aws":
            return self.mlflow_artifact_uri
        folder = self.home / "mlflow-artifacts"
        # MLflow takes a plain path for an address, in which # and % have a meaning.
        plain = str(folder) if quote(str(folder)) == str(folder) else folder.as_uri()
        return self.mlflow_artifact_uri or plain

    @property
    def dagster_home(self) -> Path:
        """Folder of Dagster's own storage."""
        return self.home / "dagster"

    def environment(self) -> dict[str, str]:
        """Environment variables from which a child process reads the same settings."""
        fields = type(self).model_fields
        return {PREFIX + name.upper(): str(getattr(self, name)) for name in fields if getattr(self, name) != ""}


def read_settings(environ: Mapping[str, str] = os.environ, **overrides: object) -> Settings:
    """Settings from `environ`, then the current workspace, then defaults; `overrides` win over all.

    SettingsError naming the variable when one is unknown or its value is not allowed.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    # The service's own, in the same environment, are read and checked by it.
    ours = (name for name in environ if name.startswith(PREFIX) and not name.startswith(f"{PREFIX}API_"))
    unknown = sorted(name for name in ours if name not in known)
    if unknown:
        raise SettingsError(f"unknown setting {unknown[0]}; known: {', '.join(sorted(known))}")
    try:
        settings = Settings(_env_file=CURRENT_WORKSPACE, **overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            raise SettingsError(first["msg"].removeprefix("Value error, ")) from None
        name = PREFIX + str(first["loc"][0]).upper().removeprefix(PREFIX)
        value = "a secret" if name in _secrets() else repr(first["input"])
        # Without its cause: pydantic's error shows values of other settings, too.
        raise SettingsError(f"{name} is {value}: {first['msg']}") from None
    home = Path(os.path.abspath(settings.home))
    if settings.deployment == "local" and "?" in str(home):
        # In the addresses by which Dagster and MLflow name their SQLite files all after it is options.
        raise SettingsError(
            f"DEMAND_HOME is {str(home)!r}: expected a path without a question mark; name another folder"
        )
    return settings.model_copy(update={"home": home, "landing_uri": _absolute(settings.landing_uri)})


def _secrets() -> set[str]:
    """Variables whose values are never shown: they may hold a password, a token or a key."""
    return {PREFIX + name.upper() for name, field in Settings.model_fields.items() if not field.repr}


def _absolute(address: str) -> str:
    """A folder in full; another address, or none, as it is."""
    return os.path.abspath(address) if address and "://" not in address else address


def _from_here(address: str) -> str:
    """A folder below this one by its way from here, so that both can be moved together; others as they are."""
    here = os.getcwd()
    inside = "://" not in address and os.path.commonpath([here, address]) == here
    return os.path.relpath(address) if inside else address


def workspace_for(raw_dir: str) -> Path:
    """The workspace of one landing zone: data of two retailers never mix in one lake.

    Of a zone below this folder it stays the same when the folder is moved.
    """
    address = _absolute(raw_dir)
    name = os.fsencode(address.rstrip("/").rsplit("/", 1)[-1] or "root").decode(errors="replace").replace("?", "-")
    # By its full address: so one that was made by an older release is named.
    named = [Path(".demand") / f"{name}-{zlib.crc32(os.fsencode(one)):08x}" for one in (address, _from_here(address))]
    return next((folder for folder in named if folder.exists()), named[-1])


def remember_workspace(settings: Settings) -> None:
    """Save the workspace as the default of later commands in this folder; their environment overrides it."""
    CURRENT_WORKSPACE.parent.mkdir(parents=True, exist_ok=True)
    values = {"DEMAND_HOME": str(settings.home), "DEMAND_LANDING_URI": settings.landing}
    quoted = {name: _from_here(value).replace("\\", "\\\\").replace("'", "\\'") for name, value in values.items()}
    temporary = CURRENT_WORKSPACE.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text("".join(f"{name}='{value}'\n" for name, value in quoted.items()))
    temporary.replace(CURRENT_WORKSPACE)
