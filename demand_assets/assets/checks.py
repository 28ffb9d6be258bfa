"""Asset checks: outcomes of the pure checks as Dagster results, and the checks on features and forecasts."""

from collections.abc import Iterator, Sequence
from typing import NoReturn

import dagster as dg
import numpy as np
import pandas as pd

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.ingestion.outcome import CheckOutcome, CheckSpec
from demand_assets.partitions import weeks_partitions

ROWS_SHOWN = 20
# Metadata of a materialisation or a check: a table of rows with file, line, check and reason.
ROWS_SET_ASIDE = "rows set aside"
FEATURE_CHECK_COLUMNS = ["store_id", "dept_id", "origin_week", "target_week", "base", "scale"]


def check_specs(asset: str, specs: Sequence[CheckSpec]) -> list[dg.AssetCheckSpec]:
    """Dagster's specs of an asset's checks; those of severity error block, because they would reach a forecast."""
    return [
        dg.AssetCheckSpec(spec.name, asset=asset, blocking=spec.severity == "error", description=spec.rule)
        for spec in specs
    ]


def rows_table(frame: pd.DataFrame) -> dg.MetadataValue:
    """The first failing rows as a table in the UI."""
    shown = frame.head(ROWS_SHOWN)
    if shown.empty:
        return dg.MetadataValue.md("none")
    records = [
        dg.TableRecord({str(name): _plain(value) for name, value in row.items()})
        for row in shown.to_dict(orient="records")
    ]
    columns = [dg.TableColumn(str(name)) for name in shown.columns]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))


def _plain(value: object) -> str | int | float | bool:
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | bool) else str(value)


def _result(outcome: CheckOutcome) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=outcome.name,
        passed=outcome.passed,
        severity=dg.AssetCheckSeverity.WARN if outcome.severity == "warn" else dg.AssetCheckSeverity.ERROR,
        description=outcome.description,
        metadata={
            **outcome.metrics,
            **({"accepted": outcome.accepted} if outcome.accepted else {}),
            "failing rows": rows_table(outcome.failing_rows),
        },
    )


def check_results(context: dg.AssetExecutionContext, outcomes: Sequence[CheckOutcome]) -> Iterator[dg.AssetCheckResult]:
    """Report every outcome; then, if an error is among them, fail the step before anything is written.

    A failed check alone neither keeps the output from being written nor fails the run (dagster#29896).
    """
    for outcome in outcomes:
        yield _result(outcome)
    wrong = [outcome for outcome in outcomes if not outcome.passed and outcome.severity == "error"]
    if wrong:
        _fail(wrong[0].description, wrong[0].name, wrong[0])


def refuse(context: dg.AssetExecutionContext, check: str, reason: str, outcome: CheckOutcome | None = None) -> NoReturn:
    """Fail the step for input that could not even be merged; `check` names what it breaks."""
    context.log.error(f"{check}: {reason}")
    _fail(reason, check, outcome)


def _fail(reason: str, check: str, outcome: CheckOutcome | None) -> NoReturn:
    metadata: dict[str, dg.MetadataValue] = {"check": dg.MetadataValue.text(check)}
    if outcome is not None:
        metadata["failing rows"] = rows_table(outcome.failing_rows)
    # Retrying cannot help: the same files would be read again.
    raise dg.Failure(description=reason, metadata=metadata, allow_retries=False)


@dg.asset_check(asset="weekly_forecast", blocking=True, partitions_def=weeks_partitions)
def every_active_series_has_a_forecast(
    context: dg.AssetCheckExecutionContext, lake: ParquetLake, weekly_forecast: pd.DataFrame
) -> dg.AssetCheckResult:
    """Each series x horizon that has features has one finite forecast."""
    keys = ["store_id", "dept_id", "target_week"]
    features = lake.read("demand_features", [context.partition_key], keys)
    wanted = 0 if features is None else len(features)
    values = weekly_forecast[["forecast", "p10", "p50", "p90"]]
    finite = np.isfinite(values.to_numpy()).all(axis=1)
    unique = not weekly_forecast.duplicated(keys).any()
    return dg.AssetCheckResult(
        passed=bool(wanted and len(weekly_forecast) == wanted and finite.all() and unique),
        metadata={
            "forecasts": len(weekly_forecast),
            "expected": wanted,
            "not finite": int((~finite).sum()),
            "failing rows": rows_table(weekly_forecast[~finite]),
        },
    )


@dg.asset_check(asset="weekly_forecast", blocking=True, partitions_def=weeks_partitions)
def quantiles_do_not_cross(weekly_forecast: pd.DataFrame) -> dg.AssetCheckResult:
    """p10 <= p50 <= p90 in every row."""
    p10, p50, p90 = (weekly_forecast[name].to_numpy() for name in ("p10", "p50", "p90"))
    crossed = (p10 > p50) | (p50 > p90)
    return dg.AssetCheckResult(
        passed=not crossed.any(),
        metadata={"crossed": int(crossed.sum()), "failing rows": rows_table(weekly_forecast[crossed])},
    )


@dg.asset_check(
    asset="forecast_totals",
    blocking=True,
    partitions_def=weeks_partitions,
    additional_ins={"weekly_forecast": dg.AssetIn("weekly_forecast")},
)
def totals_agree_with_series(forecast_totals: pd.DataFrame, weekly_forecast: pd.DataFrame) -> dg.AssetCheckResult:
    """Each total is the sum of its series' forecasts, so each level sums to the chain; its quantiles do not cross."""
    from demand_assets.forecasting.totals import differences

    compared = differences(forecast_totals, weekly_forecast)
    sums = forecast_totals.pivot_table(index="target_week", columns="level", values="forecast", aggfunc="sum")
    bands = forecast_totals[["p10", "p50", "p90"]].to_numpy()
    ordered = (bands[:, :-1] <= bands[:, 1:]).all(axis=1)
    return dg.AssetCheckResult(
        passed=bool(len(compared) and compared["agrees"].all() and ordered.all()),
        metadata={
            "totals": len(forecast_totals),
            "not the sum of their series": int((~compared["agrees"]).sum()),
            "largest difference": float((compared["total"] - compared["sum_of_series"]).abs().max()),
            "largest difference between levels": float((sums.max(axis=1) - sums.min(axis=1)).max()),
            "crossed": int((~ordered).sum()),
            "failing rows": rows_table(compared[~compared["agrees"]]),
        },
    )


@dg.asset_check(asset="demand_features", blocking=True, partitions_def=weeks_partitions)
def features_are_unique_and_scaled(context: dg.AssetCheckExecutionContext, lake: ParquetLake) -> dg.AssetCheckResult:
    """One row per series, origin and target; a finite baseline; a positive scale."""
    # Read here and not as an input, and week by week: six columns of one origin at a time are enough.
    rows = doubled = unscaled = 0
    failing: list[pd.DataFrame] = []
    keys = ["store_id", "dept_id", "origin_week", "target_week"]
    for key in context.op_execution_context.partition_keys:
        features = lake.read("demand_features", [key], FEATURE_CHECK_COLUMNS)
        if features is None:
            return dg.AssetCheckResult(passed=False, description=f"no features were written for {key}")
        twice = features.duplicated(keys).to_numpy()
        loose = ~(np.isfinite(features["base"]) & (features["scale"] > 0)).to_numpy()
        rows, doubled, unscaled = rows + len(features), doubled + int(twice.sum()), unscaled + int(loose.sum())
        failing.append(features.loc[twice | loose, [*keys, "base", "scale"]])
    wrong = pd.concat(failing)
    return dg.AssetCheckResult(
        passed=wrong.empty,
        metadata={
            "rows": rows,
            "doubled keys": doubled,
            "without baseline or scale": unscaled,
            "failing rows": rows_table(wrong),
        },
    )


asset_checks = [
    every_active_series_has_a_forecast,
    quantiles_do_not_cross,
    totals_agree_with_series,
    features_are_unique_and_scaled,
]
