"""Manifests: which version of which raw partition a run of `demand_features` was made from.

One small table per run in `input_manifests`, named by its content, written before the features that name it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from demand_assets.adapters.parquet import VERSION_KEY, ParquetLake
from demand_assets.errors import LakeError
from demand_assets.provenance import fingerprint

if TYPE_CHECKING:
    import pandas as pd

    from demand_assets.ingestion.dataset import Dataset

MANIFESTS = "input_manifests"
MANIFEST_KEY = "manifest"
WEEKLY = ("raw_sales", "raw_covariates")
# Tables that only some retailers have.
DRIVERS = ("raw_series_covariates", "plans_ahead")
WHOLE = ("dataset", "stores", "holiday_calendar")
_HORIZON_KEY = "horizon_weeks"


@dataclass(frozen=True)
class Manifest:
    """The horizon of a features run, and for each raw table the data version of each partition read (None: whole)."""

    horizon_weeks: int
    versions: Mapping[str, Mapping[str | None, str]]

    @property
    def fingerprint(self) -> str:
        """Its name: equal inputs, equal name."""
        rows = [[table, key or "", version] for table, keys in self.versions.items() for key, version in keys.items()]
        return fingerprint([self.horizon_weeks, sorted(rows)])

    def inputs(self, lake: ParquetLake) -> "dict[str, pd.DataFrame]":
        """Each raw table as it was; LakeError for a version that the lake no longer holds."""
        return {table: lake.read_versions(table, keys) for table, keys in self.versions.items()}

    def superseded(self, lake: ParquetLake) -> dict[str, list[str]]:
        """For each raw table with such: the partitions that have other rows today."""
        today = {table: lake.metadata(table, keys) for table, keys in self.versions.items()}
        changed = {
            table: [key or "" for key, version in keys.items() if today[table].get(key, {}).get(VERSION_KEY) != version]
            for table, keys in self.versions.items()
        }
        return {table: keys for table, keys in changed.items() if keys}


def record_manifest(lake: ParquetLake, newest: str, horizon_weeks: int, facts: "Dataset | None" = None) -> str:
    """Write the manifest of features made from every week up to `newest`; its fingerprint.

    By its `facts` what is known ahead was read of the weeks after `newest` as well, as far as it was in the lake.
    """
    import pandas as pd

    versions: dict[str, Mapping[str | None, str]] = {}
    has_drivers = facts is not None and facts.has_drivers
    last = f"{pd.Timestamp(newest) + pd.Timedelta(weeks=horizon_weeks):%Y-%m-%d}" if has_drivers else newest
    tables = {"raw_sales": newest, "raw_covariates": last}
    tables |= {"raw_series_covariates": last} if has_drivers or (facts and facts.tells_stock) else {}
    tables |= {"plans_ahead": newest} if has_drivers else {}
    for table, end in tables.items():
        keys = [key for key in lake.partitions(table) if key <= end]
        versions[table] = {str(key): version for key, version in lake.versions_of(table, keys).items()}
    for table in WHOLE:
        versions[table] = {None: lake.metadata(table, [None])[None][VERSION_KEY]}
    manifest = Manifest(horizon_weeks, versions)
    rows = [(table, key or "", version) for table, keys in versions.items() for key, version in keys.items()]
    frame = pd.DataFrame(rows, columns=["table", "key", "data_version"])
    lake.write(MANIFESTS, manifest.fingerprint, frame, {_HORIZON_KEY: str(horizon_weeks)})
    return manifest.fingerprint


def read_manifest(lake: ParquetLake, name: str) -> Manifest:
    """The manifest of that name; LakeError when it is gone, was changed, or names other tables."""
    frame = lake.read(MANIFESTS, [name])
    if frame is None:
        raise LakeError(f"{lake.path(MANIFESTS, name)}: expected the manifest of a vintage, got no file; restore it")
    versions = {
        str(table): {
            (key or None): str(version) for key, version in zip(rows["key"], rows["data_version"], strict=True)
        }
        for table, rows in frame.groupby("table", sort=False)
    }
    if not {*WEEKLY, *WHOLE} <= set(versions) <= {*WEEKLY, *DRIVERS, *WHOLE}:
        raise LakeError(
            f"{lake.path(MANIFESTS, name)}: expected versions of {', '.join((*WEEKLY, *WHOLE))}, got those of "
            f"{', '.join(versions)}; read it with the version of the code that wrote it"
        )
    manifest = Manifest(int(lake.metadata(MANIFESTS, [name])[name][_HORIZON_KEY]), versions)
    if manifest.fingerprint != name:
        raise LakeError(
            f"{lake.path(MANIFESTS, name)}: its rows are those of manifest {manifest.fingerprint}; restore it"
        )
    return manifest
