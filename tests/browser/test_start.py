"""The start page of the demo: it leads to everything."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit


@pytest.mark.parametrize(
    ("account", "button", "name"), [("staff", "Log in as staff", "staff"), ("learner", "Log in as learner", "learner")]
)
def test_one_button_logs_in(visit: Visit, account: str, button: str, name: str) -> None:
    page = visit("start")

    page.get_by_role("button", name=button).click()

    expect(page.get_by_text(f"Logged in as {name}")).to_be_visible()


def test_everything_is_a_link_away_for_staff_or_the_learner(visit: Visit) -> None:
    pages = [visit("start", account) for account in ("staff", "learner")]
    links = pages[0].get_by_role("main").get_by_role("link").all()
    addresses = [str(link.get_attribute("href")) for link in links]

    assert len(addresses) == len(set(addresses)) >= 10
    for address in addresses:
        statuses = [page.request.get(page.url.rstrip("/") + address).status for page in pages]
        assert 200 in statuses, (address, statuses)


def test_the_widgets_are_framed_there(visit: Visit) -> None:
    page = visit("start", "learner")

    frames = page.locator("iframe")
    expect(frames).to_have_count(2)
    for frame in frames.all():
        expect(frame.content_frame.get_by_role("progressbar")).to_be_visible()


def test_the_language_is_switched_by_a_button(visit: Visit) -> None:
    page = visit("start")

    page.locator("button[lang=ar]").click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    page.locator("button[lang=de]").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")


def test_the_api_is_tried_out_without_another_host(visit: Visit) -> None:
    page = visit("swagger", "staff")

    page.get_by_role("button", name="get /api/completion/v1/course/", exact=False).first.click()
    expect(page.get_by_role("button", name="Try it out")).to_be_visible()
