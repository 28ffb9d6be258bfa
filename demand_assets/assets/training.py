"""demand_features -> backtest_report -> trained_model -> promoted_model."""

from typing import Any

import dagster as dg
import pandas as pd

from demand_assets.adapters.arrow_frames import content_version
from demand_assets.adapters.kept_models import BACKTEST_MODEL, keep_model
from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.model_card import LearntFrom, learnt_from, model_card
from demand_assets.adapters.parquet import HISTORY, LakeTable, ParquetLake
from demand_assets.adapters.promotion import REQUESTED_BY_TAG, Gate, registered_untrained
from demand_assets.adapters.registry import STAGING, ModelRegistry, RegisteredVersion
from demand_assets.adapters.table_refs import TableRef
from demand_assets.assets.describe import columns_from, frame_markdown, plot_markdown
from demand_assets.assets.outages import retry_on_store_outage
from demand_assets.assets.plots import backtest_plot, decision_plot, importance_plot
from demand_assets.assets.rows import ABSENT_TABLES, absent_rows
from demand_assets.contract.columns import texts
from demand_assets.contract.store import (
    ACTUAL,
    DEPT_ID,
    FORECAST,
    HORIZON,
    IS_HOLIDAY,
    ORIGIN_WEEK,
    P10,
    P50,
    P90,
    STORE_ID,
    TARGET_WEEK,
)
from demand_assets.errors import ModelError, SchemaError
from demand_assets.forecasting.backtest import Backtest, backtest_stored, sample_stores
from demand_assets.forecasting.baselines import model_rows
from demand_assets.forecasting.features import features_of
from demand_assets.forecasting.forecaster import train_stored
from demand_assets.forecasting.methods import history_needs, methods_for
from demand_assets.forecasting.metrics import coverage, interval_score, score
from demand_assets.forecasting.promotion import best_untrained, untrained_forecaster
from demand_assets.forecasting.short_history import LEAST_WEEKS, untrained_backtest, untrained_origins
from demand_assets.origins import features_up_to, judged_origins, serving_origin
from demand_assets.partitions import run_weeks, week_key, weeks_partitions
from demand_assets.provenance import code_version, fingerprint
from demand_assets.recipes import reusable, training_recipe, training_settings
from demand_assets.resources import Clock, Compute, PromotionGate, Training

GROUP = "training"
OWNERS = ["team:forecasting"]
# By reference: the workers that train read the rows.
ALL_ROWS = dg.AssetIn(partition_mapping=dg.AllPartitionMapping(), metadata=HISTORY, input_manager_key="table_refs")
# Of these the gate reads what it needs: the champion forecasts again where it is judged.
ALL_WEEKS = [dg.AssetDep(name, partition_mapping=dg.AllPartitionMapping()) for name in ("demand_features", "raw_sales")]

BACKTEST_COLUMNS = {
    **texts(STORE_ID, DEPT_ID, ORIGIN_WEEK, TARGET_WEEK, HORIZON),
    "model": "Name of the trained model or of a baseline",
    **texts(FORECAST, P10, P50, P90, ACTUAL, IS_HOLIDAY),
    "scale": "Mean weekly sales of the series at the origin",
    "floor": "Least that a forecast may be",
    "start": "What the correction is added to; of a baseline its forecast",
    "residual": "Correction as the model says it, before it is shrunk, in units of scale",
}


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    partitions_def=weeks_partitions,
    code_version=code_version("training"),
    deps=[*ABSENT_TABLES],
    metadata={"dagster/column_schema": columns_from(BACKTEST_COLUMNS)},
    ins={"demand_features": ALL_ROWS, "raw_sales": ALL_ROWS},
)
def backtest_report(
    context: dg.AssetExecutionContext,
    lake: ParquetLake,
    training: Training,
    compute: Compute,
    demand_features: TableRef,
    raw_sales: TableRef,
) -> dg.MaterializeResult:
    """Rolling-origin forecasts of the model and the baselines, one row per series x origin x target x model.

    Each origin is trained on what was known then. Unchanged data, code and configuration give the stored report.
    """

    as_of = run_weeks(context)[0]
    key = week_key(as_of)
    recipe = training_recipe(lake, training, key)
    stored = reusable(lake, "backtest_report", key, recipe)
    if stored is not None:
        points, seconds = stored, 0.0
    else:
        result = _backtest(context, lake, training, compute, demand_features, raw_sales)
        points, seconds = result.cv_results, result.fit_seconds
        if result.kept is not None:
            keep_model(lake, BACKTEST_MODEL, key, result.kept, recipe.metadata)
    overall, by_origin = score(points), score(points, ["origin_week"])
    holidays = score(points[points["is_holiday"]]) if points["is_holiday"].any() else overall.iloc[:0]
    return dg.MaterializeResult(
        value=LakeTable(points, {key: recipe.metadata}),
        data_version=dg.DataVersion(content_version(points)),
        metadata={
            "scores": frame_markdown(overall),
            "scores in holiday weeks": frame_markdown(holidays),
            "intervals": frame_markdown(interval_score(points)),
            "WMAE by horizon": frame_markdown(
                score(points, ["horizon"]).pivot_table(index="horizon", columns="model", values="wmae").reset_index()
            ),
            "WMAE by origin": plot_markdown(backtest_plot(by_origin), "WMAE by origin"),
            "p10-p90 coverage": coverage(_judged_rows(points)),
            "origins": ", ".join(f"{week:%Y-%m-%d}" for week in points["origin_week"].unique()),
            "reused": stored is not None,
            "fit seconds": seconds,
            **_wmae_metadata(overall),
        },
    )


def _backtest(
    context: dg.AssetExecutionContext,
    lake: ParquetLake,
    training: Training,
    compute: Compute,
    features: TableRef,
    sales: TableRef,
) -> Backtest:
    """Of the model, or of the untrained methods where history is too short for one; SchemaError when of neither."""
    as_of = run_weeks(context)[0]
    key, absent = week_key(as_of), absent_rows(lake)
    newest = features.only(features.keys[-1:]).read(["store_id", "dept_id"]).drop_duplicates()
    stores = sample_stores(newest, training.backtest_series)
    learnt = features.only(features_up_to(lake, training, key))
    origins = judged_origins(lake, training, key)
    if origins:
        return backtest_stored(
            learnt,
            sales,
            origins,
            training.horizon_weeks,
            training.config().bounded(learnt.count(), training.training_rows),
            compute.workers_for(),
            stores,
            lambda origin: context.log.info(f"forecast from {origin:%Y-%m-%d}"),
            absent,
            serving_origin(origins, as_of),
        )
    landed = sum(week <= key for week in sales.keys)
    needs = history_needs(landed, training.horizon_weeks)
    origins = untrained_origins(pd.DatetimeIndex(learnt.keys), as_of)
    if not origins:
        raise SchemaError(f"no week before {key} can be forecast from: {needs}; the least is {LEAST_WEEKS}")
    context.log.info(f"no model is trained: {needs}")
    quantiles = training.config().quantiles
    # Work of a second: no cluster is opened for it.
    return untrained_backtest(
        learnt, sales, origins, training.horizon_weeks, compute.workers_for(1), stores, absent, quantiles
    )


def _judged_rows(points: pd.DataFrame) -> pd.DataFrame:
    """The rows of the model, or where none was judged those of the best untrained method."""
    own = model_rows(points)
    return own if len(own) else points[points["model"] == best_untrained(points)]


def _wmae_metadata(scores: pd.DataFrame) -> dict[str, float]:
    return {f"WMAE {model}": wmae for model, wmae in zip(scores["model"], scores["wmae"], strict=True)}


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"mlflow"},
    partitions_def=weeks_partitions,
    code_version=code_version("training"),
    deps=[*ABSENT_TABLES],
    ins={"demand_features": ALL_ROWS, "raw_sales": ALL_ROWS},
)
def trained_model(
    context: dg.AssetExecutionContext,
    lake: ParquetLake,
    training: Training,
    registry: ModelRegistry,
    compute: Compute,
    demand_features: TableRef,
    raw_sales: TableRef,
    backtest_report: pd.DataFrame,
) -> dg.MaterializeResult:
    """One global model as of a week, in MLflow under the alias `staging`; of a short history its best method.

    Its correction is shrunk and its intervals are calibrated by the errors of its own backtest. Unchanged data, code
    and configuration give the version that is registered already.
    """

    as_of = run_weeks(context)[0]
    key = week_key(as_of)
    made_from = training_recipe(lake, training, key).version
    version = registry.with_fingerprint(made_from)
    reused = version is not None
    seconds = 0.0
    plots: dict[str, Any] = {}
    if version is None:
        tags = {
            "fingerprint": made_from,
            "as_of": key,
            "judged_to": week_key(backtest_report["origin_week"].max()),
            "data_version": fingerprint(lake.versions("raw_sales")),
            "code_version": code_version("training"),
            "horizon_weeks": str(training.horizon_weeks),
            "settings": training_settings(training),
        }
        sample, data = demand_features.only(demand_features.keys[-1:]).read().head(5), learnt_from(lake, key)
        if model_rows(backtest_report).empty:
            version = _register_best_method(context, training, registry, raw_sales, backtest_report, tags, sample, data)
        else:
            learnt = demand_features.only(features_up_to(lake, training, key))
            config = training.config().bounded(learnt.count(), training.training_rows)
            workers = compute.workers_for(config.members)
            (trained,) = train_stored(learnt, raw_sales, [as_of], config, workers, absent_rows(lake))
            forecaster = trained.judged(backtest_report, training.horizon_weeks)
            seconds = forecaster.fit_seconds
            importance = importance_plot(forecaster.importance())
            scores = {
                f"backtest_{name}_{row['model']}": float(row[name])
                for row in score(backtest_report).to_dict(orient="records")
                for name in ("wmae", "mae", "rmse", "bias")
            }
            version = registry.register(
                forecaster,
                dagster_run_id=context.run_id,
                tags=tags,
                params={
                    **forecaster.config.model_dump(),
                    "horizon_weeks": training.horizon_weeks,
                    "rows": forecaster.rows,
                },
                metrics={**scores, "fit_seconds": seconds},
                figures={"importance.png": importance},
                sample=sample,
                backtest=backtest_report,
                card=model_card(forecaster, backtest_report, data),
                learnt_from=data.tables,
            )
            plots = {
                "feature importance": plot_markdown(importance, "feature importance"),
                "rows": forecaster.rows,
            }
    registry.set_alias(STAGING, version.version)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(made_from),
        metadata={
            "model version": int(version.version),
            "method": version.method,
            "mlflow run": version.run_id,
            "features": len(features_of(demand_features.columns())),
            "reused": reused,
            "fit seconds": seconds,
            **plots,
        },
    )


def _register_best_method(
    context: dg.AssetExecutionContext,
    training: Training,
    registry: ModelRegistry,
    sales: TableRef,
    tested: pd.DataFrame,
    tags: dict[str, str],
    sample: pd.DataFrame,
    data: LearntFrom,
) -> RegisteredVersion:
    """The best method that a history too short for a model allows, as a version."""
    landed = sum(week <= tags["as_of"] for week in sales.keys)
    method = best_untrained(tested, methods_for(landed, training.horizon_weeks))
    made = untrained_forecaster(
        method, tested, pd.Timestamp(tags["as_of"]), training.horizon_weeks, training.config().quantiles
    )
    return registered_untrained(registry, *made, tags, sample, data, context.run_id)


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"mlflow", "sql"},
    partitions_def=weeks_partitions,
    deps=[trained_model, *ALL_WEEKS, "dataset"],
)
@retry_on_store_outage
def promoted_model(
    context: dg.AssetExecutionContext,
    lake: ParquetLake,
    training: Training,
    registry: ModelRegistry,
    ledger: PromotionLedger,
    promotion_gate: PromotionGate,
    clock: Clock,
) -> dg.MaterializeResult:
    """The gate: `production` moves to a challenger that beats the untrained methods and the champion, or says why not.

    Where it does not, the best untrained method is judged: it serves where nothing else can, or where it beats the
    champion. Every decision is a row of the ledger, made once for a challenger and the champion it was judged against.
    """
    key = week_key(run_weeks(context)[0])
    challenger = registry.with_fingerprint(training_recipe(lake, training, key).version)
    if challenger is None:
        raise ModelError(f"no model was trained as of {key} on the present data; materialise trained_model first")
    asked = context.run.tags.get(REQUESTED_BY_TAG, f"gate of {context.job_name}")
    gate = Gate(lake, registry, ledger, promotion_gate.policy(), asked, clock.now(), context.run_id)
    landed = sum(week <= key for week in lake.partitions("raw_sales"))
    outcome = gate.judge(challenger, methods_for(landed, training.horizon_weeks), training.horizon_weeks)
    production = ledger.champion()
    context.log.info(f"version {challenger.version}: {'; '.join(outcome.reasons)}")
    return dg.MaterializeResult(
        metadata={
            "promoted": outcome.promoted,
            "reasons": dg.MetadataValue.md("\n".join(f"- {reason}" for reason in outcome.reasons)),
            "challenger version": int(challenger.version),
            "production version": "none" if production is None else production.version,
            "method": "none" if production is None else production.method,
            **outcome.figures,
            **({"gate": plot_markdown(decision_plot(outcome.figures), "WMAE at the gate")} if outcome.figures else {}),
        }
    )
