"""Draws how cost grows, as one small SVG of four plots; the same figures give the same file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

#: Readable on white and on black, as is the transparent ground.
INK = "#777777"
NEW, SAME = "#2f7fd6", "#e07b00"
STYLE: Any = {
    "svg.hashsalt": "completion-aggregator",
    # Texts stay texts: the reader's own font shows them.
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.marker": "o",
    "lines.markersize": 4,
}


def draw(growth: dict[str, Any], path: Path) -> None:
    with mpl.rc_context(STYLE):
        figure, ((by_learners, by_blocks), (memory, by_workers)) = pyplot.subplots(
            2, 2, figsize=(7.5, 5), layout="constrained"
        )
        _lines(by_learners, growth["learners"], "learners", "ms per learner", {"new": NEW, "same": SAME}, 1_000)
        _lines(by_blocks, growth["blocks"], "blocks", "ms per learner", {"new": NEW, "same": SAME}, 1_000)
        _lines(memory, growth["learners"], "learners", "peak memory, MB", {"peak_mb": NEW})
        _lines(by_workers, growth["workers"], "workers", "1,000 rows per second", {"rows_per_second": NEW}, 0.001)
        by_blocks.legend(["no rows yet", "nothing changed"], frameon=False, loc="upper left")
        figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    # The writer ends lines with blanks.
    path.write_text("".join(f"{line.rstrip()}\n" for line in path.read_text().splitlines()))


def _lines(
    axes: Axes, points: list[dict[str, Any]], by: str, label: str, lines: dict[str, str], factor: float = 1.0
) -> None:
    at = [point[by] for point in points]
    for name, color in lines.items():
        axes.plot(at, [factor * point[name] for point in points], color=color)
    if by == "learners":
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(at))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylim(0, 1.15 * factor * max(point[name] for point in points for name in lines))
    axes.set_xlabel(by)
    axes.set_ylabel(label)
