"""The card of a registered version: what it is, what it learnt from, how well it did, where it ends, and the gate."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.errors import LakeError
from demand_assets.forecasting.metrics import coverage, score, shown
from demand_assets.forecasting.promotion import spoken
from demand_assets.ingestion.dataset import Dataset
from demand_assets.provenance import code_version, fingerprint

if TYPE_CHECKING:
    from demand_assets.forecasting.forecaster import Forecaster

# Longest description that MLflow's database takes.
LONGEST = 5000
_GATE = "## Gate\n\n"
_CARD = """# Weekly demand, {method}, as of {as_of}

Takes rows of the lake's `demand_features` and returns `forecast` and quantiles in {unit}, 1 to {horizon} weeks ahead.

| | |
|---|---|
| Model | {model} |
| Learnt from | {rows} |
{tables}
| Code | {code} |

## Figures

At {origins} origins from {first} to {last}, from what was known then, in {unit}; a bias above 0 is too high:

| method | WMAE | MAE | RMSE | bias |
|---|---|---|---|---|
{figures}

{covered} of the actual sales were within p10 to p90.

## Limits

- It forecasts what is sold. What people wanted and did not find is not in its data.
- Its intervals hold errors of up to {horizon} weeks ahead, and as of {as_of}: they age with it.
- It needs `demand_features` as code version {features} builds them.
- A forecast published by code version {code} is what it returns.
- A promotion, a price or an event unlike any in its data is beyond it.
"""


@dataclass(frozen=True)
class TableSpan:
    """Weeks of one of the lake's tables: where they are, the first and the last, and the version of them together."""

    name: str
    uri: str
    first: str
    last: str
    weeks: int
    version: str


@dataclass(frozen=True)
class LearntFrom:
    """The tables that a version was made from, and the unit of their sales."""

    unit: str
    tables: tuple[TableSpan, ...]


def learnt_from(lake: ParquetLake, as_of: str) -> LearntFrom:
    """What the lake has as of a week; LakeError where it does not know its unit yet."""
    facts = lake.read("dataset", None)
    if facts is None:
        raise LakeError(
            f"{lake.path('dataset', None)}: expected the facts of the data, got no file; materialise dataset"
        )
    return LearntFrom(
        Dataset.read(facts).unit, tuple(_span(lake, name, as_of) for name in ("raw_sales", "demand_features"))
    )


def _span(lake: ParquetLake, table: str, as_of: str) -> TableSpan:
    versions = {key: version for key, version in lake.versions(table).items() if key <= as_of}
    return TableSpan(table, lake.address(table), min(versions), max(versions), len(versions), fingerprint(versions))


def model_card(forecaster: "Forecaster", points: pd.DataFrame, data: LearntFrom) -> str:
    """Markdown about a forecaster, its backtest `points` and its data; the gate has not judged it yet."""
    own = points[points["model"] == forecaster.model]
    # An untrained method stands among its points twice: by its name, and as what it is registered as.
    compared = points if forecaster.method == forecaster.model else points.drop(own.index)
    origins = pd.DatetimeIndex(points["origin_week"].unique()).sort_values()
    card = _CARD.format(
        method=spoken(forecaster.method),
        as_of=f"{forecaster.as_of:%Y-%m-%d}",
        unit=data.unit,
        horizon=points["horizon"].max(),
        model=f"{forecaster.model}, mean of {len(forecaster.members)}, from {forecaster.config.starts_from}",
        rows=f"{forecaster.rows:,} rows" if forecaster.rows else "nothing: it needs no training",
        tables="\n".join(
            f"| {one.name} | {one.weeks} weeks, {one.first} to {one.last}, version {one.version} |"
            for one in data.tables
        ),
        code=code_version("forecast"),
        features=code_version("features"),
        origins=len(origins),
        first=f"{origins[0]:%Y-%m-%d}",
        last=f"{origins[-1]:%Y-%m-%d}",
        figures="\n".join(
            f"| {spoken(row['model'])} | {' | '.join(shown(row[name]) for name in ('wmae', 'mae', 'rmse', 'bias'))} |"
            for row in score(compared).sort_values("wmae").to_dict(orient="records")
        ),
        covered=f"{coverage(own):.0%}",
    )
    return with_decision(card, "Not judged yet.")


def with_decision(card: str, decision: str) -> str:
    """The card with what the gate said, in place of what it said before."""
    return f"{card.partition(_GATE)[0].rstrip()}\n\n{_GATE}{decision}".lstrip()[:LONGEST]
