"""The mean of a course is kept in whatever cache the LMS has."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client

from completion_aggregator.selectors import get_course_means
from tests.factories import UserFactory


class StrictCache(LocMemCache):
    """Takes no question for no keys, as MGET of Redis does not."""

    def get_many(self, keys: Collection[str], version: int | None = None) -> dict[str, Any]:
        keys = list(keys)
        assert keys
        return super().get_many(keys, version)


@pytest.fixture(autouse=True)
def _strict(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "tests.integration.test_mean_cache.StrictCache"}}


def test_no_courses() -> None:
    assert get_course_means([]) == {}


@pytest.mark.django_db
def test_the_page_of_a_learner_without_courses(client: Client) -> None:
    client.force_login(UserFactory())
    assert client.get("/api/completion/my/").status_code == 200
