"""The walk-forward report: one HTML file, pictures inside, on how good the forecasts were and where they failed."""

import html
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from demand_assets.assets.html_page import INK, canvas, document, section, svg
from demand_assets.forecasting.baselines import SEASONAL_NAIVE, UNTRAINED, model_in, model_rows
from demand_assets.forecasting.metrics import (
    HOLIDAY_WEIGHT,
    calibration_curve,
    forecast_value_added,
    interval_score,
    score,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORST_SERIES = 20
DEPARTMENTS = 20
CHART_WEEKS = 60
_MODEL, _BAND = "#1f5fbf", "#b9d0f0"
_OTHERS = ("#c26a00", "#2e8b57", "#9a9a9a", "#8a4fbf", "#b23a48", "#5f6b76", "#1f9bb3")


def write_report(points: pd.DataFrame, sales: pd.DataFrame, output: Path) -> None:
    """Write the report of a backtest's `points` beside `sales` to `output`; the same input gives the same bytes."""
    known = points[points["actual"].notna()]
    origins = pd.DatetimeIndex(points["origin_week"].unique()).sort_values()
    scores = score(points).sort_values("wmae", ignore_index=True)
    models = scores["model"].tolist()
    untrained = [name for name in models if name in UNTRAINED]
    colours = {name: _OTHERS[place % len(_OTHERS)] for place, name in enumerate(untrained)}
    colours[model_in(points)] = _MODEL
    own = model_rows(known)
    weeks = int(points["horizon"].max())
    sections = [
        f"<h1>Walk-forward report</h1><p>{len(origins)} origins from {origins[0]:%Y-%m-%d} to {origins[-1]:%Y-%m-%d}, "
        f"1 to {weeks} weeks ahead, {len(own):,} forecasts with an actual. At each origin the model was trained on "
        f"what was known then. WMAE is the mean absolute error, holiday weeks counted {HOLIDAY_WEIGHT} times.</p>",
        section(
            "Scores", "Numbers are per series and week; FVA is how much lower the model's WMAE is.", _table(points)
        ),
        section(
            "WMAE by origin",
            "The model should be the lowest line at every origin; where it is not, a simpler method was better.",
            svg(_lines(score(points, ["origin_week"]), "origin_week", models, colours, "origin")),
        ),
        section(
            "WMAE by horizon",
            "How fast forecasts lose accuracy with the weeks ahead.",
            svg(_lines(score(points, ["horizon"]), "horizon", models, colours, "weeks ahead")),
        ),
        section(
            "WMAE by department",
            f"The {DEPARTMENTS} departments with the largest errors in all; the blue bar should be the shorter one.",
            svg(_departments(points, colours)),
        ),
        section(
            "Calibration",
            "Of the actual values, 10%, 50% and 90% should lie below the three quantiles: dots on the dashed lines.",
            svg(_calibration(own)),
        ),
        section(
            "Worst series",
            f"The {WORST_SERIES} series with the largest weighted error in all. Black: sales; blue: forecasts from "
            "each origin with their p10 to p90 band. Thousands per week.",
            '<div class="grid">' + "".join(_worst(own, sales)) + "</div>",
        ),
    ]
    page = document("Walk-forward report", "".join(sections))
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(output)


def _table(points: pd.DataFrame) -> str:
    scores = score(points)
    added = forecast_value_added(scores, model_in(points)).rename(columns={"baseline": "model"})
    rows = scores.merge(interval_score(points), on="model").merge(added, on="model", how="left").sort_values("wmae")
    heads = ("model", "WMAE", "MAE", "RMSE", "bias", "p10-p90 coverage", "width", "pinball", "FVA", "FVA %")
    cells = "".join(f"<th>{head}</th>" for head in heads)
    body = ""
    for row in rows.to_dict("records"):
        money = (row[name] for name in ("wmae", "mae", "rmse", "bias"))
        fva = ("", "") if pd.isna(row["fva"]) else (f"{row['fva']:+,.0f}", f"{row['fva_share']:+.1%}")
        values = [
            html.escape(row["model"]),
            *(f"{value:,.0f}" for value in money),
            f"{row['coverage']:.1%}",
            f"{row['width']:,.0f}",
            f"{row['pinball']:,.0f}",
            *fva,
        ]
        mark = ' class="own"' if row["model"] not in UNTRAINED else ""
        body += f"<tr{mark}>{''.join(f'<td>{value}</td>' for value in values)}</tr>"
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


def _lines(scores: pd.DataFrame, by: str, models: list[str], colours: dict[str, str], label: str) -> "Figure":
    from matplotlib.dates import DateFormatter
    from matplotlib.ticker import MaxNLocator

    figure, (axes,) = canvas(9.5, 3.6)
    for name in models:
        rows = scores[scores["model"] == name]
        own = name not in UNTRAINED
        width = 2.6 if own else 1.2
        axes.plot(rows[by], rows["wmae"], marker="o", markersize=4, label=name, color=colours[name], linewidth=width)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("WMAE", fontsize=9)
    axes.set_xlabel(label, fontsize=9)
    if by == "horizon":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        axes.set_xticks(scores[by].unique())
        axes.xaxis.set_major_formatter(DateFormatter("%Y-%m-%d"))
        axes.tick_params(axis="x", labelrotation=25)
    figure.legend(frameon=False, fontsize=8, ncols=4, loc="outside upper left")
    return figure


def _departments(points: pd.DataFrame, colours: dict[str, str]) -> "Figure":
    model = model_in(points)
    scores = score(points[points["model"].isin([model, SEASONAL_NAIVE])], ["dept_id"])
    wide = scores.pivot_table(index="dept_id", columns="model", values=["wmae", "points"])
    total = wide["wmae", model] * wide["points", model]
    shown = wide.loc[total.sort_values(ascending=False).index[:DEPARTMENTS], "wmae"]
    figure, (axes,) = canvas(9.5, 3.6)
    place = np.arange(len(shown))
    for offset, name in ((-0.2, model), (0.2, SEASONAL_NAIVE)):
        axes.bar(place + offset, shown[name], width=0.4, label=name, color=colours[name])
    axes.set_xticks(place, [str(dept) for dept in shown.index])
    axes.set_xlabel("department", fontsize=9)
    axes.set_ylabel("WMAE", fontsize=9)
    figure.legend(frameon=False, fontsize=8, ncols=2, loc="outside upper left")
    return figure


def _calibration(own: pd.DataFrame) -> "Figure":
    from matplotlib.ticker import MaxNLocator

    by_horizon = calibration_curve(own, "horizon")
    figure, (axes,) = canvas(9.5, 3.4)
    for level, colour in zip((0.1, 0.5, 0.9), (_OTHERS[0], _MODEL, _OTHERS[1]), strict=True):
        rows = by_horizon[by_horizon["quantile"] == level]
        axes.axhline(level, color=colour, linestyle="--", linewidth=1)
        axes.plot(rows["horizon"], rows["observed"], "o-", color=colour, label=f"below p{100 * level:.0f}")
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of actual values", fontsize=9)
    axes.set_xlabel("weeks ahead", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(frameon=False, fontsize=8, ncols=3, loc="outside upper left")
    return figure


def _worst(own: pd.DataFrame, sales: pd.DataFrame) -> Iterable[str]:
    """One small chart for each of the worst series, the worst first."""
    from matplotlib.dates import DateFormatter

    weight = np.where(own["is_holiday"], HOLIDAY_WEIGHT, 1)
    error = own[["store_id", "dept_id"]].assign(error=weight * (own["forecast"] - own["actual"]).abs())
    totals = error.groupby(["store_id", "dept_id"])["error"].sum().sort_values(ascending=False, kind="stable")
    worst = totals.head(WORST_SERIES)
    last = own["target_week"].max()
    shown = sales[sales["week"].between(last - pd.Timedelta(weeks=CHART_WEEKS), last)]
    histories = shown.set_index(["store_id", "dept_id"]).sort_index()
    forecasts = own.set_index(["store_id", "dept_id"]).sort_index()
    for store, dept in worst.index:
        history = histories.loc[[(store, dept)]].sort_values("week")
        figure, (axes,) = canvas(4.2, 2.4)
        axes.plot(history["week"], history["sales"] / 1000, color=INK, linewidth=1)
        for _, rows in forecasts.loc[[(store, dept)]].sort_values("target_week").groupby("origin_week"):
            axes.fill_between(rows["target_week"], rows["p10"] / 1000, rows["p90"] / 1000, color=_BAND, lw=0)
            axes.plot(rows["target_week"], rows["forecast"] / 1000, color=_MODEL, linewidth=1.8)
        axes.set_ylabel("thousands", fontsize=8)
        axes.xaxis.set_major_formatter(DateFormatter("%b %y"))
        axes.tick_params(axis="x", labelsize=7)
        caption = f"Store {store}, department {dept}: weighted error {totals.loc[(store, dept)]:,.0f}"
        yield f"<figure>{svg(figure)}<figcaption>{html.escape(caption)}</figcaption></figure>"
