"""One self-contained HTML page: pictures as SVG inside it, nothing fetched; the same input gives the same bytes."""

import html
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1c2733"
_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem 1rem 4rem; color: #1c2733; background: #fff;
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .2rem; }
p { margin: .2rem 0 .8rem; color: #45525f; max-width: 46rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .35rem .8rem; text-align: right; border-bottom: 1px solid #e3e8ed; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { color: #45525f; font-weight: 600; }
tr.own td { font-weight: 700; color: #1f5fbf; }
svg { max-width: 100%; height: auto; display: block; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .85rem; color: #45525f; }
"""


def document(title: str, body: str, style: str = "") -> str:
    """The whole page; `style` is CSS beside the common one."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}{style}</style></head><body>{body}</body></html>\n"
    )


def section(title: str, reading: str, body: str) -> str:
    """A heading, how to read what follows, and that."""
    return f'<h2>{html.escape(title)}</h2><p>{html.escape(reading)}</p><div class="scroll">{body}</div>'


def canvas(width: float, height: float, columns: int = 1) -> "tuple[Figure, list[Axes]]":
    """A figure of so many inches and its axes side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    drawn = [figure.add_subplot(1, columns, place + 1) for place in range(columns)]
    for axes in drawn:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=8)
        axes.grid(axis="y", color="#e3e8ed", linewidth=0.7)
        axes.set_axisbelow(True)
    return figure, drawn


def svg(figure: "Figure") -> str:
    """The figure as an inline SVG element."""
    import matplotlib as mpl

    buffer = io.StringIO()
    # A fixed salt and no date: the same report has the same bytes.
    with mpl.rc_context({"svg.hashsalt": "report", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
