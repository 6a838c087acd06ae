"""Comparing while learners work, workers aggregate and a course is published, on MariaDB and PostgreSQL."""

from __future__ import annotations

import time
from typing import Any

import pytest

from completion_aggregator.models import BlockAggregate
from completion_aggregator.selectors import LearnerDrift, find_drift, find_learners
from completion_aggregator.services import aggregate_stale
from tests.factories import COURSE_KEY, EnrollmentFactory, publish_course
from tests.races import actors
from tests.races.test_races import SECONDS, running

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def compare(seconds: float) -> tuple[list[LearnerDrift], int, int]:
    """Compare again and again; return what was found, and how many learners were compared and were stale."""
    found: list[LearnerDrift] = []
    compared = stale = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for drift in find_drift(COURSE_KEY, find_learners(COURSE_KEY)):
            found += drift.found
            compared += drift.learners - drift.stale
            stale += drift.stale
    return found, compared, stale


@pytest.mark.parametrize("others", [[actors.learn], [actors.publish]], ids=["learners", "publications"])
def test_nobody_is_reported_because_of_what_happens_meanwhile(others: list[actors.Actor]) -> None:
    publish_course()
    users: list[Any] = [EnrollmentFactory().user for _ in range(40)]
    aggregate_stale()
    with running(actors.work, actors.work, actors.learn, *others):
        found, compared, stale = compare(SECONDS)

    assert found == []
    assert compared > 0
    assert stale > 0
    # It does find what is wrong.
    aggregate_stale()
    aggregate_stale()
    BlockAggregate.objects.filter(user_id=users[0].pk).update(earned=0.5)
    assert {each.user_id for each in compare(0.001)[0]} == {users[0].pk}
