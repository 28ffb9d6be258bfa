"""Tables of the forecast store."""

from __future__ import annotations

from dataclasses import replace

from demand_assets.contract.columns import AMOUNT, Column, Table, Type

# Kinds of vintages: published at its origin; made by a backtest later; on changed plans.
FORECAST_KIND, BACKTEST_KIND, SCENARIO_KIND = "forecast", "backtest", "scenario"

STORE_ID = Column("store_id", Type.ID, "Store, as the retailer writes it", key=True)
DEPT_ID = Column("dept_id", Type.ID, "Department, as the retailer writes it", key=True)
TOTAL_STORE_ID = replace(STORE_ID, text="Store; null where the total spans all stores", nullable=True)
TOTAL_DEPT_ID = replace(DEPT_ID, text="Department; null where the total spans all departments", nullable=True)
LEVEL = Column("level", Type.TEXT, "store, department or chain", key=True)
WEEK = Column("week", Type.WEEK, "Week, by the day that ends it", key=True)
FORECAST_WEEK = replace(WEEK, text="The week that was forecast")
TARGET_WEEK = Column("target_week", Type.WEEK, "Week forecast, by the day that ends it", key=True)
ORIGIN_WEEK = Column("origin_week", Type.WEEK, "Last week whose sales were known")
HORIZON = Column("horizon", Type.SMALL, "Weeks from origin to target", "weeks")
VINTAGE_ID = Column("vintage_id", Type.TEXT, "The published forecast", key=True)
OF_VINTAGE = replace(VINTAGE_ID, references="forecast_vintages.vintage_id")
IS_HOLIDAY = Column("is_holiday", Type.FLAG, "Whether the week holds a retail holiday; such weeks weigh 5 in WMAE")
MODEL_VERSION = Column("model_version", Type.TEXT, "Version of the registered model")
DATA_VERSION = Column("data_version", Type.TEXT, "Data version of the origin's features")
CODE_VERSION = Column("code_version", Type.TEXT, "Version of the forecasting code")


def amount(name: str, text: str, *, nullable: bool = False) -> Column:
    """A column of amounts."""
    return Column(name, Type.NUMBER, text, AMOUNT, nullable=nullable)


def number(name: str, text: str, unit: str = "") -> Column:
    """A column of numbers, some of which may be missing."""
    return Column(name, Type.NUMBER, text, unit, nullable=True)


def _count(name: str, text: str) -> Column:
    return Column(name, Type.INTEGER, text, "series" if name in ("points", "series") else "")


FORECAST = amount("forecast", "Forecast")
P10, P50, P90 = amount("p10", "10% quantile"), amount("p50", "Median"), amount("p90", "90% quantile")
ORDER_QUANTITY = amount("order_quantity", "Stock to have for the week", nullable=True)
ACTUAL = amount("actual", "Sales of the week, net of returns: may be negative")


def _dimension(name: str, kind: str, prefix: str) -> Table:
    """The table of all stores or departments: what an integer key of other tables stands for."""
    return Table(
        name,
        f"{name.capitalize()} that anything was published of, or that have a name. A key is given once, in the "
        "natural order of new ids, and stays.",
        (
            Column(f"{prefix}_key", Type.INTEGER, f"What other tables call the {kind}; from 1", key=True),
            Column(f"{prefix}_id", Type.TEXT, f"{kind.capitalize()}, as the retailer writes it", unique=True),
            Column("name", Type.TEXT, "Name for people", nullable=True),
            Column("attributes", Type.JSON, f"Static facts of the {kind}, by name", nullable=True),
        ),
    )


DATASET = Table(
    "dataset",
    "What the retailer's data are; one row, none before the pipeline has written it.",
    (
        Column("dataset_key", Type.SMALL, "Always 1", key=True),
        Column("unit", Type.TEXT, "What sales count, such as USD or pieces"),
        Column("week_ends", Type.SMALL, "Weekday that ends a week: 0 is Monday, 6 is Sunday"),
        Column("store_label", Type.TEXT, "What people call a store, such as Shop"),
        Column("dept_label", Type.TEXT, "What people call a department, such as Article"),
        Column("has_stores", Type.FLAG, "Whether series have a store; otherwise one stands for the chain"),
        Column("has_departments", Type.FLAG, "Whether series have a department; otherwise there is one a store"),
        Column("updated_at", Type.TIME, "When this row, or a name or attribute of a store or department, last changed"),
    ),
)
STORES = _dimension("stores", "store", "store")
DEPARTMENTS = _dimension("departments", "department", "dept")
FORECAST_VINTAGES = Table(
    "forecast_vintages",
    "Published forecasts, each of one origin and immutable. A scenario never replaces a forecast.",
    (
        replace(VINTAGE_ID, text="Origin and a hash of what the vintage was made of and holds"),
        Column("sequence", Type.INTEGER, "Orders vintages as they were published; from 1"),
        ORIGIN_WEEK,
        Column("horizon_weeks", Type.SMALL, "Weeks ahead that it forecasts", "weeks"),
        Column("unit", Type.TEXT, "What its amounts count, such as USD or pieces"),
        Column(
            "kind",
            Type.TEXT,
            "forecast, backtest (made later, out of sample), or scenario (on changed plans)",
        ),
        Column("method", Type.TEXT, "The algorithm, such as xgboost"),
        MODEL_VERSION,
        DATA_VERSION,
        CODE_VERSION,
        Column("published_at", Type.TIME, "When it was published"),
    ),
    indexes={"ix_forecast_vintages_origin_week": ("origin_week",)},
)
FORECASTS = Table(
    "forecasts",
    "Forecasts of a vintage, one row per series and target week.",
    (OF_VINTAGE, STORE_ID, DEPT_ID, TARGET_WEEK, HORIZON, FORECAST, P10, P50, P90, ORDER_QUANTITY),
    indexes={"ix_forecasts_series_week": ("store_key", "dept_key", "target_week")},
)
FORECAST_TOTALS = Table(
    "forecast_totals",
    "Forecasts of stores, departments and the chain: sums of their series, with intervals of their own.",
    (
        OF_VINTAGE,
        LEVEL,
        TOTAL_STORE_ID,
        TOTAL_DEPT_ID,
        TARGET_WEEK,
        HORIZON,
        amount("forecast", "Sum of the forecasts of its series"),
        *(replace(quantile, text=f"{quantile.text} of the total", nullable=True) for quantile in (P10, P50, P90)),
        _count("series", "Series in the total"),
    ),
)
FORECAST_ATTRIBUTIONS = Table(
    "forecast_attributions",
    "Why a forecast is what it is: what each group of features moved it by. A row's amounts sum to its forecast.",
    (
        OF_VINTAGE,
        STORE_ID,
        DEPT_ID,
        TARGET_WEEK,
        amount("last_year", "What the forecast starts from and last year's weeks around it"),
        amount("recent_trend", "What recent weeks moved the forecast by"),
        amount("holiday", "What holidays moved it by"),
        amount("promotion", "What markdowns and drivers known ahead moved it by"),
        amount("store", "What the store's size, type and growth moved it by"),
        amount("department", "What the department's season and growth moved it by"),
        amount("weather_economy", "What temperature, fuel, CPI and unemployment moved it by"),
    ),
)
ACTUALS = Table(
    "actuals",
    "Sales, corrected in place.",
    (STORE_ID, DEPT_ID, WEEK, ACTUAL, IS_HOLIDAY),
    # Holds what the totals of a stretch of weeks need, so that they are read from it alone.
    indexes={"ix_actuals_week": ("week", "store_key", "dept_key", "actual")},
)
STORE_CONDITIONS = Table(
    "store_conditions",
    "Conditions of a store's week, as far ahead as they have been delivered; corrected in place.",
    (
        STORE_ID,
        WEEK,
        IS_HOLIDAY,
        number("temperature_f", "Mean air temperature in the region", "degrees Fahrenheit"),
        number("fuel_price", "Fuel price in the region", "currency per gallon"),
        number("cpi", "Consumer price index of the region", "index points"),
        number("unemployment", "Unemployment rate in the region", "percent"),
    ),
)
HOLIDAYS = Table(
    "holidays",
    "What the holidays of a week are called; no row for a week without a name. Which weeks count as holidays is "
    "`is_holiday` of the other tables: Easter, for one, is named and may weigh nothing.",
    (WEEK, Column("holiday", Type.TEXT, "Names of the week's holidays, separated by semicolons")),
)
FORECAST_ACCURACY = Table(
    "forecast_accuracy",
    "Forecasts against the sales that came, per week, vintage, model, horizon and total.",
    (
        FORECAST_WEEK,
        replace(VINTAGE_ID, text="The vintage that forecast it"),
        Column("model", Type.TEXT, "The vintage's method, a baseline stored with it, or final", key=True),
        replace(HORIZON, text="Weeks ahead it was forecast", key=True),
        LEVEL,
        TOTAL_STORE_ID,
        TOTAL_DEPT_ID,
        _count("points", "Series with a forecast and an actual"),
        amount("wmae", "Weighted mean absolute error; weight 5 in holiday weeks"),
        amount("mae", "Mean absolute error"),
        amount("rmse", "Root mean squared error"),
        amount("bias", "Mean of forecast less actual"),
        amount("actual", "Sales of these series"),
        amount("total_error", "Sum of forecast less actual"),
        number("coverage", "Share of actuals within p10 to p90; missing for baselines"),
        amount(
            "fva",
            "Forecast value added: WMAE of the seasonal naive less this model's; positive is better",
            nullable=True,
        ),
        number(
            "tracking_signal",
            "Sum of this total's errors over 8 scored weeks, by their mean size; missing below 4 weeks",
        ),
    ),
)
FORECAST_EXCEPTIONS = Table(
    "forecast_exceptions",
    "Series that a planner should look at: sales outside p10 to p90 of the newest vintage.",
    (
        FORECAST_WEEK,
        replace(VINTAGE_ID, text="The newest vintage that forecast it"),
        STORE_ID,
        DEPT_ID,
        _count("rank", "1 is the most money at risk"),
        replace(HORIZON, text="Weeks ahead it was forecast"),
        FORECAST,
        P10,
        P90,
        replace(ORDER_QUANTITY, text="Order quantity at selling prices"),
        amount("actual", "Sales; 0 without a sales row"),
        amount("at_risk", "What the order cost too much: short or over, each at its cost"),
        Column("reason", Type.TEXT, "What happened, in words"),
    ),
)
DRIFT_REPORTS = Table(
    "drift_reports",
    "What a week's inputs and predictions differ in from a reference, per group and variable.",
    (
        replace(WEEK, text="Origin week that was judged"),
        Column(
            "reference",
            Type.TEXT,
            "training (52 origins the champion learnt from) or last_season (origins 50 to 54 weeks before)",
            key=True,
        ),
        Column("group_kind", Type.TEXT, "chain, store_type, dept_group, department or store", key=True),
        Column("group_id", Type.TEXT, "Which of that kind", key=True),
        Column("variable", Type.TEXT, "Name of the feature, or prediction (forecast over scale)", key=True),
        Column("kind", Type.TEXT, "feature, prediction or calendar"),
        Column("points", Type.INTEGER, "Series with a value, now"),
        Column("reference_points", Type.INTEGER, "Values in the reference"),
        number("psi", "Population stability index, bins fixed on the reference"),
        number("ks", "Kolmogorov-Smirnov distance"),
        number("ks_p", "Its p-value; not judged by"),
        number("mean_shift", "Mean now less the reference's, in standard deviations of the reference"),
        number("missing_shift", "Share missing now less the reference's"),
        Column("severity", Type.TEXT, "none, warn or severe; few: too few points or weeks to judge"),
    ),
)
PROMOTIONS = Table(
    "promotions",
    "The ledger of what was and was not put into production; rows are only ever added.",
    (
        Column("promotion_id", Type.INTEGER, "Number of the decision", key=True),
        Column(
            "decision_key",
            Type.TEXT,
            "What was decided on which evidence, so that a gate that runs again after a crash finds its decision; "
            "null for requests of people",
            nullable=True,
            unique=True,
        ),
        Column("decided_at", Type.TIME, "When it was decided"),
        Column("model_name", Type.TEXT, "Name of the registered model"),
        Column("action", Type.TEXT, "promote or rollback"),
        Column("outcome", Type.TEXT, "promoted, refused or superseded"),
        Column("from_version", Type.TEXT, "Champion it was judged against", nullable=True),
        Column("to_version", Type.TEXT, "Version that was decided on"),
        Column("forced", Type.FLAG, "Whether a person overruled the gate"),
        Column("requested_by", Type.TEXT, "Who asked: the gate or a person"),
        Column("as_of", Type.WEEK, "Last week the version was trained on", nullable=True),
        Column("reasons", Type.JSON, "Why, in words"),
        Column("figures", Type.JSON, "What was measured, by name"),
        replace(DATA_VERSION, text="Data version of what it was trained on"),
        CODE_VERSION,
    ),
    indexes={"ix_promotions_model_outcome": ("model_name", "outcome")},
)
OVERRIDES = Table(
    "overrides",
    "Planners' numbers beside the forecasts: a change is another version, a withdrawal a version without a number.",
    (
        Column("override_id", Type.INTEGER, "Number of the override", key=True),
        Column("idempotency_key", Type.TEXT, "Names the request, so that one sent twice counts once", unique=True),
        Column("request_hash", Type.TEXT, "SHA-256 of the request"),
        replace(STORE_ID, key=False),
        replace(DEPT_ID, key=False),
        replace(TARGET_WEEK, key=False),
        Column("version", Type.INTEGER, "1 for the first number given for this series and week"),
        amount("override", "The planner's number; null withdraws the one before", nullable=True),
        Column("author", Type.TEXT, "Who gave it: whom the API key belongs to, or the account of the command"),
        Column("reason", Type.TEXT, "Why, in words"),
        Column("reason_code", Type.TEXT, "Why, as one of the codes that the service is set to", nullable=True),
        Column("batch_id", Type.TEXT, "The upload that it came with; null for one given by itself", nullable=True),
        Column("client", Type.TEXT, "Network address that it came from; null for a command", nullable=True),
        Column("needs_approval", Type.FLAG, "Whether it is not in force before a second person approves of it"),
        Column("created_at", Type.TIME, "When it was given"),
        Column("expires_at", Type.TIME, "Until when it is in force; null for ever", nullable=True),
        Column("vintage_id", Type.TEXT, "The published forecast it was given against"),
        amount("forecast", "What that forecast was"),
    ),
    indexes={"ix_overrides_batch_id": ("batch_id",)},
    unique={"uq_overrides_series_week_version": ("store_key", "dept_key", "target_week", "version")},
)
OVERRIDE_REVIEWS = Table(
    "override_reviews",
    "What a second person said of overrides that need approval; rows are only ever added.",
    (
        Column("override_id", Type.INTEGER, "The override", key=True, references="overrides.override_id"),
        Column("approved", Type.FLAG, "Whether it is in force from then on"),
        Column("reviewer", Type.TEXT, "Who said so; never its author"),
        Column("comment", Type.TEXT, "Why, in words", nullable=True),
        Column("client", Type.TEXT, "Network address that it came from", nullable=True),
        Column("reviewed_at", Type.TIME, "When it was said"),
    ),
)
SCENARIOS = Table(
    "scenarios",
    "What-if: the vintages of kind scenario, what was changed for each, and the forecast it stands beside.",
    (
        Column("name", Type.TEXT, "Name of the scenario", key=True),
        replace(OF_VINTAGE, key=False, text="Its forecasts, a vintage of kind scenario"),
        Column(
            "base_vintage_id",
            Type.TEXT,
            "The published forecast it is compared with: the same origin, data and model, on the plans as they were",
            references="forecast_vintages.vintage_id",
        ),
        Column("changes", Type.TEXT, "The CSV of changed plans, as it was given"),
        _count("series", "Series whose plans it changes"),
        Column("author", Type.TEXT, "Who asked for it"),
        Column("created_at", Type.TIME, "When it was published"),
        Column(
            "money",
            Type.JSON,
            "Per target week the forecast at its prices, as [base, scenario]; null where amounts are money or no price "
            "is known",
            nullable=True,
        ),
        Column("adopted_by", Type.TEXT, "Who made it overrides; null while nobody has", nullable=True),
        Column("adopted_at", Type.TIME, "When that was", nullable=True),
    ),
)
ACCEPTED_WEEKS = Table(
    "accepted_weeks",
    "Unusual findings of ingestion's checks that somebody has looked at and takes as right.",
    (
        Column("acceptance", Type.INTEGER, "Number of the acceptance", key=True),
        replace(WEEK, key=False, text="Week of the finding"),
        Column("check_name", Type.TEXT, "Check that found it"),
        Column("reason", Type.TEXT, "Why it is right"),
        Column("accepted_by", Type.TEXT, "Who said so"),
        Column("accepted_at", Type.TIME, "When it was said"),
    ),
    indexes={"ix_accepted_weeks_week": ("week", "check_name")},
)
ALERTS = Table(
    "alerts",
    "Alerts and their delivery: the process that adds a row delivers that alert over that channel.",
    (
        Column("alert_key", Type.TEXT, "What is wrong with what, when, and by which evidence", key=True),
        Column("channel", Type.TEXT, "log, sns, cloudwatch, or an address by its scheme and a hash", key=True),
        Column("alert", Type.JSON, "What is wrong: kind, subject, week, severity, summary, figures, evidence"),
        Column("claimed_at", Type.TIME, "When its delivery began"),
        Column("sent_at", Type.TIME, "When it was delivered; null while it is being sent", nullable=True),
    ),
)
EVENT_TARGETS = Table(
    "event_targets",
    "Who is told of published vintages, and how far: the process that claims a row tells that target of those after.",
    (
        Column("target", Type.TEXT, "webhook, sns or an alert channel, and a hash of its address", key=True),
        Column("sequence", Type.INTEGER, "Sequence of the newest vintage that it was told of; 0 of none"),
        Column("claimed_at", Type.TIME, "Since when a process is telling it; null while none is", nullable=True),
        Column("told_at", Type.TIME, "When it last took an event; null while it has taken none", nullable=True),
    ),
)
API_KEYS = Table(
    "api_keys",
    "Keys of the API. A key is shown once, when it is made, and is not kept.",
    (
        Column("key_id", Type.TEXT, "Names the key", key=True),
        Column("name", Type.TEXT, "Whose key it is"),
        Column("key_hash", Type.TEXT, "SHA-256 of the key", unique=True),
        Column("scopes", Type.JSON, "Some of read, write and approve"),
        Column("created_at", Type.TIME, "When it was made"),
        Column("expires_at", Type.TIME, "Until when it is valid; null for ever", nullable=True),
        Column("revoked_at", Type.TIME, "When it was revoked", nullable=True),
    ),
)
