"""Charts: numbers in, SVG out."""

from __future__ import annotations

from datetime import date
from math import nextafter

import pytest
from bs4 import BeautifulSoup, Tag
from django.utils.translation import override

from completion_aggregator.dashboard.charts import (
    Line,
    bar,
    funnel,
    histogram,
    ring,
    shares_shown_as,
    trend,
    whole_percent,
)
from completion_aggregator.selectors import SectionFunnel

EVIL = "<script>&'\""


def parse(svg: str) -> BeautifulSoup:
    return BeautifulSoup(svg, "html.parser")


def rectangles(svg: str) -> list[tuple[str, str, str]]:
    """Return class, place and width of each rectangle that shows something."""
    found = [each for each in parse(svg).select("rect") if each["class"] != ["track"]]
    return [(" ".join(each["class"]), str(each["x"]), str(each["width"])) for each in found]


def cells(table: Tag | None) -> list[list[str]]:
    assert table is not None
    return [[" ".join(cell.get_text().split()) for cell in row.select("th, td")] for row in table.select("tbody tr")]


@pytest.mark.parametrize("percent", range(101))
def test_shares_that_are_shown_alike_lie_between_two(percent: int) -> None:
    low, high = shares_shown_as(percent)

    assert whole_percent(low) == whole_percent(high) == percent
    assert percent == 0 or whole_percent(nextafter(low, 0.0)) < percent
    assert percent == 100 or whole_percent(nextafter(high, 1.0)) > percent


def test_a_bar_is_as_long_as_the_share() -> None:
    assert rectangles(bar(0.0)) == []
    assert rectangles(bar(0.333)) == [("fill", "0%", "33%")]
    assert rectangles(bar(0.9999)) == [("fill", "0%", "99%")]
    assert rectangles(bar(1.0)) == [("fill", "0%", "100%")]
    assert rectangles(bar(0.25, behind=0.5)) == [("behind", "0%", "50%"), ("fill", "0%", "25%")]
    with override("ar"):
        assert rectangles(bar(0.25, behind=0.5)) == [("behind", "50%", "50%"), ("fill", "75%", "25%")]


def test_a_bar_has_a_name_or_is_hidden() -> None:
    (hidden,) = parse(bar(0.5)).select("svg")
    (named,) = parse(bar(0.5, EVIL)).select("svg")

    assert hidden["aria-hidden"] == "true"
    assert (named["role"], named["aria-label"]) == ("img", f"{EVIL}: 50%")
    assert "aria-hidden" not in named.attrs


def test_a_ring_is_as_long_as_the_share_and_says_so() -> None:
    def arc(share: float) -> list[str]:
        page = parse(ring(share, EVIL))
        assert page.svg is not None
        assert page.svg["aria-label"] == f"{EVIL}: {page.get_text()}"
        return [str(each["stroke-dasharray"]) for each in page.select(".fill")]

    assert arc(0.0) == []
    assert arc(0.5) == ["131.95 263.89"]
    assert arc(1.0) == ["263.89 263.89"]
    assert parse(ring(0.999)).get_text() == "99%"


def test_a_histogram_has_a_column_for_each_count() -> None:
    counts = [1000, *[0] * 8, 500, 1]

    page = parse(histogram(counts))

    heights = [float(str(each["height"]).rstrip("%")) for each in page.select("rect")]
    assert heights == [74.0, *[0.0] * 8, 37.0, 0.07]
    assert [each.get_text() for each in page.select("text.number")] == ["1,000", "500", "1"]
    assert [each.get_text() for each in page.select("text.tick")] == [
        "0",
        *(f"≤{10 * tenth}" for tenth in range(1, 11)),
    ]
    assert cells(page.table)[:2] == [["0%", "1,000"], ["above 0%, up to 10%", "0"]]
    assert cells(page.table)[-1] == ["above 90%, up to 100%", "1"]
    titles = [each.get_text() for each in page.select("g title")]
    assert titles[0] == "0%: 1,000 learners"
    assert titles[-1] == "above 90%, up to 100%: 1 learner"


def test_a_histogram_is_mirrored_and_may_be_empty() -> None:
    def places(counts: list[int]) -> list[str]:
        return [str(each["x"]) for each in parse(histogram(counts)).select("rect")]

    assert places([0] * 4) == ["2.50%", "27.50%", "52.50%", "77.50%"]
    with override("ar"):
        assert places([0] * 4) == ["77.50%", "52.50%", "27.50%", "2.50%"]


def test_a_funnel_is_a_table_with_bars() -> None:
    sections = [SectionFunnel("key1", EVIL, 3, 1, 4), SectionFunnel("key2", "", 0, 0, 0)]

    page = parse(funnel(sections))

    assert cells(page.table) == [[EVIL, "", "3", "1"], ["key2", "", "0", "0"]]
    assert rectangles(funnel(sections)) == [("behind", "0%", "75%"), ("fill", "0%", "25%")]


def test_a_trend_goes_in_steps_up_to_its_end() -> None:
    days = [date(2026, 1, 1), date(2026, 1, 3)]
    lines = [Line(EVIL, [0.0, 0.5]), Line("other", [0.5, 1.0])]

    page = parse(trend(days, lines, until=date(2026, 1, 5)))

    assert [each["points"] for each in page.select("polyline")] == [
        "0.00,100.00 50.00,100.00 50.00,50.00 100.00,50.00",
        "0.00,50.00 50.00,50.00 50.00,0.00 100.00,0.00",
    ]
    assert [each.get_text().strip() for each in page.select(".key")] == [EVIL, "other"]
    assert cells(page.table) == [["Jan. 3, 2026", "50%", "100%"], ["Jan. 1, 2026", "0%", "50%"]]
    assert [each.get_text() for each in page.select(".ends span")] == ["01/01/2026", "01/05/2026"]
    with override("ar"):
        page = parse(trend(days, lines, until=date(2026, 1, 5)))
    assert page.polyline is not None
    assert page.polyline["points"] == "100.00,100.00 50.00,100.00 50.00,50.00 0.00,50.00"


@pytest.mark.parametrize(
    "svg", [histogram([1, 2]), trend([date(2026, 1, 1)], [Line("x", [0.1])], until=date(2026, 1, 2))]
)
def test_large_charts_are_named_and_described(svg: str) -> None:
    page = parse(svg)

    (chart,) = page.select("svg[role=img]")
    title, description = (page.find(id=each) for each in str(chart["aria-labelledby"]).split())
    assert isinstance(title, Tag)
    assert isinstance(description, Tag)
    assert (title.name, description.name) == ("title", "desc")
