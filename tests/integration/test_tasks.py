"""The Celery tasks are shells over the services."""

from __future__ import annotations

from typing import Any

import pytest

from completion_aggregator.models import CourseAggregate, StaleCompletion
from completion_aggregator.services import mark_learners
from completion_aggregator.tasks import aggregate_learners, clean_up_aggregates
from tests.factories import COURSE_KEY, EnrollmentFactory, complete

pytestmark = pytest.mark.django_db

GONE = 2_000_000_000
NOTHING = {"learners": 0, "written": 0, "deleted": 0, "resolved": 0, "failed": 0, "skipped": 0}


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


def test_cleaning_up_reports_in_rows(learner: Any) -> None:
    mark_learners(COURSE_KEY, [GONE])

    assert clean_up_aggregates.apply().get() == {
        "markers": 1,
        "course_aggregates": 0,
        "block_aggregates": 0,
        "blocks": 0,
        "chunks": 0,
    }


def test_tasks_keep_their_names() -> None:
    assert [task.name for task in (aggregate_learners, clean_up_aggregates)] == [
        "completion_aggregator.tasks.aggregate_learners",
        "completion_aggregator.tasks.clean_up",
    ]
