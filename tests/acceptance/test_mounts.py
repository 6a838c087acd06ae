"""The paths at two mount points, beside those of edx-completion."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import COURSE_KEY, EnrollmentFactory, key

MOUNTS = {"first": "/api/completion/", "second": "/completion-aggregator/"}
pytestmark = pytest.mark.parametrize("order", ["mounts", "mounts_reversed"])


@pytest.fixture(autouse=True)
def _mounted(order: str, settings: Any) -> None:
    settings.ROOT_URLCONF = f"tests.acceptance.{order}"


@pytest.mark.parametrize("mount", MOUNTS)
def test_names_lead_to_the_paths_of_either_mount(mount: str) -> None:
    root = MOUNTS[mount]
    course = {"course_key": str(COURSE_KEY)}

    assert reverse(f"{mount}:completion_api_v1:list") == f"{root}v1/course"
    assert reverse(f"{mount}:completion_api_v1:detail", kwargs=course) == f"{root}v1/course/{COURSE_KEY}"
    assert reverse(f"{mount}:completion_api_v1:explain", kwargs=course) == f"{root}v1/explain/{COURSE_KEY}"
    assert reverse(f"{mount}:completion_api_v1:bulk") == f"{root}v1/bulk"
    assert reverse(f"{mount}:completion_api_v1:refresh", kwargs=course) == f"{root}v1/refresh/{COURSE_KEY}"
    assert reverse(f"{mount}:completion_api_v0:aggregator-list") == f"{root}v0/course"
    assert reverse(f"{mount}:completion-progress-bar", kwargs=course) == f"{root}progress_bar/{COURSE_KEY}/"


@pytest.mark.parametrize("root", MOUNTS.values())
def test_links_stay_at_the_mount(staff: Any, course: Any, root: str) -> None:
    EnrollmentFactory()
    EnrollmentFactory()
    client = Client()
    client.force_login(staff)

    answer = client.get(f"{root}v1/course/{COURSE_KEY}/", {"page_size": 1}).json()

    assert answer["pagination"]["next"] == f"http://testserver{root}v1/course/{COURSE_KEY}/?page=2&page_size=1"
    assert client.get(f"{root}progress_bar/{COURSE_KEY}/").status_code == 200


@pytest.mark.parametrize("username", ["ada", "course", "stats"])
def test_the_paths_of_edx_completion_stay_its_own(username: str) -> None:
    section = key("sequential/s1")

    answer = Client().get(f"/api/completion/v1/subsection-completion/{username}/{COURSE_KEY}/{section}")
    assert answer.content.decode() == f"{username} {COURSE_KEY} {section}"
    assert Client().post("/api/completion/v1/completion-batch").content == b"batch"
