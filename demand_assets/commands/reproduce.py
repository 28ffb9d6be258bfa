"""`demand reproduce`: make a past vintage again from what it recorded, and compare it with the store, to the byte."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from typing import TYPE_CHECKING, Any

from demand_assets.commands.terminal import print_json, terminal, week_of
from demand_assets.contract.store import BACKTEST_KIND
from demand_assets.errors import LakeError, StoreError
from demand_assets.settings import read_settings

if TYPE_CHECKING:
    from demand_assets.adapters.parquet import ParquetLake
    from demand_assets.store.publish import Given


@dataclass
class Reproduction:
    """What came of it. `identical`: the same id, hence every value equal bit by bit, and the same Parquet rows."""

    vintage_id: str
    origin_week: str
    model_version: str
    rows: int
    made_again_as: str = ""
    identical: bool = False
    superseded_inputs: int = 0
    differences: list[str] = field(default_factory=list)


def reproduce(origin: str, vintage_id: str | None, as_json: bool) -> int:
    """Make the vintage of `origin` (the newest, or the one named) again; 0 only if it is identical."""
    console = terminal(stderr=True)
    import pandas as pd

    from demand_assets.resources import build_resources
    from demand_assets.store.engine import reading
    from demand_assets.store.migrations import opened
    from demand_assets.store.queries import forecasts_of, newest_vintage, vintages_of

    settings = read_settings()
    resources = build_resources(settings)
    with opened(settings.store) as engine, reading(engine) as conn:
        newest = newest_vintage(conn)
        held = pd.DatetimeIndex([] if newest is None else [newest["origin_week"]])
        week = week_of("--origin", origin, held).date()
        vintage = _chosen(vintages_of(conn, week), week, vintage_id)
        stored = forecasts_of(conn, vintage["vintage_id"])
    console.print(f"Making vintage {vintage['vintage_id']} again ...")
    result = _made_again(vintage, stored, resources)
    if as_json:
        print_json(asdict(result))
    else:
        _print(result)
    return 0 if result.identical else 1


def _chosen(vintages: Sequence[Mapping[str, Any]], week: date, wanted: str | None) -> Mapping[str, Any]:
    if not vintages:
        raise StoreError(f"no vintage of origin {week} was published; `demand run` publishes the newest week's")
    if all(vintage["kind"] == BACKTEST_KIND for vintage in vintages):
        raise StoreError(
            f"the vintages of origin {week} were made by a backtest, not published at their origin; "
            "`demand backtest` makes such forecasts again"
        )
    vintages = [vintage for vintage in vintages if vintage["kind"] != BACKTEST_KIND]
    if wanted is None:
        return vintages[0]
    found = [vintage for vintage in vintages if vintage["vintage_id"] == wanted]
    if not found:
        held = ", ".join(vintage["vintage_id"] for vintage in vintages)
        raise StoreError(f"origin {week} has no vintage {wanted}; it has {held}")
    return found[0]


def _made_again(
    vintage: Mapping[str, Any], stored: Sequence[tuple[Any, ...]], resources: Mapping[str, Any]
) -> Reproduction:
    import pandas as pd

    from demand_assets.adapters.arrow_frames import content_version
    from demand_assets.adapters.manifests import MANIFEST_KEY, read_manifest
    from demand_assets.assets.forecasting import (
        ENVIRONMENT_KEY,
        OVERAGE_KEY,
        PUBLISHED,
        UNDERAGE_KEY,
        forecast_with,
    )
    from demand_assets.assets.rows import member_keys, store_table
    from demand_assets.forecasting.features import build_features
    from demand_assets.forecasting.panel import build_panel
    from demand_assets.ingestion.ahead import driver_frames_of
    from demand_assets.ingestion.dataset import Dataset
    from demand_assets.ingestion.members import keys_of
    from demand_assets.provenance import code_version, environment
    from demand_assets.resources import OrderCosts

    lake: ParquetLake = resources["lake"]
    origin = pd.Timestamp(vintage["origin_week"])
    result = Reproduction(vintage["vintage_id"], f"{origin:%Y-%m-%d}", vintage["model_version"], rows=len(stored))
    file = f"{origin:%Y-%m-%d}/{vintage['vintage_id']}"
    made_with = lake.metadata("published_forecast", [file]).get(file)
    if made_with is None or MANIFEST_KEY not in made_with:
        raise LakeError(
            f"{lake.path('published_forecast', file)}: expected the vintage's file with what it was made from, got "
            f"{'no file' if made_with is None else 'a file of an older version without it'}; restore it from a backup"
        )
    for what, then, now in (
        ("code", vintage["code_version"], code_version("forecast")),
        ("environment", made_with[ENVIRONMENT_KEY], environment()),
    ):
        if then != now:
            result.differences.append(f"{what} was {then}, is {now}; check out that version to rule it out")

    manifest = read_manifest(lake, made_with[MANIFEST_KEY])
    result.superseded_inputs = sum(map(len, manifest.superseded(lake).values()))
    inputs = manifest.inputs(lake)
    horizon = manifest.horizon_weeks
    # The manifest names the same weeks as then: a series that began later would widen the panel.
    facts = Dataset.read(inputs["dataset"])
    covariates, newest = inputs["raw_covariates"], inputs["raw_sales"]["week"].max()
    panel = build_panel(
        inputs["raw_sales"],
        # Of later weeks only what was known ahead was read.
        covariates[covariates["week"] <= newest].reset_index(drop=True),
        inputs["stores"],
        inputs["holiday_calendar"],
        horizon,
        facts.absent_rows(keys_of(inputs["stores"], "store_id"), inputs.get("raw_series_covariates")),
        driver_frames_of(
            facts.covariates,
            covariates,
            inputs.get("raw_series_covariates", pd.DataFrame()),
            inputs.get("plans_ahead", pd.DataFrame()),
        ),
    )
    features = build_features(panel, [origin], horizon)
    made = content_version(features)
    if made != vintage["data_version"]:
        result.differences.append(f"features of the recorded raw data are {made}, were {vintage['data_version']}")

    registry = resources["registry"]
    forecast = forecast_with(
        registry.load(registry.version(vintage["model_version"])),
        features,
        OrderCosts(underage=float(made_with[UNDERAGE_KEY]), overage=float(made_with[OVERAGE_KEY])),
        model_version=vintage["model_version"],
        data_version=made,
        code=vintage["code_version"],
    )
    again = store_table(forecast, PUBLISHED, member_keys(lake))
    result.made_again_as = _identity({**vintage, "data_version": made}, again)
    result.differences += _rows_differing(stored, [tuple(row.values()) for row in again.to_pylist()])
    # Its rows and not the version in its footer, which still says what they were when they were written.
    result.differences += _columns_differing(lake.read("published_forecast", [file]), forecast)
    result.identical = result.made_again_as == vintage["vintage_id"] and not _hard(result.differences)
    if _identity(vintage, stored) != vintage["vintage_id"]:
        result.identical = False
        result.differences.append("the rows in the store are not those that were published: its id is not their hash")
    return result


def _hard(differences: Sequence[str]) -> list[str]:
    """Differences of the forecast itself; other code that gives the same bytes is no difference of it."""
    return [one for one in differences if not one.startswith(("code was", "environment was"))]


def _identity(vintage: Mapping[str, Any], rows: "Given") -> str:
    from demand_assets.store.publish import VintageRecord, forecast_hash, vintage_id_for

    record = VintageRecord(**{field.name: vintage[field.name] for field in fields(VintageRecord)})
    return vintage_id_for(record, forecast_hash(rows))


def _rows_differing(stored: Sequence[tuple[Any, ...]], made: Sequence[tuple[Any, ...]]) -> list[str]:
    """In words: rows on one side only, and per column how many values differ, by how much, and the first of them."""
    from demand_assets.assets.forecasting import PUBLISHED

    then, now = ({row[:3]: row for row in rows} for rows in (stored, made))
    alone = {"the store": then.keys() - now.keys(), "the forecast made again": now.keys() - then.keys()}
    said = [
        f"{len(keys)} rows are only in {where}, first store {min(keys)[0]}, dept {min(keys)[1]}, week {min(keys)[2]}"
        for where, keys in alone.items()
        if keys
    ]
    both = sorted(then.keys() & now.keys())
    for place, name in enumerate(PUBLISHED.names[3:], start=3):
        pairs = [(key, then[key][place], now[key][place]) for key in both if then[key][place] != now[key][place]]
        if pairs:
            (store, dept, week), was, is_ = pairs[0]
            largest = max(abs((old or 0.0) - (new or 0.0)) for _, old, new in pairs)
            first = f"first store {store}, dept {dept}, week {week}: {was!r} in the store, {is_!r} made again"
            said.append(f"{name} differs in {len(pairs):,} of {len(both):,} rows, by {largest:.6g} at most; {first}")
    return said


def _columns_differing(held: Any, made: Any) -> list[str]:
    if len(held) != len(made):
        return [f"the Parquet file has {len(held):,} rows, made again are {len(made):,}"]
    both = set(held) & set(made)
    names = [name for name in dict.fromkeys([*made, *held]) if name not in both or not held[name].equals(made[name])]
    return [f"the Parquet file differs in {', '.join(map(str, names))}"] if names else []


def _print(result: Reproduction) -> None:
    console = terminal()
    whole = f"vintage {result.vintage_id}: {result.rows:,} rows, model version {result.model_version}"
    corrected = f"; {result.superseded_inputs} of its input files were corrected since"
    console.print(whole + (corrected if result.superseded_inputs else ""))
    console.print("identical to the byte" if result.identical else f"DIFFERS: made again it is {result.made_again_as}")
    for words in result.differences:
        console.print(f"  {words}")
