"""The page of one week's drift report: a verdict, what drifted, how the worst look, and the weeks before."""

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from demand_assets.assets.html_page import INK, canvas, document, section, svg
from demand_assets.forecasting.features import features_of
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR, add_weeks
from demand_assets.monitoring.drift import ROW_KEYS, DriftVerdict, Read
from demand_assets.monitoring.drift_metrics import HISTORY_WEEKS, LAST_SEASON, SEASON_WEEKS, rows_in_group
from demand_assets.monitoring.drift_severity import FEW, NONE, SEVERE, WARN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_DRIFTS = 12
SHOWN_PICTURES = 6
_NOW, _THEN = "#b23a48", "#9fb3c8"
_COLOURS = {FEW: "#f3f5f7", NONE: "#d5e8dc", WARN: "#f2c14e", SEVERE: "#b23a48"}
_TITLES = {SEVERE: "Severe drift", WARN: "Some drift, none of it wide", NONE: "No drift"}
_KINDS = {
    "chain": "chain", "store_type": "store types", "dept_group": "department groups", "department": "departments",
    "store": "stores",
}  # fmt: skip
_STYLE = """
.verdict { border-left: .5rem solid; padding: .2rem 0 .2rem 1rem; margin-bottom: 1rem; }
td.words, th.words { text-align: left; white-space: normal; min-width: 20rem; }
th, td { padding: .3rem .55rem; }
td.words small { color: #45525f; display: block; }
.grid { grid-template-columns: repeat(auto-fill, minmax(28rem, 1fr)); }
span.mark { display: inline-block; border-radius: .2rem; padding: 0 .5rem; color: #1c2733; }
span.mark.severe { color: #fff; }
"""


def drift_page(
    report: pd.DataFrame,
    verdict: DriftVerdict,
    read: Read,
    as_of: pd.Timestamp,
    recent: Mapping[str, Mapping[str, str]],
) -> str:
    """The whole page. `read` gives columns of the rows of the week and of the past it was judged by.

    `recent` maps a week to the worst severity of each kind of group and of the week (`week`), the judged one last.
    """
    week = pd.Timestamp(report["week"].iloc[0])
    learnt = min(as_of, add_weeks(week, -1))
    counts = report["severity"].value_counts()
    judged = int(len(report) - counts.get(FEW, 0))
    share = f", in groups with {verdict.sales_share:.0%} of sales" if verdict.severe else ""
    body = [
        f'<div class="verdict" style="border-color:{_COLOURS[verdict.severity]}">'
        f"<h1>{_TITLES[verdict.severity]} in the week of {week:%Y-%m-%d}</h1>"
        f"<p>{judged:,} comparisons of features and predictions with the champion's training (origins to "
        f"{learnt:%Y-%m-%d}) and with last season: {counts.get(SEVERE, 0)} severe{share}, "
        f"{counts.get(WARN, 0)} warnings. "
        f"{counts.get(FEW, 0):,} more had too few points or weeks to judge.</p></div>",
        section(
            "What drifted",
            "Worst and widest first. PSI, KS, mean and missing are against the reference named; unusual says how far "
            "that lies outside its own past year, in robust standard deviations; sales is the group's share.",
            _table(report, verdict),
        ),
    ]
    worst = _worst(report, verdict)
    if worst:
        rows = read(list(dict.fromkeys([*ROW_KEYS, "store_type", *(str(row["variable"]) for row in worst)])))
        pictures = "".join(
            f"<figure>{svg(_picture(row, rows, as_of))}<figcaption>{html.escape(row['words'])}</figcaption></figure>"
            for row in worst
        )
        body.append(
            section(
                "How it looks",
                "Left: values of the series, the reference in grey and this week in red. Right: the weekly mean or "
                "share missing over the past year, this week as the red dot.",
                f'<div class="grid">{pictures}</div>',
            )
        )
    body.append(
        section(
            "The weeks before",
            "Worst severity of each week. Green: none; yellow: warning; red: severe; grey: too little to judge.",
            svg(_strip(recent)),
        )
    )
    return document(f"Drift, week of {week:%Y-%m-%d}", "".join(body), _STYLE)


def _worst(report: pd.DataFrame, verdict: DriftVerdict) -> list[dict[str, Any]]:
    """Rows of the first drifts that have a distribution to show."""
    by_words = report[report["words"] != ""].drop_duplicates("words").set_index("words", drop=False)
    rows = [{str(name): value for name, value in by_words.loc[words].items()} for words in verdict.named]
    return [row for row in rows if row["by"] != "flag"][:SHOWN_PICTURES]


def _table(report: pd.DataFrame, verdict: DriftVerdict) -> str:
    if not verdict.named:
        return "<p>Nothing.</p>"
    by_words = report[report["words"] != ""].drop_duplicates("words").set_index("words").to_dict("index")
    heads = ("severity", "what", "points", "PSI", "KS", "mean, sd", "missing", "unusual, sd", "sales")
    body = ""
    for words in verdict.named[:SHOWN_DRIFTS]:
        row = by_words[words]
        figures = (
            f"{row['points']:,}", _figure(row["psi"], ".2f"), _figure(row["ks"], ".2f"),
            _figure(row["mean_shift"], "+.2f"), _figure(row["missing_shift"], "+.0%"), _figure(row["score"], "+.1f"),
            f"{row['sales_share']:.1%}",
        )  # fmt: skip
        level = row["severity"]
        variable = str(row["variable"])
        feature = features_of([variable]).get(variable)
        about = html.escape(feature.text if feature else "Forecast over scale")
        mark = f'<span class="mark {level}" style="background:{_COLOURS[level]}">{level}</span>'
        cells = "".join(f"<td>{figure}</td>" for figure in figures)
        body += f'<tr><td>{mark}</td><td class="words">{html.escape(words)}<small>{about}</small></td>{cells}</tr>'
    more = len(verdict.named) - SHOWN_DRIFTS
    rest = f"<p>And {more} more warnings, in the Parquet file and the table drift_reports.</p>" if more > 0 else ""
    header = "".join(f'<th class="{"words" if head == "what" else ""}">{head}</th>' for head in heads)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>{rest}"


def _figure(value: float, shape: str) -> str:
    return "" if pd.isna(value) else format(value, shape)


def _picture(row: Mapping[str, Any], rows: pd.DataFrame, as_of: pd.Timestamp) -> "Figure":
    week = pd.Timestamp(row["week"])
    name = str(row["variable"])
    own = rows[rows_in_group(rows, str(row["group_kind"]), str(row["group_id"]))]
    now = own.loc[own["origin_week"] == week, name].dropna()
    if row["reference"] == LAST_SEASON:
        middle = add_weeks(week, -WEEKS_PER_YEAR)
        span = own["origin_week"].between(add_weeks(middle, -SEASON_WEEKS), add_weeks(middle, SEASON_WEEKS))
    else:
        span = (own["origin_week"] < week) & own["origin_week"].between(add_weeks(as_of, 1 - HISTORY_WEEKS), as_of)
    then = own.loc[span, name].dropna()
    figure, (left, right) = canvas(6.6, 2.2, 2)
    if len(now) and len(then):
        low, high = np.quantile(np.concatenate([now, then]), [0.01, 0.99])
        bins = np.linspace(low, high if high > low else low + 1, 25).tolist()
        for values, colour, label in ((then, _THEN, "reference"), (now, _NOW, "now")):
            weights = np.full(len(values), 1 / len(values))
            left.hist(
                np.clip(values, bins[0], bins[-1]), bins, weights=weights, color=colour, label=label,
                histtype="stepfilled" if label == "reference" else "step", linewidth=1.6,
            )  # fmt: skip
        left.legend(frameon=False, fontsize=7)
    left.set_title(name, fontsize=9, loc="left", color=INK)
    left.set_ylabel("share of values", fontsize=8)
    weekly = own[own["origin_week"] > add_weeks(week, -HISTORY_WEEKS - 1)].groupby("origin_week")[name]
    path = weekly.apply(lambda values: values.isna().mean()) if row["by"] == "missing" else weekly.mean()
    right.plot(path.index, path, color=INK, linewidth=1.1)
    right.plot(path.index[-1:], path.iloc[-1:], "o", color=_NOW)
    right.set_title("share missing" if row["by"] == "missing" else "weekly mean", fontsize=9, loc="left", color=INK)
    _month_axis(right)
    return figure


def _month_axis(axes: Any) -> None:
    from matplotlib.dates import AutoDateLocator, DateFormatter

    axes.xaxis.set_major_locator(AutoDateLocator(maxticks=5))
    axes.xaxis.set_major_formatter(DateFormatter("%b %y"))
    axes.tick_params(axis="x", labelsize=7)


def _strip(recent: Mapping[str, Mapping[str, str]]) -> "Figure":
    """One row per kind of group and one for the week's verdict; a square per week."""
    lines: Sequence[tuple[str, str]] = [("week", "verdict"), *_KINDS.items()]
    figure, (axes,) = canvas(9.5, 2.2)
    for place, found in enumerate(recent.values()):
        for line, (kind, _) in enumerate(lines):
            colour = _COLOURS[found.get(kind, FEW)]
            axes.add_patch(_square(place, len(lines) - 1 - line, colour))
    weeks = list(recent)
    step = max(len(weeks) // 8, 1)
    shown = range(len(weeks) - 1, -1, -step)
    axes.set_xlim(-0.6, max(len(weeks), 26) - 0.4)
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.set_xticks(list(shown), [weeks[place] for place in shown])
    axes.set_yticks(range(len(lines)), [label for _, label in reversed(lines)])
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    return figure


def _square(left: float, bottom: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((left - 0.44, bottom - 0.44), 0.88, 0.88, color=colour, linewidth=0)


def worst_by_kind(report: pd.DataFrame, verdict: DriftVerdict) -> dict[str, str]:
    """Worst severity of each kind of group, and of the `week`."""
    rank = {FEW: 0, NONE: 1, WARN: 2, SEVERE: 3}
    names = {value: name for name, value in rank.items()}
    worst = report["severity"].map(rank).groupby(report["group_kind"]).max().map(names)
    return {**{str(kind): str(level) for kind, level in worst.items()}, "week": verdict.severity}
