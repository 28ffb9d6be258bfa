"""Models in MLflow: one registered model, a version per training, aliases `staging` and `production`.

A version carries a fingerprint of everything that made it (data, code, configuration, as-of week). The same
fingerprint is never registered twice, so a run repeated after a crash ends where an undisturbed one does.
"""

import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import dagster as dg

from demand_assets.adapters.arrow_frames import read_frame, write_frame
from demand_assets.adapters.mlflow_files import follow_artifacts
from demand_assets.adapters.pyfunc import FORECASTER, save_pyfunc
from demand_assets.errors import ModelError
from demand_assets.forecasting.models.baseline import Baseline

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput
    from mlflow.entities.model_registry import ModelVersion

    from demand_assets.adapters.model_card import TableSpan
    from demand_assets.forecasting.forecaster import Forecaster

STAGING = "staging"
PRODUCTION = "production"
# What a stage of older MLflow was: each version carries it as a tag, for people who look at the registry alone.
STAGE_TAG = "stage"
EXPERIMENT = "demand"
# What the experiment is about. MLflow's pages still begin in the view for language models,
# unless their address says workflowType=machine_learning.
_KIND = {"mlflow.experimentKind": "custom_model_development"}
_ABOUT = (
    "Weekly demand per store and department. `mlflow.pyfunc.load_model` takes rows of the lake's `demand_features` and "
    "returns forecast and quantiles in the unit of sales. Alias `production` is what is published, `staging` what was "
    "trained last; the description of a version is its card."
)
BACKTEST_FILE, MODEL_FOLDER = "backtest.parquet", "model"
# Where MLflow's flavour pyfunc puts the files that a model is made of.
FORECASTER_FOLDER = f"{MODEL_FOLDER}/artifacts/{FORECASTER}"
# The tag that dagster-mlflow gives its runs too. Its resource is not used: it begins an MLflow run for each Dagster run
# that could train, also where nothing is trained, and its hook does not see a process that was killed.
DAGSTER_RUN_TAG = "dagster_run_id"


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of the registered model: trained as of a week, judged at origins up to another.

    `model` names the class that forecasts, `method` what people call it: of a baseline which one it is. `settings`
    is the version of the settings that a model was trained with.
    """

    version: str
    model: str
    run_id: str
    fingerprint: str
    as_of: str
    judged_to: str
    data_version: str
    code_version: str
    aliases: tuple[str, ...]
    created_ms: int
    metrics: Mapping[str, float]
    method: str = ""
    settings: str = ""

    @property
    def is_trained(self) -> bool:
        """Whether it learnt anything; a baseline did not."""
        return self.model != Baseline.name


class ModelRegistry(dg.ConfigurableResource):
    """The MLflow tracking server and registry at `tracking_uri`."""

    tracking_uri: str
    artifact_uri: str
    model_name: str

    def _client(self) -> "MlflowClient":
        # Before the first import: MLflow reads them while it loads.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        # A model's requirements are given; a uv.lock in the folder of the process is someone else's.
        os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")
        import mlflow

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self._make_tables()
        self.follow_artifacts()
        return mlflow.MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)

    def _make_tables(self) -> None:
        """Let MLflow make a new SQLite file under another name: killed half-way, it could never finish its tables."""
        import mlflow

        scheme, _, file = self.tracking_uri.partition(":///")
        if scheme != "sqlite" or not file or Path(file).exists():
            return
        # MLflow keeps what it has opened by name, so each name is new.
        made = Path(f"{file}.{uuid4().hex}.new")
        try:
            mlflow.MlflowClient(tracking_uri=f"sqlite:///{made}", registry_uri=f"sqlite:///{made}")
            # Not replaced: another process may have made it meanwhile.
            with suppress(FileExistsError):
                os.link(made, file)
        finally:
            made.unlink(missing_ok=True)

    def follow_artifacts(self) -> None:
        """Make ready a database in a workspace, which may have been moved since it was used last."""
        scheme, _, file = self.tracking_uri.partition(":///")
        if scheme == "sqlite":
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            _follow(Path(file), self.artifact_uri)

    def page(self) -> str:
        """Where MLflow's UI shows the runs, below its address, in its view for models like these."""
        return f"/#/experiments/{self._experiment_id(self._client())}/runs?workflowType=machine_learning"

    def _experiment_id(self, client: "MlflowClient") -> str:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            for name in _KIND.keys() - experiment.tags.keys():
                client.set_experiment_tag(experiment.experiment_id, name, _KIND[name])
            return str(experiment.experiment_id)
        # Without an address of its own the server chooses, and hands artefacts through.
        return str(client.create_experiment(EXPERIMENT, artifact_location=self.artifact_uri or None, tags=_KIND))

    def _described(self, client: "MlflowClient", version: "ModelVersion") -> RegisteredVersion:
        tags, run_id = version.tags, str(version.run_id)
        return RegisteredVersion(
            version=str(version.version),
            model=tags.get("model", ""),
            method=tags.get("method", tags.get("model", "")),
            run_id=run_id,
            fingerprint=tags.get("fingerprint", ""),
            as_of=tags.get("as_of", ""),
            judged_to=tags.get("judged_to", ""),
            data_version=tags.get("data_version", ""),
            code_version=tags.get("code_version", ""),
            settings=tags.get("settings", ""),
            aliases=tuple(sorted(version.aliases)),
            created_ms=int(version.creation_timestamp),
            metrics=_metrics_of(client, run_id),
        )

    def versions(self) -> list[RegisteredVersion]:
        """Every version, newest first; empty before the first training."""
        client = self._client()
        found = client.search_model_versions(f"name = '{self.model_name}'")
        # The search leaves aliases out, so each is asked for by itself.
        whole = [client.get_model_version(self.model_name, version.version) for version in found]
        return sorted((self._described(client, version) for version in whole), key=lambda v: -int(v.version))

    def newest(self, trained: bool = False) -> RegisteredVersion | None:
        """The version registered last, or the last that was `trained`; None before the first."""
        client = self._client()
        found = [
            version
            for version in client.search_model_versions(f"name = '{self.model_name}'")
            if not trained or version.tags.get("model") != Baseline.name
        ]
        if not found:
            return None
        last = max(found, key=lambda version: int(version.version))
        return self._described(client, client.get_model_version(self.model_name, last.version))

    def with_fingerprint(self, fingerprint: str) -> RegisteredVersion | None:
        """The version made from exactly this data, code and configuration, if there is one."""
        client = self._client()
        found = client.search_model_versions(f"name = '{self.model_name}' and tag.fingerprint = '{fingerprint}'")
        if not found:
            return None
        oldest = min(found, key=lambda version: int(version.version))
        return self._described(client, client.get_model_version(self.model_name, oldest.version))

    def version(self, number: str) -> RegisteredVersion:
        """One version by its number; ModelError when there is none."""
        from mlflow.exceptions import MlflowException

        client = self._client()
        try:
            return self._described(client, client.get_model_version(self.model_name, number))
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            held = ", ".join(reversed([version.version for version in self.versions()])) or "none"
            raise ModelError(f"there is no model version {number}; registered: {held}") from None

    def with_alias(self, alias: str) -> RegisteredVersion | None:
        """The version under `alias`, or None."""
        from mlflow.exceptions import MlflowException

        client = self._client()
        try:
            version = client.get_model_version_by_alias(self.model_name, alias)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return self._described(client, version)

    def register(
        self,
        forecaster: "Forecaster",
        *,
        dagster_run_id: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        figures: Mapping[str, bytes],
        sample: "pd.DataFrame",
        backtest: "pd.DataFrame",
        card: str,
        learnt_from: "Sequence[TableSpan]",
    ) -> RegisteredVersion:
        """Log one training and register it; the version appears in one call, complete with its tags and card.

        `sample` are some rows of demand_features, from which MLflow reads the model's signature. `backtest` is kept
        beside the model, so that a later challenger is judged on the same points.
        """
        client = self._client()
        from mlflow.exceptions import MlflowException

        tags = {**tags, "model": forecaster.model, "method": forecaster.method}
        named = {**tags, DAGSTER_RUN_TAG: dagster_run_id}
        with (
            self._run(client, f"as of {tags['as_of']}", named) as run_id,
            tempfile.TemporaryDirectory() as folder,
        ):
            client.log_inputs(run_id, [_dataset(table) for table in learnt_from])
            save_pyfunc(forecaster, sample, Path(folder) / MODEL_FOLDER)
            client.log_artifacts(run_id, str(Path(folder) / MODEL_FOLDER), MODEL_FOLDER)
            for name, content in figures.items():
                path = Path(folder) / name
                path.write_bytes(content)
                client.log_artifact(run_id, str(path), "figures")
            importance = Path(folder) / "importance.csv"
            forecaster.importance().to_csv(importance, index=False)
            client.log_artifact(run_id, str(importance))
            points = Path(folder) / BACKTEST_FILE
            write_frame(points, backtest)
            client.log_artifact(run_id, str(points))
            for name, value in params.items():
                client.log_param(run_id, name, value)
            for name, number in metrics.items():
                client.log_metric(run_id, name, number)
        try:
            client.create_registered_model(self.model_name, description=_ABOUT)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        version = client.create_model_version(
            self.model_name,
            source=f"{client.get_run(run_id).info.artifact_uri}/{MODEL_FOLDER}",
            run_id=run_id,
            tags=tags,
            description=card,
        )
        return self._described(client, client.get_model_version(self.model_name, version.version))

    @contextmanager
    def _run(self, client: "MlflowClient", run_name: str, tags: Mapping[str, str]) -> Iterator[str]:
        """The id of a run that ends with the block: FINISHED, or FAILED where it raises."""
        run_id: str = client.create_run(self._experiment_id(client), run_name=run_name, tags=dict(tags)).info.run_id
        status = "FAILED"
        try:
            yield run_id
            status = "FINISHED"
        finally:
            client.set_terminated(run_id, status)

    def end_runs_of(self, dagster_run_id: str) -> None:
        """Mark as KILLED what a Dagster run that is over has left RUNNING, as one does whose process was killed."""
        client = self._client()
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return
        left = f"attributes.status = 'RUNNING' and tags.{DAGSTER_RUN_TAG} = '{dagster_run_id}'"
        for run in client.search_runs([experiment.experiment_id], filter_string=left):
            client.set_terminated(run.info.run_id, "KILLED")

    def set_alias(self, alias: str, version: str) -> None:
        """Point `alias` at `version`; `STAGE_TAG` of it, and of the version that had the alias, says so."""
        client, wanted = self._client(), self.version(version)
        before = self.with_alias(alias)
        stages = {version: _stage({*wanted.aliases, alias})}
        if before is not None and before.version != version:
            stages[before.version] = _stage({*before.aliases} - {alias})
        # Before the alias: a process that dies in between has not moved it, and whoever moves it sets them again.
        for number, stage in stages.items():
            client.set_model_version_tag(self.model_name, number, STAGE_TAG, stage)
        client.set_registered_model_alias(self.model_name, alias, version)

    def tell_decision(self, version: str, decision: str) -> None:
        """Write what the gate said of a version into its card."""
        client = self._client()
        from demand_assets.adapters.model_card import with_decision

        card = client.get_model_version(self.model_name, version).description or ""
        client.update_model_version(self.model_name, version, with_decision(card, decision))

    def log_table(self, version: RegisteredVersion, name: str, rows: "pd.DataFrame") -> None:
        """Keep a table as CSV under the run of a version; one whose run was deleted for good has no place for it."""
        if version.metrics:
            self._client().log_text(version.run_id, rows.to_csv(index=False), name)

    def load(self, version: RegisteredVersion) -> "Forecaster":
        """The forecaster of a version; ModelError when its files are gone."""
        from mlflow.exceptions import MlflowException

        from demand_assets.forecasting.forecaster import Forecaster

        with tempfile.TemporaryDirectory() as folder:
            try:
                parts = self._client().download_artifacts(version.run_id, FORECASTER_FOLDER, folder)
            except (MlflowException, OSError) as error:
                raise ModelError(f"the files of model version {version.version} cannot be read: {error}") from error
            return Forecaster.load(Path(parts))

    def backtest_of(self, version: RegisteredVersion) -> "pd.DataFrame | None":
        """The backtest kept with a version; None when it was never judged."""
        client = self._client()
        if BACKTEST_FILE not in {item.path for item in client.list_artifacts(version.run_id)}:
            return None
        with tempfile.TemporaryDirectory() as folder:
            return read_frame(client.download_artifacts(version.run_id, BACKTEST_FILE, folder))


def _stage(aliases: set[str]) -> str:
    """The stage of older MLflow that a version with these aliases would be in."""
    if PRODUCTION in aliases:
        return "Production"
    return "Staging" if STAGING in aliases else "Archived"


def _dataset(table: "TableSpan") -> "DatasetInput":
    """Weeks of a table as MLflow keeps the data sets of a run."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    span = {"weeks": table.weeks, "first week": table.first, "last week": table.last}
    dataset = Dataset(
        name=table.name,
        digest=table.version,
        source_type="s3" if table.uri.startswith("s3://") else "local",
        source=json.dumps({"uri": table.uri}),
        profile=json.dumps(span),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


@cache
def _follow(database: Path, artifacts: str) -> None:
    """Once in a process."""
    follow_artifacts(database, artifacts, EXPERIMENT)


def _metrics_of(client: "MlflowClient", run_id: str) -> dict[str, float]:
    """Scores of a run; none where it was deleted for good: its version is still registered, and says so by that."""
    from mlflow.exceptions import MlflowException

    try:
        return dict(client.get_run(run_id).data.metrics)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}
