"""What is left of a user who is retired or deleted, of a course that is deleted, of an enrollment that ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from completion_aggregator import handlers, tasks
from completion_aggregator.models import (
    AggregatedChunk,
    BlockAggregate,
    CourseAggregate,
    CourseSnapshot,
    LearnerSnapshot,
    ReachedThreshold,
    SnapshotWish,
    StaleCompletion,
)
from completion_aggregator.selectors import get_course_means
from completion_aggregator.services import (
    Chunk,
    aggregate_chunk,
    aggregate_stale,
    aggregation,
    claim_stale_chunks,
    clean_up,
    find_stale_chunks,
    forget_course,
    forget_learner,
    mark_learners,
    take_snapshots,
)
from completion_aggregator.services.queue import ensure_rows
from sample_lms.models import Course
from tests.factories import COURSE_KEY, EnrollmentFactory, complete, new_course_key, publish_course, small_course
from tests.truth import assert_stored_is_computed

pytestmark = pytest.mark.django_db

PERSONAL = (BlockAggregate, CourseAggregate, LearnerSnapshot, ReachedThreshold, StaleCompletion)
Run = Callable[..., Any]
#: A completed course, so that every threshold is reached.
ALL = ("html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")


@pytest.fixture
def other(learner: Any, django_capture_on_commit_callbacks: Run) -> Any:
    """A second learner; of both there is everything that there can be, a marker too."""
    other = EnrollmentFactory().user
    for user in (learner, other):
        complete(user, *ALL)
    with django_capture_on_commit_callbacks(execute=True):
        aggregate_stale()
    take_snapshots(timezone.now())
    mark_learners(COURSE_KEY, [learner.pk, other.pk])
    for model in PERSONAL:
        assert owners(model) == {learner.pk, other.pk}, model.__name__
    return other


def owners(model: Any) -> set[int]:
    return set(model.objects.values_list("user_id", flat=True))


def retire(user: Any) -> None:
    handlers.user_retired(sender=object, user=user)


def delete(user: Any) -> None:
    user.delete()


def delete_by_queryset(user: Any) -> None:
    type(user).objects.filter(pk=user.pk).delete()


@pytest.mark.parametrize("leave", [retire, delete, delete_by_queryset])
def test_of_a_user_who_goes_nothing_is_left(learner: Any, other: Any, leave: Callable[[Any], None]) -> None:
    leave(learner)

    for model in PERSONAL:
        assert owners(model) == {other.pk}, model.__name__
    assert AggregatedChunk.objects.exists()
    assert CourseSnapshot.objects.exists()
    assert_stored_is_computed(COURSE_KEY)


def test_the_mean_and_the_next_snapshot_are_without_a_learner_who_was_forgotten(
    learner: Any, other: Any, django_capture_on_commit_callbacks: Run
) -> None:
    assert get_course_means([COURSE_KEY]) == {COURSE_KEY: 1.0}
    SnapshotWish.objects.update(wanted_at=None)

    with django_capture_on_commit_callbacks(execute=True):
        forget_learner(learner.pk)

    # Enrolled still, but nothing is known.
    assert get_course_means([COURSE_KEY]) == {COURSE_KEY: 0.5}
    assert SnapshotWish.objects.exclude(wanted_at=None).exists()


@pytest.mark.parametrize("leave", [retire, delete])
def test_a_task_that_comes_after_its_learner_has_gone_writes_nothing(
    learner: Any, other: Any, leave: Callable[[Any], None]
) -> None:
    (chunk,) = claim_stale_chunks()
    user_id = learner.pk
    assert user_id in chunk.user_ids
    leave(learner)

    tasks.aggregate_learners(str(COURSE_KEY), [user_id])

    for model in PERSONAL:
        assert owners(model) == {other.pk}, model.__name__


def test_a_worker_who_found_a_learner_stale_before_they_went_writes_nothing(
    learner: Any, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retired user is a user still: that nobody is stale any more is seen once the lock is held."""
    (chunk,) = find_stale_chunks()

    def ensure_rows_too_late(course_id: int, user_ids: list[int]) -> None:
        forget_learner(learner.pk)
        ensure_rows(course_id, user_ids)

    monkeypatch.setattr(aggregation, "ensure_rows", ensure_rows_too_late)
    assert aggregate_chunk(chunk).learners == 1

    # The lock is left, without values.
    assert clean_up().course_aggregates == 1
    for model in PERSONAL:
        assert learner.pk not in owners(model), model.__name__
    assert owners(BlockAggregate) == {other.pk}


def test_a_completion_that_comes_after_the_first_signal_is_forgotten_with_the_second(learner: Any, other: Any) -> None:
    retire(learner)
    complete(learner, "html/h1", value=0.5)
    aggregate_stale()
    assert learner.pk in owners(BlockAggregate)

    retire(learner)

    for model in PERSONAL:
        assert learner.pk not in owners(model), model.__name__


def test_the_row_that_served_as_a_lock_is_there_before_anything_is_deleted(learner: Any) -> None:
    """A worker may be about to create it: then both would wait for each other."""
    aggregate_stale()
    CourseAggregate.objects.filter(user_id=learner.pk).delete()
    complete(learner, "html/h1")

    with CaptureQueriesContext(connection) as queries:
        forget_learner(learner.pk)

    table = CourseAggregate._meta.db_table
    statements = [query["sql"] for query in queries if query["sql"].startswith(("INSERT", "DELETE"))]
    assert statements[0].startswith("INSERT")
    assert table in statements[0]
    assert owners(CourseAggregate) == set()


@pytest.mark.parametrize("courses", [1, 5])
def test_forgetting_costs_the_same_whatever_the_number_of_courses(
    learner: Any, courses: int, django_assert_num_queries: Run
) -> None:
    for _ in range(courses - 1):
        course_key = new_course_key()
        publish_course(small_course(course_key), course_key)
        EnrollmentFactory(user=learner, course_id=course_key)
    aggregate_stale()

    # 8, and a savepoint, which ends.
    with django_assert_num_queries(10):
        forget_learner(learner.pk)


def test_a_course_that_is_deleted_keeps_what_learners_have_done_until_it_is_imported_again(
    learner: Any, other: Any
) -> None:
    rows = list(BlockAggregate.objects.order_by("pk").values())
    Course.objects.all().delete()
    forget_course(COURSE_KEY)

    assert not StaleCompletion.objects.exists()
    assert not LearnerSnapshot.objects.exists()
    assert not CourseSnapshot.objects.exists()
    assert not SnapshotWish.objects.exists()
    assert ReachedThreshold.objects.exists()
    assert list(BlockAggregate.objects.order_by("pk").values()) == rows
    clean_up()
    assert list(BlockAggregate.objects.order_by("pk").values()) == rows

    publish_course()
    aggregate_stale()
    assert_stored_is_computed(COURSE_KEY)
    assert not StaleCompletion.objects.exists()


def test_an_enrollment_that_ends_keeps_everything_and_begins_again_where_it_was(learner: Any, other: Any) -> None:
    enrollment = learner.enrollment_set.get()
    enrollment.is_active = False
    enrollment.save()
    aggregate_stale()
    clean_up()

    for model in (BlockAggregate, CourseAggregate, LearnerSnapshot, ReachedThreshold):
        assert owners(model) == {learner.pk, other.pk}, model.__name__
    assert get_course_means([COURSE_KEY]) == {COURSE_KEY: 1.0}

    complete(learner, "html/h1", value=0.5)
    enrollment.is_active = True
    enrollment.save()
    aggregate_stale()
    assert CourseAggregate.objects.get(user=learner).earned == 5.5
    assert_stored_is_computed(COURSE_KEY)


def test_a_row_that_only_served_as_a_lock_is_cleaned_up(learner: Any) -> None:
    """A worker makes it of a learner who is forgotten at that moment."""
    aggregate_stale()
    gone = EnrollmentFactory().user
    StaleCompletion.objects.filter(user_id=gone.pk).delete()
    row = CourseAggregate.objects.get(user=learner)
    CourseAggregate.objects.create(course_id=row.course_id, user_id=gone.pk)

    assert clean_up().course_aggregates == 1
    assert owners(CourseAggregate) == {learner.pk}


def test_a_lock_that_somebody_is_going_to_need_stays(learner: Any) -> None:
    assert list(claim_stale_chunks()) == [Chunk(str(COURSE_KEY), [learner.pk])]

    assert clean_up().course_aggregates == 0
    assert owners(CourseAggregate) == {learner.pk}
