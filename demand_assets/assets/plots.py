"""Pictures for materialisations: PNG bytes from small frames."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from demand_assets.forecasting.baselines import BASELINES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MODEL, _BASELINE, _BAND = "#1f5fbf", "#9a9a9a", "#b9d0f0"


def _canvas(title: str, size: tuple[float, float] = (8.0, 3.6)) -> "tuple[Figure, Axes]":
    # Figure, not pyplot: pyplot keeps global state and asks for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    return buffer.getvalue()


def importance_plot(importance: "pd.DataFrame", top: int = 15) -> bytes:
    """Bars of the most important features: [feature, importance], largest first."""
    shown = importance.head(top).iloc[::-1]
    figure, axes = _canvas("Feature importance, in the model's own measure", (8.0, 4.5))
    axes.barh(shown["feature"], shown["importance"], color=_MODEL)
    return _png(figure)


def backtest_plot(by_origin: "pd.DataFrame") -> bytes:
    """Lines of WMAE by origin: [model, origin_week, wmae]."""
    figure, axes = _canvas("WMAE by origin (lower is better)")
    for name, rows in by_origin.groupby("model", sort=True):
        own = name not in BASELINES
        axes.plot(
            rows["origin_week"],
            rows["wmae"],
            marker="o",
            label=str(name),
            linewidth=2.5 if own else 1.2,
            color=_MODEL if own else None,
            alpha=1.0 if own else 0.75,
        )
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8, ncols=4, loc="lower left")
    axes.tick_params(axis="x", labelrotation=20, labelsize=8)
    return _png(figure)


def forecast_plot(history: "pd.DataFrame", forecast: "pd.DataFrame") -> bytes:
    """Chain total: [week, sales] of the past year, then [target_week, forecast], p10 to p90 if given."""
    figure, axes = _canvas("Chain total, millions a week")
    axes.plot(history["week"], history["sales"] / 1e6, color=_BASELINE, label="sales")
    axes.plot(
        forecast["target_week"], forecast["forecast"] / 1e6, color=_MODEL, marker="o", linewidth=2, label="forecast"
    )
    if "p10" in forecast.columns:
        low, high = forecast["p10"] / 1e6, forecast["p90"] / 1e6
        axes.fill_between(forecast["target_week"], low, high, color=_BAND, linewidth=0, zorder=0, label="p10 to p90")
    axes.legend(frameon=False, fontsize=8)
    axes.set_ylim(bottom=0)
    return _png(figure)


def decision_plot(figures: Mapping[str, float]) -> bytes:
    """Bars of the WMAEs that a decision about a challenger rests on."""
    shown = {
        name.removesuffix("_wmae").replace("_", " "): value for name, value in figures.items() if name.endswith("_wmae")
    }
    figure, axes = _canvas("WMAE at the gate", (8.0, 0.8 + 0.3 * len(shown)))
    bars = axes.barh(list(shown), list(shown.values()), color=[_MODEL, *[_BASELINE] * (len(shown) - 1)])
    axes.bar_label(bars, fmt="{:,.0f}", padding=4, fontsize=8)
    axes.invert_yaxis()
    return _png(figure)


def accuracy_plot(history: "pd.DataFrame") -> bytes:
    """Realised WMAE by week: [week, wmae, seasonal_naive, centre, upper]; NaN where there is none."""
    figure, axes = _canvas("Realised WMAE by week (lower is better)")
    marker = "o" if len(history) < 60 else None
    if history["upper"].notna().any():
        axes.fill_between(history["week"], 0, history["upper"], color=_BAND, alpha=0.5, linewidth=0, label="usual")
    if history["seasonal_naive"].notna().any():
        axes.plot(history["week"], history["seasonal_naive"], color=_BASELINE, marker=marker, label="seasonal naive")
    axes.plot(history["week"], history["wmae"], color=_MODEL, marker=marker, linewidth=2, label="published")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="lower left")
    axes.tick_params(axis="x", labelrotation=20, labelsize=8)
    return _png(figure)
