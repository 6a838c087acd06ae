"""Forgetting: what becomes of aggregates and markers when a user is retired or deleted, or a course is deleted."""

from __future__ import annotations

from functools import partial

from django.db import OperationalError, connections, router, transaction
from opaque_keys.edx.keys import CourseKey
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_random_exponential

from completion_aggregator.models import (
    BlockAggregate,
    Course,
    CourseAggregate,
    LearnerSnapshot,
    ReachedThreshold,
    SnapshotWish,
    StaleCompletion,
)
from completion_aggregator.selectors.stats import forget_means
from completion_aggregator.services.queue import ensure_rows
from completion_aggregator.services.snapshots import want_snapshot
from completion_aggregator.services.staleness import delete_markers
from completion_aggregator.utils import parse_course_key

#: Learners whose snapshots are deleted in one statement.
_LEARNERS = 1_000


def _may_try_again(error: BaseException) -> bool:
    """Tell whether it was a deadlock or the like, and no transaction of the caller's is lost with it."""
    in_transaction = connections[router.db_for_write(CourseAggregate)].in_atomic_block
    return isinstance(error, OperationalError) and not in_transaction


@retry(
    retry=retry_if_exception(_may_try_again),
    wait=wait_random_exponential(multiplier=0.05, max=2),
    stop=stop_after_attempt(5),
    reraise=True,
)
def forget_learner(user_id: int) -> None:
    """Delete all aggregates, markers, reached thresholds and snapshots of a learner; doing it twice does no harm.

    Waits for a worker who has this learner just now, so that nothing is written after it.

    Cost: 8 statements, whatever the number of courses; 2 more for each course in which the learner is stale, and after
    the commit, for each in which there was something, one to the cache and one that wishes for a snapshot.
    """
    marked = StaleCompletion.objects.filter(user_id=user_id)
    for course_id in Course.objects.filter(course_key__in=marked.values("course_key")).values_list("id", flat=True):
        # A worker may be about to: whoever has the lock first, the other one must meet it before any other row.
        ensure_rows(course_id, [user_id])
    with transaction.atomic():
        courses = CourseAggregate.objects.filter(user_id=user_id).order_by("course_id").select_for_update()
        locked = list(courses.values_list("course_id", flat=True))
        BlockAggregate.objects.filter(user_id=user_id).delete()
        ReachedThreshold.objects.filter(user_id=user_id).delete()
        StaleCompletion.objects.filter(user_id=user_id).delete()
        LearnerSnapshot.objects.filter(user_id=user_id).delete()
        CourseAggregate.objects.filter(user_id=user_id, course_id__in=locked).delete()
        for course_id, key in Course.objects.filter(id__in=locked).values_list("id", "course_key"):
            transaction.on_commit(partial(forget_means, parse_course_key(key)), robust=True)
            transaction.on_commit(partial(want_snapshot, course_id), robust=True)


def forget_course(course_key: CourseKey) -> None:
    """Delete the markers and snapshots of a course that the LMS does not have any more: they could never be resolved.

    Its aggregates stay, as the LMS keeps enrollments and completions: they tell what learners have done, and are
    right again when the course is imported anew.

    Cost: 5 statements, one for every 5,000 markers, and two for every 1,000 learners.
    """
    markers = StaleCompletion.objects.filter(course_key=str(course_key))
    delete_markers(list(markers.values_list("id", flat=True)))
    for course in Course.objects.filter(course_key=str(course_key)).defer("structure"):
        SnapshotWish.objects.filter(course=course).delete()
        learners = course.aggregates.order_by("user_id").values_list("user_id", flat=True)
        last = 0
        while user_ids := list(learners.filter(user_id__gt=last)[:_LEARNERS]):
            LearnerSnapshot.objects.filter(user_id__in=user_ids, course=course).delete()
            last = user_ids[-1]
        course.snapshots.all().delete()
