"""demand_features -> backtest_report -> trained_model -> promoted_model."""

from typing import Any

import dagster as dg
import pandas as pd

from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.parquet import HISTORY, LakeTable, ParquetLake, content_version
from demand_assets.adapters.promotion import REQUESTED_BY_TAG, decision_key, in_production, judge, stand_in
from demand_assets.adapters.registry import STAGING, ModelRegistry
from demand_assets.adapters.table_refs import TableRef
from demand_assets.assets.describe import columns_from, frame_markdown, plot_markdown
from demand_assets.assets.outages import retry_on_store_outage
from demand_assets.assets.plots import backtest_plot, decision_plot, importance_plot
from demand_assets.assets.rows import absent_rows
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
from demand_assets.errors import LakeError, ModelError, SchemaError
from demand_assets.forecasting.backtest import backtest_stored, rolling_origins, sample_stores
from demand_assets.forecasting.baselines import model_rows
from demand_assets.forecasting.features import FEATURES
from demand_assets.forecasting.forecaster import train_stored
from demand_assets.forecasting.methods import history_needs, weeks_to_learn
from demand_assets.forecasting.metrics import coverage, interval_score, score
from demand_assets.forecasting.weeks import add_weeks
from demand_assets.partitions import run_weeks, week_key, weeks_partitions
from demand_assets.planning import reusable, training_recipe
from demand_assets.provenance import code_version, fingerprint
from demand_assets.resources import Clock, Compute, PromotionGate, Training

GROUP = "training"
OWNERS = ["team:forecasting"]
# By reference: the workers that train read the rows.
ALL_ROWS = dg.AssetIn(partition_mapping=dg.AllPartitionMapping(), metadata=HISTORY, input_manager_key="table_refs")

BACKTEST_COLUMNS = {
    **texts(STORE_ID, DEPT_ID, ORIGIN_WEEK, TARGET_WEEK, HORIZON),
    "model": "Name of the trained model or of a baseline",
    **texts(FORECAST, P10, P50, P90, ACTUAL, IS_HOLIDAY),
    "scale": "Mean weekly sales of the series at the origin",
    "start": "What the correction is added to; of a baseline its forecast",
    "residual": "Correction as the model says it, before it is shrunk, in units of scale",
}


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    partitions_def=weeks_partitions,
    code_version=code_version("training"),
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
        first = add_weeks(pd.Timestamp(demand_features.keys[0]), weeks_to_learn(training.horizon_weeks))
        origins = rolling_origins(
            as_of, first, training.backtest_origins, training.backtest_step_weeks, training.horizon_weeks
        )
        if not origins:
            landed = sum(week <= key for week in raw_sales.keys)
            raise SchemaError(f"no origin before {key} can be judged: {history_needs(landed, training.horizon_weeks)}")
        newest = demand_features.only(demand_features.keys[-1:]).read(["store_id", "dept_id"]).drop_duplicates()
        result = backtest_stored(
            demand_features,
            raw_sales,
            origins,
            training.horizon_weeks,
            training.config().bounded(demand_features.count(), training.training_rows),
            compute.workers_for(),
            sample_stores(newest, training.backtest_series),
            lambda origin: context.log.info(f"forecast from {origin:%Y-%m-%d}"),
            absent_rows(lake),
        )
        points, seconds = result.cv_results, result.fit_seconds
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
            "p10-p90 coverage": coverage(model_rows(points)),
            "origins": ", ".join(f"{week:%Y-%m-%d}" for week in points["origin_week"].unique()),
            "reused": stored is not None,
            "fit seconds": seconds,
            **_wmae_metadata(overall),
        },
    )


def _wmae_metadata(scores: pd.DataFrame) -> dict[str, float]:
    return {f"WMAE {model}": wmae for model, wmae in zip(scores["model"], scores["wmae"], strict=True)}


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"mlflow"},
    partitions_def=weeks_partitions,
    code_version=code_version("training"),
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
    """One global model as of a week, in MLflow under the alias `staging`.

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
        config = training.config().bounded(demand_features.count(), training.training_rows)
        (forecaster,) = train_stored(
            demand_features, raw_sales, [as_of], config, compute.workers_for(config.members), absent_rows(lake)
        )
        forecaster = forecaster.judged(backtest_report, training.horizon_weeks)
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
            tags={
                "fingerprint": made_from,
                "as_of": key,
                "judged_to": week_key(backtest_report["origin_week"].max()),
                "data_version": fingerprint(lake.versions("raw_sales")),
                "code_version": code_version("training"),
                "horizon_weeks": str(training.horizon_weeks),
            },
            params={**config.model_dump(), "horizon_weeks": training.horizon_weeks, "rows": forecaster.rows},
            metrics={**scores, "fit_seconds": seconds},
            figures={"importance.png": importance},
            sample=demand_features.only(demand_features.keys[-1:]).read().head(5),
            backtest=backtest_report,
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
            "mlflow run": version.run_id,
            "features": len(FEATURES),
            "reused": reused,
            "fit seconds": seconds,
            **plots,
        },
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"mlflow", "sql"},
    partitions_def=weeks_partitions,
    deps=[trained_model],
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
    """The gate: `production` moves to a challenger that beats seasonal naive and the champion; else it says why not.

    As long as no model has passed, the best baseline is in production.
    Every decision is a row of the ledger, made once for a challenger and the champion it was judged against.
    """
    from demand_assets.store.ledger import PROMOTED

    key = week_key(run_weeks(context)[0])
    challenger = registry.with_fingerprint(training_recipe(lake, training, key).version)
    if challenger is None:
        raise ModelError(f"no model was trained as of {key} on the present data; materialise trained_model first")
    champion = ledger.champion()
    if champion is not None and champion.version == challenger.version:
        decision, promoted, said = in_production(champion), False, in_production(champion).reasons
    else:
        decision = judge(lake, registry, challenger, champion, promotion_gate.policy())
        asked = context.run.tags.get(REQUESTED_BY_TAG, f"gate of {context.job_name}")
        record = ledger.decide(
            challenger, champion, decision, asked, clock.now(), decision_key=decision_key(challenger, champion)
        )
        promoted, said = record.outcome == PROMOTED, record.reasons
        if ledger.champion() is None:
            rows = lake.read("demand_features", [key])
            if rows is None:
                raise LakeError(f"{lake.path('demand_features', key)}: expected the features of the week, got no file")
            baseline, why = stand_in(registry, challenger, training.horizon_weeks, rows.head(5), context.run_id)
            record = ledger.decide(baseline, None, why, asked, clock.now(), decision_key=decision_key(baseline, None))
            said = (*said, *record.reasons)
    production = ledger.champion()
    context.log.info(f"version {challenger.version}: {'; '.join(said)}")
    return dg.MaterializeResult(
        metadata={
            "promoted": promoted,
            "reasons": dg.MetadataValue.md("\n".join(f"- {reason}" for reason in said)),
            "challenger version": int(challenger.version),
            "production version": "none" if production is None else production.version,
            **decision.figures,
            **(
                {"gate": plot_markdown(decision_plot(decision.figures), "WMAE at the gate")} if decision.figures else {}
            ),
        }
    )
