"""Snapshots taken by several processes at once, while workers aggregate, on MariaDB and PostgreSQL."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from completion_aggregator.models import CourseAggregate, LearnerSnapshot
from completion_aggregator.selectors import find_course_snapshot, get_course_summary, get_learner_trend, read_snapshot
from completion_aggregator.services import aggregate_stale, forget_learner, take_snapshots
from tests.factories import COURSE_KEY, EnrollmentFactory, publish_course
from tests.races import actors
from tests.races.test_races import SECONDS, running

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def learners() -> list[Any]:
    """Forty learners in the small course, of whom nothing is known yet."""
    publish_course()
    return [EnrollmentFactory().user for _ in range(40)]


def assert_the_newest_snapshots_are_right() -> None:
    aggregate_stale()
    aggregate_stale()
    assert take_snapshots(timezone.now() + timedelta(hours=1)) <= 1
    snapshot = find_course_snapshot(COURSE_KEY)
    assert snapshot is not None
    found, expected = read_snapshot(COURSE_KEY, snapshot), get_course_summary(COURSE_KEY)
    assert (found.mean, found.histogram, found.sections) == (expected.mean, expected.histogram, expected.sections)
    for user_id, percent in CourseAggregate.objects.values_list("user_id", "percent"):
        trend = get_learner_trend(COURSE_KEY, user_id, days=3)
        assert (trend[-1].percent if trend else 0.0) == percent


def test_three_look_while_workers_aggregate(learners: list[Any]) -> None:
    with running(actors.look, actors.look, actors.look, actors.work, actors.work, actors.learn, actors.publish):
        time.sleep(SECONDS)

    assert LearnerSnapshot.objects.exists()
    assert_the_newest_snapshots_are_right()


def test_whoever_is_forgotten_meanwhile_leaves_nothing(learners: list[Any]) -> None:
    gone = learners[::2]
    with running(actors.look, actors.look, actors.learn):
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            aggregate_stale()
            for user in gone:
                forget_learner(user.pk)

    assert set(LearnerSnapshot.objects.values_list("user_id", flat=True)) <= {user.pk for user in learners[1::2]}
    assert LearnerSnapshot.objects.exists()
    assert_the_newest_snapshots_are_right()
