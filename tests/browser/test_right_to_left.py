"""From right to left, the pages are those of left to right in a mirror."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page

from tests.browser.conftest import Visit


def box(locator: Locator) -> dict[str, float]:
    found: Any = locator.bounding_box()
    assert found is not None
    return {**found, "right": found["x"] + found["width"]}


def are_in_order(page: Page, first: str, second: str) -> bool:
    """Whether the first begins where one begins to read, before the second."""
    one, other = box(page.locator(first).first), box(page.locator(second).first)
    return one["right"] <= other["x"] if page.locator("html[dir=ltr]").count() else one["x"] >= other["right"]


def test_everything_is_on_the_other_side(visit: Visit) -> None:
    for language in ("en", "ar"):
        page = visit("completion-dashboard-course", "staff", locale=language)

        assert are_in_order(page, ".brand", ".site nav")
        assert are_in_order(page, ".site nav", ".site .user")
        assert are_in_order(page, ".figures > div:first-child", ".figures > div:last-child")
        assert are_in_order(page, "#roster thead th:first-child", "#roster thead th:last-child")
        assert are_in_order(page, "#roster .bar", "#roster .bar + span")
        assert are_in_order(page, ".crumbs li:first-child", ".crumbs li:last-child")
        assert are_in_order(page, ".column:first-of-type .tick", ".column:last-of-type .tick")


def test_a_bar_fills_from_where_one_begins_to_read(visit: Visit) -> None:
    for language, side in (("en", "x"), ("ar", "right")):
        page = visit("completion-widget-bar", "learner", locale=language)
        track, fill = box(page.locator(".bar .track")), box(page.locator(".bar .fill"))

        assert fill["width"] < track["width"]
        assert abs(track[side] - fill[side]) < 1


def test_what_is_written_in_charts_stays_in_their_cards(visit: Visit) -> None:
    for language in ("en", "de", "ar"):
        page = visit("completion-dashboard-course", "staff", locale=language)
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 844})
            outside = page.evaluate(
                """() => [...document.querySelectorAll(".card svg text")].filter(text => {
                    const it = text.getBoundingClientRect(), card = text.closest(".card").getBoundingClientRect();
                    return it.width && (it.left < card.left || it.right > card.right);
                }).map(text => text.outerHTML)"""
            )
            assert outside == []
