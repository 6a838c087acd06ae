"""The pictures in the documentation are taken from the pages as they are: `make screenshots`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

from tests.browser.conftest import Visit

DESK = {"viewport": {"width": 1280, "height": 1000}}
DARK = DESK | {"color_scheme": "dark"}
PHONE = {"viewport": {"width": 390, "height": 844}}
MAX_BYTES = 150_000
PICTURES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "dashboard": ("completion-dashboard-course", "staff", DESK),
    "dashboard-dark": ("completion-dashboard-course", "staff", DARK),
    "dashboard-learner": ("completion-dashboard-learner", "staff", DESK),
    "my-course": ("completion-my-course", "learner", DESK),
    "my-progress-phone": ("completion-my-progress", "learner", PHONE),
    "widgets": ("start", "learner", DESK),
}


@pytest.mark.parametrize("picture", PICTURES)
def test_pictures_are_small(visit: Visit, request: pytest.FixtureRequest, tmp_path: Path, picture: str) -> None:
    name, account, window = PICTURES[picture]
    page = visit(name, account, **window)
    page.wait_for_load_state("networkidle")
    directory: Path = request.config.getoption("--screenshots") or tmp_path
    directory.mkdir(exist_ok=True)
    path = directory / f"{picture}.png"

    part: Page | Locator = page.locator("section", has=page.locator("iframe")) if picture == "widgets" else page
    part.screenshot(path=path, animations="disabled")

    assert 0 < path.stat().st_size < MAX_BYTES
