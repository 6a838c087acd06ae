"""The same journeys without a mouse."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.test_every_page import every_page

#: What is focused: its name, whether one sees that it is, and where it is in the order of the document.
FOCUSED = """() => {
    const all = [...document.querySelectorAll("*")], it = document.activeElement;
    const style = getComputedStyle(it), box = it.getBoundingClientRect();
    return {
        name: (it.getAttribute("aria-label") || it.innerText || it.labels?.[0]?.innerText || it.name || "").trim(),
        tag: it.tagName,
        place: all.indexOf(it),
        visible: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
            && box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight,
    };
}"""
MAX_STEPS = 200


def tab(page: Page) -> dict[str, Any]:
    page.keyboard.press("Tab")
    focused: dict[str, Any] = page.evaluate(FOCUSED)
    return focused


def tab_to(page: Page, name: str) -> None:
    for _ in range(MAX_STEPS):
        if name in tab(page)["name"]:
            return
    raise AssertionError(f"{name!r} cannot be reached on {page.url}")


@every_page
def test_tab_goes_through_all_in_order_and_shows_where_it_is(visit: Visit, name: str, account: str | None) -> None:
    page = visit(name, account)
    steps = []
    while (step := tab(page))["tag"] != "BODY" and len(steps) < MAX_STEPS:
        steps.append(step)

    assert [step for step in steps if step["tag"] != "IFRAME" and not step["visible"]] == []
    assert [step["place"] for step in steps] == sorted(step["place"] for step in steps)


@pytest.mark.parametrize(
    ("name", "account"),
    [("completion-dashboard-course", "staff"), ("completion-my-course", "learner"), ("start", None)],
)
def test_the_first_link_skips_to_the_content(visit: Visit, name: str, account: str | None) -> None:
    page = visit(name, account)

    first = tab(page)
    page.keyboard.press("Enter")
    second = tab(page)

    assert (first["name"], first["visible"]) == ("Skip to the content", True)
    assert page.evaluate("document.activeElement.closest('main') !== null")
    assert second["visible"]


def test_staff_get_from_the_login_to_a_learner(visit: Visit) -> None:
    page = visit("completion-dashboard")

    tab_to(page, "Username")
    page.keyboard.type("staff")
    tab_to(page, "Password")
    page.keyboard.type("staff")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Courses")

    tab_to(page, "Reading the Night Sky")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Reading the Night Sky")

    tab_to(page, "Name")
    page.keyboard.type("learner_1_00044")
    page.keyboard.press("Enter")
    expect(page.locator("#roster tbody tr")).to_have_count(1)
    # Open, since the class is narrowed; the key folds it.
    expect(page.get_by_label("Percent, from")).to_be_visible()
    tab_to(page, "Filter and sort")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Percent, from")).to_be_hidden()

    tab_to(page, page.locator("#roster tbody a").inner_text())
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_contain_text("learner_1_00044")
    tab_to(page, "Before You Go Out")
    page.keyboard.press("Enter")


def test_a_learner_gets_to_the_next_unit(visit: Visit) -> None:
    page = visit("completion-my-progress", "learner")

    tab_to(page, "Reading the Night Sky")
    page.keyboard.press("Enter")
    unit = page.locator(".my-goal .button").inner_text()
    tab_to(page, unit)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(unit)
