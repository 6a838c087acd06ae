"""What is kept in the cache is kept in whatever cache the LMS has, and can be done without."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client

from completion_aggregator.models import StaleCompletion
from completion_aggregator.selectors import get_course_means
from completion_aggregator.services import aggregate_stale
from tests.factories import COURSE_KEY, UserFactory, complete


class StrictCache(LocMemCache):
    """Takes no question for no keys, as MGET of Redis does not."""

    def get_many(self, keys: Collection[str], version: int | None = None) -> dict[str, Any]:
        keys = list(keys)
        assert keys
        return super().get_many(keys, version)


@pytest.fixture
def strict(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "tests.integration.test_caching.StrictCache"}}


@pytest.mark.usefixtures("strict")
def test_no_courses() -> None:
    assert get_course_means([]) == {}


@pytest.mark.django_db
@pytest.mark.usefixtures("strict")
def test_the_page_of_a_learner_without_courses(client: Client) -> None:
    client.force_login(UserFactory())
    assert client.get("/api/completion/my/").status_code == 200


@pytest.fixture(params=["django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache"])
def away(request: pytest.FixtureRequest, settings: Any) -> Callable[[], AbstractContextManager[None]]:
    """A Redis that nobody can reach, for as long as one wants."""

    @contextmanager
    def away() -> Iterator[None]:
        before = settings.CACHES
        settings.CACHES = {"default": {"BACKEND": request.param, "LOCATION": "redis://127.0.0.1:1/0"}}
        with pytest.raises(Exception, match=r"127\.0\.0\.1:1"):
            cache.get("anything")
        yield
        settings.CACHES = before

    return away


API, PAGES = "/api/completion/v1", "/api/completion"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        f"{API}/course/{COURSE_KEY}/?requested_fields=mean,chapter",
        f"{API}/explain/{COURSE_KEY}/?username=ada",
        f"{PAGES}/my/",
        f"{PAGES}/dashboard/",
        f"{PAGES}/dashboard/{COURSE_KEY}/",
    ],
)
def test_while_the_cache_is_away_answers_are_the_same(
    client: Client, learner: Any, staff: Any, away: Any, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    complete(learner, "html/h1")
    aggregate_stale()
    client.force_login(staff)

    def ask() -> str:
        response: Any = client.get(path)
        assert response.status_code == 200
        return re.sub("(csrfmiddlewaretoken.*?value)=.{66}", r"\1", response.getvalue().decode())

    before = ask()
    with away():
        assert ask() == before
    # It would have been asked.
    assert "cache_failed cause=Connection" in caplog.text


@pytest.mark.django_db
def test_while_the_cache_is_away_nobody_is_throttled_or_left_stale(
    client: Client, learner: Any, away: Any, settings: Any
) -> None:
    settings.COMPLETION_AGGREGATOR_REFRESH_RATE = "1/hour"
    client.force_login(learner)

    def refresh() -> int:
        return client.post(f"{API}/refresh/{COURSE_KEY}/", {"username": "me"}, "application/json").status_code

    complete(learner, "html/h1")
    with away():
        report = aggregate_stale()
        answers = [refresh(), refresh()]

    assert answers == [200, 200]
    assert (report.learners, report.failed, StaleCompletion.objects.count()) == (1, 0, 0)
    assert [refresh(), refresh()] == [200, 429]
