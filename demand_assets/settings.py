"""Environment -> typed settings, read once. Unknown or bad values are refused by name."""

import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from demand_assets.errors import SettingsError

PREFIX = "DEMAND_"
# What the last `demand run` worked on, so that `demand dev` and `demand models` show the same workspace.
CURRENT_WORKSPACE = Path(".demand/current.env")


def usable_cores() -> int:
    """Cores this process may use: xgboost collapses with more threads than that."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Settings(BaseSettings):
    """Every setting of the pipeline; field `x` is read from `DEMAND_X`. Empty addresses live under `home`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    deployment: Annotated[
        Literal["local", "aws"], Field(description="Where the parts run: on this machine, or on S3, RDS and ECS.")
    ] = "local"
    bucket: Annotated[
        str, Field(pattern=r"^(s3://[^/]+(/.+)?)?$", description="On aws: what every address below begins with.")
    ] = ""
    home: Annotated[Path, Field(description="Folder of everything the pipeline writes.")] = Path(".demand/workspace")
    landing_uri: Annotated[str, Field(description="Landing zone: a folder or s3://bucket/prefix of CSVs.")] = ""
    lake_uri: Annotated[str, Field(description="Parquet lake: a folder or s3://bucket/prefix.")] = ""
    store_url: Annotated[str, Field(description="SQL store: sqlite:///... or postgresql://...")] = ""
    mlflow_tracking_uri: Annotated[str, Field(description="MLflow server or database.")] = ""
    mlflow_artifact_uri: Annotated[str, Field(description="Where MLflow keeps artefacts of new experiments.")] = ""
    alert_sns_topic: Annotated[
        str, Field(pattern=r"^(arn:[^:]+:sns:[^:]+:[^:]+:[^:]+)?$", description="ARN of the SNS topic alerts go to.")
    ] = ""
    metrics_namespace: Annotated[str, Field(description="CloudWatch namespace that alerts are counted in.")] = ""
    unit: Annotated[str, Field(min_length=1, description="What is counted: a currency or pieces.")] = "USD"
    forecast_deadline_hours: Annotated[
        int, Field(ge=1, le=168, description="Hours after a week's end by which it is to be forecast.")
    ] = 72
    weekly_cron: Annotated[
        str, Field(pattern=r"^\S+( \S+){4}$", description="When the weekly schedule looks, cron, UTC.")
    ] = "0 6 * * 1"
    model_name: Annotated[str, Field(description="Registered model name in MLflow.")] = "demand_forecaster"
    horizon_weeks: Annotated[int, Field(ge=1, le=52, description="H, weeks ahead.")] = 4
    backtest_origins: Annotated[int, Field(ge=1, le=104, description="Rolling origins the gate is judged on.")] = 6
    backtest_step_weeks: Annotated[int, Field(ge=1, le=52, description="Weeks between those origins.")] = 4
    backtest_series: Annotated[
        int,
        Field(ge=1, description="Of more series the backtest judges whole stores, evenly spread, of about as many."),
    ] = 50_000
    training_rows: Annotated[
        int, Field(ge=1000, description="Of more rows a member learns from about as many, thinned evenly.")
    ] = 2_000_000
    feature_origins: Annotated[int, Field(ge=1, description="Newest origins whose features are kept up to date.")] = 520
    rounds: Annotated[int, Field(ge=1, le=10_000, description="Boosting rounds.")] = 100
    members: Annotated[int, Field(ge=1, le=64, description="Models averaged into one, each on its own rows.")] = 2
    max_depth: Annotated[int, Field(ge=1, le=16, description="Depth of a tree.")] = 6
    learning_rate: Annotated[float, Field(gt=0, le=1, description="Shrinkage per tree.")] = 0.07
    quantiles: Annotated[
        str,
        Field(pattern=r"^0?\.\d+(,0?\.\d+)*$", description="Quantiles of every forecast; 0.1, 0.5, 0.9 among them."),
    ] = "0.1,0.5,0.9"
    underage_cost: Annotated[float, Field(gt=0, description="Cost of a unit too few, against `overage_cost`.")] = 3.0
    overage_cost: Annotated[float, Field(gt=0, description="Cost of a unit too many.")] = 1.0
    promotion_margin: Annotated[
        float, Field(ge=0, lt=1, description="By how much a challenger's WMAE must be below the champion's.")
    ] = 0.005
    promotion_significance: Annotated[float, Field(gt=0, lt=1, description="Largest p-value of that difference.")] = (
        0.05
    )
    max_model_age_weeks: Annotated[
        int, Field(ge=1, le=520, description="Weeks after which a model is retrained and gives way to an equal one.")
    ] = 26
    retraining_cooldown_weeks: Annotated[
        int, Field(ge=0, le=520, description="Weeks after a training in which none is started by itself.")
    ] = 4
    clock: Annotated[
        str,
        Field(pattern=r"^(\d{4}-\d\d-\d\dT\d\d:\d\d.*)?$", description="Time of every record, ISO 8601; empty: now."),
    ] = ""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="Seed of everything random.")] = 7
    device: Annotated[Literal["cpu", "cuda"], Field(description="Where xgboost trains.")] = "cpu"
    threads: Annotated[int, Field(ge=1, le=1024, description="Threads of xgboost.")] = Field(
        default_factory=usable_cores
    )
    engine: Annotated[
        Literal["local", "dask"], Field(description="Where heavy work runs: in the run, or on workers of Dask.")
    ] = "local"
    dask_scheduler: Annotated[
        str,
        Field(
            pattern=r"^((tcp|tls)://[^/\s]+:\d+)?$",
            description="Address of the Dask scheduler; empty: processes of this machine.",
        ),
    ] = ""
    dask_workers: Annotated[
        int, Field(ge=1, le=1000, description="Workers to start, or to wait for at the scheduler.")
    ] = 2
    dask_services: Annotated[
        str,
        Field(
            pattern=r"^([\w-]+/[\w-]+)?$",
            description="ECS cluster/prefix of services that are run while a run needs them.",
        ),
    ] = ""

    @field_validator("quantiles")
    @classmethod
    def _hold_the_published_ones(cls, quantiles: str) -> str:
        if not {0.1, 0.5, 0.9} <= set(map(float, quantiles.split(","))):
            raise ValueError("expected 0.1, 0.5 and 0.9 among them, which are published")
        return quantiles

    @model_validator(mode="after")
    def _aws_names_its_services(self) -> "Settings":
        if self.deployment == "aws":
            needed = ("bucket", "store_url", "mlflow_tracking_uri")
            missing = [PREFIX + name.upper() for name in needed if not getattr(self, name)]
            if missing:
                raise ValueError(f"the deployment aws needs {', '.join(missing)}")
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
    def lake_places(self) -> dict[str, str]:
        """Tables of the lake that others read have a prefix of their own on aws: vintages, and pages."""
        if self.deployment != "aws" or self.lake_uri:
            return {}
        return {"published_forecast": self._place("forecasts", ""), "drift_report_html": self._place("reports", "")}

    @property
    def store(self) -> str:
        """SQLAlchemy URL of the SQL store."""
        return self.store_url or f"sqlite:///{self.home / 'store.db'}"

    @property
    def tracking(self) -> str:
        """MLflow tracking and registry address."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def artifacts(self) -> str:
        """Root of MLflow's artefacts; empty: as the MLflow server has it."""
        if self.deployment == "aws":
            return self.mlflow_artifact_uri
        return self.mlflow_artifact_uri or str(self.home / "mlflow-artifacts")

    @property
    def dagster_home(self) -> Path:
        """Folder of Dagster's own storage."""
        return self.home / "dagster"

    def environment(self) -> dict[str, str]:
        """The variables that make a child process read these very settings."""
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
            raise SettingsError(first["msg"].removeprefix("Value error, ")) from error
        name = PREFIX + str(first["loc"][0]).upper().removeprefix(PREFIX)
        raise SettingsError(f"{name} is {first['input']!r}: {first['msg']}") from error
    home = Path(os.path.abspath(settings.home))
    return settings.model_copy(update={"home": home})


def workspace_for(raw_dir: str) -> Path:
    """The workspace of one landing zone, so that two retailers' data never mix in one lake."""
    address = raw_dir if "://" in raw_dir else os.path.abspath(raw_dir)
    name = address.rstrip("/").rsplit("/", 1)[-1] or "root"
    return Path(".demand") / f"{name}-{zlib.crc32(address.encode()):08x}"


def remember_workspace(settings: Settings) -> None:
    """Make `settings` what later commands in this folder use, unless their environment says otherwise."""
    CURRENT_WORKSPACE.parent.mkdir(parents=True, exist_ok=True)
    lines = f"DEMAND_HOME={settings.home}\nDEMAND_LANDING_URI={settings.landing}\n"
    temporary = CURRENT_WORKSPACE.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(lines)
    temporary.replace(CURRENT_WORKSPACE)
