"""Fixtures of the tests in a real browser: the demo, Chromium, and visits to pages."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, StorageState, sync_playwright

from tests.browser.site import Site

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
#: Nothing of the browser's own goes over the network.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Visit = Callable[..., Page]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", type=Path, metavar="DIRECTORY", help="keep the pictures of the pages here")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def sessions(browser: Browser, site: Site) -> dict[str | None, StorageState | None]:
    """The cookies of each account of the demo, logged in once; None: of nobody."""
    return {None: None} | {account: _log_in(browser, site, account) for account in ("staff", "learner")}


def _log_in(browser: Browser, site: Site, account: str) -> StorageState:
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.address("login"))
    page.get_by_label("Username").fill(account)
    page.get_by_label("Password").fill(account)
    page.get_by_role("main").get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url(site.url + "/")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def visit(browser: Browser, site: Site, sessions: dict[str | None, StorageState | None]) -> Iterator[Visit]:
    """Open a page by the name of its path, as an account, in a window of its own.

    Whatever a test does there: no error may be in the console, and nothing be asked of another host.
    """
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            wrong.append(f"{message.type}: {message.text}")

    def follow(request: Request) -> None:
        if not request.url.startswith((site.url, "data:", "blob:", "about:")):
            wrong.append(f"asked of another host: {request.url}")

    def open_page(name: str, account: str | None = None, keys: dict[str, Any] | None = None, **options: Any) -> Page:
        context = browser.new_context(storage_state=sessions[account], reduced_motion="reduce", **options)
        contexts.append(context)
        context.on("console", note)
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        context.on("request", follow)
        page = context.new_page()
        page.goto(site.address(name, **keys or {}))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
