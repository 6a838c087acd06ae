"""Deleting what nobody will ask for again."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from completion_aggregator.models import BlockAggregate, CourseAggregate, CourseBlock, ReachedThreshold, StaleCompletion
from completion_aggregator.services import CleanupReport, aggregate_stale, clean_up, cleanup, mark_learners
from completion_aggregator.services.structure import sync_course
from tests.factories import COURSE_KEY, SMALL_COURSE, EnrollmentFactory, block, complete, key, publish_course

pytestmark = pytest.mark.django_db

GONE = 2_000_000_000
SHORT = (block("course/course", "html/h1"), block("html/h1"))


def rows_of_nobody(*user_ids: int) -> None:
    """Store what a user leaves who was deleted by SQL."""
    for user_id in user_ids:
        for model in (BlockAggregate, CourseAggregate, ReachedThreshold):
            for row in model._default_manager.filter(user_id__lt=GONE)[:2]:
                row.user_id = user_id
                if model is ReachedThreshold:
                    row.pk = None
                row.save(force_insert=True)
        mark_learners(COURSE_KEY, [user_id])


def test_rows_of_users_who_do_not_exist_are_deleted(learner: Any) -> None:
    complete(learner, "html/h1", "html/h2")
    aggregate_stale()
    rows_of_nobody(GONE, GONE + 1)

    assert clean_up() == CleanupReport(markers=2, course_aggregates=2, block_aggregates=4, reached_thresholds=2)
    assert BlockAggregate.objects.count() == 10
    assert set(CourseAggregate.objects.values_list("user_id", flat=True)) == {learner.pk}
    assert clean_up() == CleanupReport()


def test_open_markers_of_existing_users_stay(learner: Any) -> None:
    assert clean_up() == CleanupReport()
    assert StaleCompletion.objects.count() == 1


def test_blocks_that_left_their_course_go_once_nothing_is_stored_about_them(learner: Any) -> None:
    aggregate_stale()
    publish_course(SHORT)
    sync_course(COURSE_KEY)

    leaves = len(SMALL_COURSE) - 10
    assert clean_up() == CleanupReport(blocks=leaves - 1)
    aggregate_stale()
    assert clean_up() == CleanupReport(blocks=9)
    left = set(CourseBlock.objects.values_list("block_key", flat=True))
    assert left == {key("course/course"), key("html/h1")}


def test_a_block_that_was_cleaned_up_may_come_back(learner: Any) -> None:
    aggregate_stale()
    publish_course(SHORT)
    aggregate_stale()
    clean_up()
    publish_course()

    assert aggregate_stale().failed == 0
    assert BlockAggregate.objects.count() == 10


def test_many_rows_are_deleted_in_batches(learner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "BATCH_SIZE", 2)
    mark_learners(COURSE_KEY, range(GONE, GONE + 5))

    with CaptureQueriesContext(connection) as queries:
        assert clean_up().markers == 5

    assert sum(query["sql"].startswith("DELETE") for query in queries) == 3


@pytest.mark.parametrize("learners", [1, 9])
def test_locks_are_looked_for_among_a_few_learners_at_a_time(
    learner: Any, learners: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "BATCH_SIZE", 2)
    mark_learners(COURSE_KEY, [EnrollmentFactory().user_id for _ in range(learners - 1)])
    aggregate_stale()
    StaleCompletion.objects.all().delete()
    CourseAggregate.objects.update(computed_at=None)

    with CaptureQueriesContext(connection) as queries:
        assert clean_up().course_aggregates == learners

    searches = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    assert sum("queued_until" in sql for sql in searches) == (learners + 1) // 2
