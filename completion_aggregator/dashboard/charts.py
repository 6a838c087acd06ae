"""Charts as SVG, made from numbers on the server.

Colours come from classes, positions are attributes: nothing here needs a script, or a style of its own. What goes in
the reading direction is mirrored where that is from right to left. Shares are 0.0-1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from math import nextafter, pi
from typing import NamedTuple

from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language_bidi
from django.utils.translation import gettext as _

from completion_aggregator.selectors.summary import SectionFunnel

#: Of the height of a chart, in percent: where its plot begins and ends; above are numbers, below is the axis.
_TOP, _BOTTOM = 12.0, 86.0
#: Of the ring, in its own units.
_RADIUS = 42
_ROUND = 2 * pi * _RADIUS


def whole_percent(share: float) -> int:
    """Return a share in percent: below 100 until all of it is done."""
    return 100 if share >= 1.0 else min(99, round(100 * share))


def shares_shown_as(percent: int) -> tuple[float, float]:
    """Return the lowest and the highest share that are shown as this percent."""
    if percent == 100:
        return 1.0, 1.0
    return _first_at(percent), nextafter(_first_at(percent + 1), 0.0)


def _first_at(percent: int) -> float:
    """Return the lowest share that is shown as this percent, or as more."""
    share = (percent - 0.5) / 100
    if percent in (0, 100):
        return percent / 100
    while whole_percent(share) < percent:
        share = nextafter(share, 1.0)
    while whole_percent(below := nextafter(share, 0.0)) >= percent:
        share = below
    return share


def percent_text(share: float) -> str:
    return _("%(percent)s%%") % {"percent": whole_percent(share)}


def bar(share: float, label: str = "", behind: float = 0.0) -> SafeString:
    """Draw a share as a bar.

    Args:
        label: what it is the share of; without, the bar only illustrates a number that stands beside it.
        behind: a larger share, drawn paler behind it.
    """
    return format_html(
        '<svg class="bar{}"{}><rect class="track" width="100%" height="100%" rx="4"/>{}{}</svg>',
        " is-full" if share >= 1.0 else "",
        _named(label, share),
        _fill("behind", behind),
        _fill("fill", share),
    )


def ring(share: float, label: str = "") -> SafeString:
    """Draw a share as a ring, with the percent in it; see `bar`."""
    done = _ROUND * whole_percent(share) / 100
    arc = format_html(
        '<circle class="fill" cx="50" cy="50" r="{}" stroke-dasharray="{} {}"/>',
        _RADIUS,
        f"{done:.2f}",
        f"{_ROUND:.2f}",
    )
    return format_html(
        '<svg class="ring{}" viewBox="0 0 100 100"{}><circle class="track" cx="50" cy="50" r="{}"/>{}'
        '<text class="ring-text" x="50" y="50" text-anchor="middle" dominant-baseline="central">{}</text></svg>',
        " is-full" if share >= 1.0 else "",
        _named(label, share),
        _RADIUS,
        arc if done else "",
        percent_text(share),
    )


class _Column(NamedTuple):
    """One column of the histogram; lengths in percent of the chart."""

    x: str
    middle: str
    y: str
    number_y: str
    height: str
    #: What it counts, in short for the axis, and in words.
    tick: str
    words: str
    learners: int


def histogram(counts: Sequence[int]) -> SafeString:
    """Draw how many learners are at 0, and in each tenth above; see `CourseSummary.histogram`."""
    width, most = 100 / len(counts), max(counts, default=0)
    columns = []
    for place, learners in enumerate(counts):
        height = (_BOTTOM - _TOP) * learners / (most or 1)
        shown = len(counts) - 1 - place if get_language_bidi() else place
        bounds = {"from": percent_text((place - 1) / 10), "to": percent_text(place / 10)}
        columns.append(
            _Column(
                x=_number(width * (shown + 0.1)),
                middle=_number(width * (shown + 0.5)),
                y=_number(_BOTTOM - height),
                number_y=_number(_BOTTOM - height - 2),
                height=_number(height),
                tick=f"≤{10 * place}" if place else "0",
                words=_("above %(from)s, up to %(to)s") % bounds if place else bounds["to"],
                learners=learners,
            )
        )
    context = {"columns": columns, "width": _number(width * 0.8), "bottom": _number(_BOTTOM)}
    return SafeString(render_to_string("completion_aggregator/charts/histogram.html", context))


def funnel(sections: Sequence[SectionFunnel]) -> SafeString:
    """Draw how many learners have come to each section, and through it: a table with bars."""
    rows = [
        {"section": section, "bar": bar(section.finished / (section.learners or 1), behind=_started(section))}
        for section in sections
    ]
    return SafeString(render_to_string("completion_aggregator/charts/funnel.html", {"rows": rows}))


class Line(NamedTuple):
    """A share over time."""

    label: str
    #: One for each day of the chart.
    shares: Sequence[float]


def trend(days: Sequence[date], lines: Sequence[Line], *, until: date) -> SafeString:
    """Draw shares over time: from each day on it was so, until the next one.

    Args:
        days: ascending, the first one is where the chart begins.
        until: where it ends.
    """
    context = {
        "drawn": [{"label": line.label, "points": _steps(days, line.shares, until)} for line in lines],
        "rows": list(zip(reversed(days), *(reversed(line.shares) for line in lines), strict=True)),
        "labels": [line.label for line in lines],
        "first": days[0] if days else until,
        "last": until,
        "is_mirrored": get_language_bidi(),
        "top": _number(_TOP),
        "bottom": _number(_BOTTOM),
        "height": _number(_BOTTOM - _TOP),
        "grid": [(_number(_BOTTOM - (_BOTTOM - _TOP) * share), percent_text(share)) for share in (0.0, 0.5, 1.0)],
    }
    return SafeString(render_to_string("completion_aggregator/charts/trend.html", context))


def _steps(days: Sequence[date], shares: Sequence[float], until: date) -> str:
    """Return the points of a line in a square of 100, as steps."""
    points: list[str] = []
    length = max(1, (until - days[0]).days) if days else 1
    ends = [*days[1:], until]
    for day, end, share in zip(days, ends, shares, strict=True):
        y = _number(100 - 100 * share)
        for moment in (day, end):
            x = 100 * (moment - days[0]).days / length
            points.append(f"{_number(100 - x if get_language_bidi() else x)},{y}")
    return " ".join(points)


def _started(section: SectionFunnel) -> float:
    return section.started / (section.learners or 1)


def _fill(name: str, share: float) -> SafeString | str:
    width = whole_percent(share)
    if not width:
        return ""
    x = 100 - width if get_language_bidi() else 0
    return format_html('<rect class="{}" x="{}%" width="{}%" height="100%" rx="4"/>', name, x, width)


def _named(label: str, share: float) -> SafeString:
    if not label:
        return SafeString(' aria-hidden="true"')
    return format_html(' role="img" aria-label="{}: {}"', label, percent_text(share))


def _number(value: float) -> str:
    """Write a number as SVG reads it, whatever the language."""
    return f"{value:.2f}"
