"""What people come for, from the first page to the last: with scripts and without, at a desk and on a phone."""

from __future__ import annotations

import csv
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visit
from tests.browser.site import Site
from tests.browser.test_every_page import PHONE

ways = pytest.mark.parametrize(
    "way", [{}, {"java_script_enabled": False}, PHONE], ids=["at a desk", "without scripts", "on a phone"]
)
LEARNERS, PAGE = 300, 50


def rows(page: Page) -> Locator:
    return page.locator("#roster tbody tr")


def names(page: Page) -> list[str]:
    """The usernames of the learners in the table."""
    return [text.split()[-1] for text in rows(page).get_by_role("rowheader").all_inner_texts()]


def percents(page: Page) -> list[int]:
    return [int(found) for found in re.findall(r"(\d+)%", "\n".join(rows(page).all_inner_texts()))]


def show(page: Page) -> None:
    page.get_by_role("search").get_by_role("button", name="Show").first.click()


def turn(page: Page, link: str) -> None:
    first = rows(page).get_by_role("link").first
    before = str(first.get_attribute("href"))
    page.get_by_role("link", name=link).click()
    expect(first).not_to_have_attribute("href", before)
    page.wait_for_load_state()


@ways
def test_whoever_is_not_logged_in_comes_to_the_page_after_it(visit: Visit, site: Site, way: dict[str, Any]) -> None:
    page = visit("completion-dashboard-course", **way)

    page.get_by_label("Username").fill("staff")
    page.get_by_label("Password").fill("staff")
    page.get_by_role("main").get_by_role("button").click()

    expect(page).to_have_url(site.address("completion-dashboard-course"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Reading the Night Sky")


@ways
def test_staff_find_a_learner_and_see_what_is_missing(visit: Visit, way: dict[str, Any]) -> None:
    page = visit("completion-dashboard", "staff", **way)

    page.get_by_role("link", name="Reading the Night Sky").click()
    page.get_by_label("Name", exact=True).fill("learner_1_0004")
    show(page)
    expect(rows(page)).to_have_count(10)
    assert sorted(names(page)) == [f"learner_1_0004{number}" for number in range(10)]

    chosen = names(page)[3]
    shown = percents(page)[3]
    rows(page).nth(3).get_by_role("link").click()
    expect(page.get_by_role("main")).to_contain_text(chosen)
    expect(page.get_by_role("img", name=re.compile(rf"^{shown}%|{shown}%$")).first).to_be_visible()
    expect(page.locator(".tree > li")).to_have_count(6)

    page.get_by_role("navigation", name="Where you are").get_by_role("link", name="Reading the Night Sky").click()
    expect(rows(page)).to_have_count(PAGE)


@ways
def test_staff_sort_by_the_heads_of_the_columns(visit: Visit, way: dict[str, Any]) -> None:
    page = visit("completion-dashboard-course", "staff", **way)
    head = page.get_by_role("columnheader", name="Progress")

    head.get_by_role("link").click()
    expect(head).to_have_attribute("aria-sort", re.compile("ascending|descending"))
    first = percents(page)
    assert first == sorted(first, reverse=head.get_attribute("aria-sort") == "descending")

    before = head.get_attribute("aria-sort")
    head.get_by_role("link").click()
    expect(head).to_have_attribute("aria-sort", "ascending" if before == "descending" else "descending")
    second = percents(page)
    assert second == sorted(second, reverse=before == "ascending")
    assert first != second


@ways
def test_staff_page_through_all_of_a_class_and_back(visit: Visit, way: dict[str, Any]) -> None:
    page = visit("completion-dashboard-course", "staff", **way)
    seen = [names(page)]

    for _ in range(LEARNERS // PAGE - 1):
        turn(page, "Next")
        seen.append(names(page))
    expect(page.get_by_role("link", name="Next")).to_have_count(0)
    assert len({name for part in seen for name in part}) == LEARNERS

    turn(page, "Previous")
    assert names(page) == seen[-2]


@ways
def test_staff_filter_and_take_the_same_learners_along(visit: Visit, site: Site, way: dict[str, Any]) -> None:
    page = visit("completion-dashboard-course", "staff", **way)

    page.get_by_text("Filter and sort").click()
    page.get_by_label("Percent, from").fill("40")
    page.get_by_label("Percent, to").fill("60")
    page.get_by_label("Cohort", exact=True).select_option(label="Southern hemisphere")
    show(page)
    expect(page).to_have_url(re.compile("percent_from=40"))
    assert 0 < len(percents(page)) < PAGE
    assert all(40 <= percent <= 60 for percent in percents(page))

    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    with open(download.value.path(), encoding="utf-8-sig", newline="") as file:
        exported = list(csv.DictReader(file))
    assert sorted(row["username"] for row in exported) == sorted(names(page))
    assert all(0.395 <= float(row["percent"]) < 0.61 for row in exported)


@ways
def test_a_filter_that_makes_no_sense_is_told_beside_its_field(visit: Visit, way: dict[str, Any]) -> None:
    page = visit("completion-dashboard-course", "staff", **way)

    page.get_by_text("Filter and sort").click()
    page.get_by_label("Percent, from").fill("60")
    page.get_by_label("Percent, to").fill("40")
    show(page)

    field = page.get_by_label("Percent, to")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".field", has=field)).to_contain_text("This is less than where it begins.")
    expect(rows(page)).to_have_count(0)


@ways
def test_a_learner_goes_on_where_something_is_missing(visit: Visit, site: Site, way: dict[str, Any]) -> None:
    page = visit("completion-my-progress", "learner", **way)

    page.get_by_role("heading", level=3).get_by_role("link", name="Reading the Night Sky").click()
    before = _done(page)
    page.locator(".my-goal .button").click()
    missing = page.get_by_role("main").get_by_role("listitem").filter(has_not_text="Done").get_by_role("link")
    missing.last.click()
    page.get_by_role("button", name="Mark as done").click()
    expect(page.get_by_text("✓ Done")).to_be_visible()

    page.goto(site.address("completion-my-course"))
    assert before < _done(page) <= before + 1


def _done(page: Page) -> float:
    found = re.search(r"([\d.]+) of 248 done", page.locator(".my-facts").inner_text())
    assert found is not None
    return float(found[1])
