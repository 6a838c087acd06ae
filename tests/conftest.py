"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from hypothesis import HealthCheck, settings
from waffle.testutils import override_switch

from completion_aggregator.selectors import migration
from tests.factories import EnrollmentFactory, UserFactory, publish_course

# Machines that run the tests differ in speed a lot: nothing here is about time.
settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def _nothing_to_migrate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process know already that 4.5 has left nothing."""
    monkeypatch.setattr(migration, "_is_over", True)


@pytest.fixture(autouse=True)
def _completion_tracking(request: pytest.FixtureRequest) -> Iterator[None]:
    """Switch completion tracking on in every test that has a database."""
    database = {"db", "transactional_db"}.intersection(request.fixturenames)
    if not database and request.node.get_closest_marker("django_db") is None:
        yield
        return
    for name in database or {"db"}:
        request.getfixturevalue(name)
    with override_switch("completion.enable_completion_tracking", active=True):
        yield


@pytest.fixture
def course(db: None) -> Any:
    """The small course of tests/factories.py, published."""
    return publish_course()


@pytest.fixture
def learner(course: Any) -> Any:
    """A user who is enrolled in the small course."""
    return EnrollmentFactory(user=UserFactory(username="ada")).user


@pytest.fixture
def staff(db: None) -> Any:
    """A global staff user."""
    return UserFactory(username="boss", is_staff=True)
