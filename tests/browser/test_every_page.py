"""What holds of every page, whatever it shows."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Visit

PAGES = [
    ("login", None),
    ("start", None),
    ("start", "staff"),
    ("completion-dashboard", "staff"),
    ("completion-dashboard-course", "staff"),
    ("completion-dashboard-learner", "staff"),
    ("completion-my-progress", "learner"),
    ("completion-my-course", "learner"),
    ("completion-widget-bar", "learner"),
    ("completion-widget-ring", "learner"),
    ("completion-widget-ring", None),
    ("course", "learner"),
]
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "right to left": {"locale": "ar"},
    "right to left, dark": {"locale": "ar", "color_scheme": "dark"},
    "phone": PHONE,
}
MAX_BYTES = 150_000
every_page = pytest.mark.parametrize(("name", "account"), PAGES)


@every_page
@pytest.mark.parametrize("look", LOOKS)
def test_axe_has_nothing_to_say(visit: Visit, name: str, account: str | None, look: str) -> None:
    page = visit(name, account, **LOOKS[look])
    _open_all(page)
    if "widget" in name:
        # Transparent; axe would take it to be on white, also where everything is dark.
        page.add_style_tag(content="body { background: Canvas !important }")

    results = Axe().run(page)

    assert results.violations_count == 0, results.generate_report()


@every_page
@pytest.mark.parametrize("language", ["en", "de", "ar"])
def test_nothing_is_wider_than_the_window(visit: Visit, name: str, account: str | None, language: str) -> None:
    page = visit(name, account, locale=language)
    _open_all(page)

    for width in (320, 390, 768, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@every_page
def test_a_phone_needs_no_zooming(visit: Visit, name: str, account: str | None) -> None:
    page = visit(name, account, **PHONE)

    assert page.evaluate("[innerWidth, visualViewport.scale]") == [390, 1]


@every_page
def test_nothing_moves_while_the_page_loads(visit: Visit, name: str, account: str | None) -> None:
    page = visit(name, account)
    page.wait_for_load_state("networkidle")

    shift = page.evaluate(
        """() => new Promise(resolve => {
            let sum = 0;
            new PerformanceObserver(list => list.getEntries().forEach(entry => { sum += entry.value }))
                .observe({type: "layout-shift", buffered: true});
            requestAnimationFrame(() => setTimeout(() => resolve(sum)));
        })"""
    )

    assert shift == 0


@every_page
def test_a_page_is_light(visit: Visit, name: str, account: str | None) -> None:
    page = visit(name, account)
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sizes: list[float] = []
    network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.reload(wait_until="networkidle")

    assert 0 < sum(sizes) < MAX_BYTES


@every_page
def test_a_page_tells_its_language_and_its_name(visit: Visit, name: str, account: str | None) -> None:
    titles = set()
    for language, direction in (("en", "ltr"), ("de", "ltr"), ("ar", "rtl")):
        page = visit(name, account, locale=language)
        root = page.locator("html")
        assert (root.get_attribute("lang"), root.get_attribute("dir")) == (language, direction)
        titles.add(page.title())
    assert "" not in titles


@every_page
def test_colours_of_the_users_own_are_kept(visit: Visit, name: str, account: str | None) -> None:
    """In forced colours, text has the colour of text or of links, and what is drawn differs from its ground."""
    page = visit(name, account, forced_colors="active")

    assert page.evaluate("matchMedia('(forced-colors: active)').matches")
    invisible = page.evaluate(
        """() => [...document.querySelectorAll("svg [class*=value], svg [class*=fill]")].filter(shape => {
            const colour = getComputedStyle(shape).fill, stroke = getComputedStyle(shape).stroke;
            const ground = getComputedStyle(document.body).backgroundColor;
            return colour === ground && (stroke === ground || stroke === "none");
        }).map(shape => shape.outerHTML)"""
    )
    assert invisible == []


def _open_all(page: Page) -> None:
    """Open whatever is folded, so that it is looked at too."""
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
