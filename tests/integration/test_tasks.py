"""The Celery tasks are shells over the services."""

from __future__ import annotations

from typing import Any
from unittest.mock import ANY

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from completion_aggregator.models import Course, CourseAggregate, StaleCompletion
from completion_aggregator.services import aggregate_stale, mark_learners
from completion_aggregator.tasks import aggregate_learners, clean_up_aggregates, dispatch
from sample_lms.lms import SampleLMS
from tests.factories import COURSE_KEY, EnrollmentFactory, complete

pytestmark = pytest.mark.django_db

GONE = 2_000_000_000
NOTHING = {"learners": 0, "written": 0, "deleted": 0, "resolved": 0, "failed": 0, "skipped": 0, "lag": ANY}


def test_aggregating_learners_reports_in_counts(learner: Any) -> None:
    other = EnrollmentFactory().user
    complete(learner, "html/h1")

    result = aggregate_learners.apply(args=(str(COURSE_KEY), [learner.pk]))

    assert result.get() == NOTHING | {"learners": 1, "written": 11, "resolved": 2}
    assert list(CourseAggregate.objects.values_list("user_id", "earned")) == [(learner.pk, 1.0)]
    assert set(StaleCompletion.objects.values_list("user_id", flat=True)) == {other.pk}


def test_doing_it_twice_does_no_harm(learner: Any) -> None:
    first, second = (aggregate_learners.apply(args=(str(COURSE_KEY), [learner.pk])).get() for _ in range(2))

    assert (first["written"], second) == (11, NOTHING)


def test_a_marker_of_something_that_is_no_course_is_counted_as_failed(learner: Any) -> None:
    StaleCompletion.objects.create(user=learner, course_key="nonsense")

    assert aggregate_learners.apply(args=("nonsense", [learner.pk])).get() == NOTHING | {"failed": 1}


def computed() -> set[int]:
    return set(CourseAggregate.objects.exclude(computed_at=None).values_list("user_id", flat=True))


class SlowLMS(SampleLMS):
    """An LMS that takes too long for more than one learner, and for some even alone."""

    slow: frozenset[int] = frozenset()

    def course_views(self, course_key: Any, user_ids: Any, *, now: Any) -> Any:
        if len(user_ids) > 1 or not self.slow.isdisjoint(user_ids):
            raise SoftTimeLimitExceeded
        return super().course_views(course_key, user_ids, now=now)


def test_a_chunk_for_which_there_is_no_time_is_sent_in_halves(learner: Any, settings: Any) -> None:
    ids = [learner.pk, *(EnrollmentFactory().user.pk for _ in range(4))]
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.SlowLMS"
    SlowLMS.slow = frozenset(ids[2:3])

    assert dispatch.apply().get() == 5

    assert set(CourseAggregate.objects.exclude(computed_at=None).values_list("user_id", flat=True)) == {*ids} - {ids[2]}
    failed = StaleCompletion.objects.get()
    assert (failed.user_id, failed.attempts, failed.last_error) == (
        ids[2],
        1,
        "SoftTimeLimitExceeded: SoftTimeLimitExceeded()",
    )
    assert set(CourseAggregate.objects.values_list("queued_until", flat=True)) == {None}


def test_dispatching_sends_whoever_is_stale(learner: Any) -> None:
    other = EnrollmentFactory().user

    assert dispatch.apply(kwargs={"limit": 1}).get() == 1
    assert dispatch.apply(kwargs={"chunk_size": 1}).get() == 1
    assert dispatch.apply().get() == 0
    assert computed() == {learner.pk, other.pk}


def test_dispatching_notices_release_dates_that_have_passed(learner: Any) -> None:
    aggregate_stale()
    Course.objects.update(next_change_at=timezone.now())

    assert dispatch.apply().get() == 1


def test_cleaning_up_reports_in_rows(learner: Any) -> None:
    mark_learners(COURSE_KEY, [GONE])

    assert clean_up_aggregates.apply().get() == {
        "markers": 1,
        "course_aggregates": 0,
        "block_aggregates": 0,
        "reached_thresholds": 0,
        "blocks": 0,
        "chunks": 0,
        "learner_snapshots": 0,
        "old_snapshots": 0,
    }


def test_tasks_keep_their_names() -> None:
    assert [task.name for task in (aggregate_learners, dispatch, clean_up_aggregates)] == [
        "completion_aggregator.tasks.aggregate_learners",
        "completion_aggregator.tasks.dispatch",
        "completion_aggregator.tasks.clean_up",
    ]
