"""Marking: noting that a learner's aggregates in a course are older than what they are made from.

A marker is deleted only by the transaction that has counted it. So a new one is always written, even where an
open one says the same: that one may just now be in the hands of a worker who has not seen the change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import router, transaction
from django.db.models import BooleanField, CharField, DateTimeField, Exists, IntegerField, OuterRef, Q, QuerySet, Value
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.models import Course, CourseAggregate, StaleCompletion
from completion_aggregator.selectors.stats import forget_means
from completion_aggregator.upsert import delete, insert_select
from completion_aggregator.utils import parse_course_key

#: Ids in one statement.
_MAX_IDS = 5_000


def mark_completion(user_id: int, course_key: CourseKey, block_key: str) -> None:
    """Note that a learner's completion of one block was written or deleted.

    Cost: one insert in the caller's transaction, which waits for nobody.
    """
    StaleCompletion.objects.create(user_id=user_id, course_key=str(course_key), block_key=block_key)


def mark_learners(course_key: CourseKey, user_ids: Collection[int], *, bulk: bool = False) -> None:
    """Note that anything may have changed for these learners in the course.

    Args:
        bulk: it may wait until learners who have done something had their turn.
    Cost: one insert for every 5,000 learners.
    """
    markers = [StaleCompletion(user_id=user_id, course_key=str(course_key), bulk=bulk) for user_id in user_ids]
    StaleCompletion.objects.bulk_create(markers, batch_size=5_000)
    transaction.on_commit(lambda: forget_means(course_key), robust=True)


def mark_learner_in_org(user_id: int, org: str) -> None:
    """Note that anything may have changed for a learner in each course of an organisation.

    Cost: two queries, and one insert for each such course that the learner is enrolled in or was ever aggregated in.
    """
    enrolled = get_lms().enrollments().filter(user_id=user_id).values_list("course_id", flat=True)
    aggregated = CourseAggregate.objects.filter(user_id=user_id).values_list("course__course_key", flat=True)
    for course_key in {*enrolled, *map(parse_course_key, aggregated)}:
        if course_key.org == org:
            mark_learners(course_key, [user_id])


def mark_course(course_key: CourseKey) -> int:
    """Note that anything may have changed for everybody in a course; return how many learners that is.

    Everybody is the active enrollments and whoever was ever aggregated in it, since they may come back. After the
    commit the new markers take the place of older ones of their kind: each learner is left with one, and with what
    must not wait as long as bulk work does.
    Cost: one INSERT for however many learners, one query, and one DELETE for every 5,000 older markers.
    """
    key, now = str(course_key), timezone.now()
    with transaction.atomic():
        # Exactly these, not all up to the newest: a lower id may be committed later, by a learner who enrolls now.
        older = list(_replaceable(key).values_list("id", flat=True))
        enrolled = _markers_of(get_lms().enrollments().filter(course_id=course_key), key, now)
        aggregated = _markers_of(CourseAggregate.objects.filter(course__course_key=key), key, now)
        marked = _mark(enrolled.union(aggregated))
        # Only once the new ones are there for all to see, and outside of the caller's transaction, so that a
        # publication neither waits for a worker nor fails over one. Markers that stay do no harm.
        transaction.on_commit(lambda: delete_markers(older), robust=True)
        transaction.on_commit(lambda: forget_means(course_key), robust=True)
    return marked


def mark_never_aggregated(course_key: CourseKey) -> int:
    """Mark the active enrollments of a course that were never aggregated; return how many that is.

    For a site that had learners before it had this app: learners note nothing of it, course-wide answers lack them.
    Those who wait already, or have failed, are not marked again.
    Cost: one INSERT for however many learners.
    """
    key = str(course_key)
    learner = OuterRef("user_id")
    aggregated = CourseAggregate.objects.filter(course__course_key=key, user_id=learner).exclude(computed_at=None)
    waiting = StaleCompletion.objects.filter(course_key=key, user_id=learner)
    new = get_lms().enrollments().filter(~Exists(aggregated), ~Exists(waiting), course_id=course_key)
    return _mark(_markers_of(new, key, timezone.now()))


def delete_markers(ids: Sequence[int]) -> None:
    """Delete markers, in order of id, so that two who delete never wait for each other crosswise."""
    for batch in in_batches(sorted(ids)):
        delete(StaleCompletion, batch, using=router.db_for_write(StaleCompletion))


def in_batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut ids into what one statement takes."""
    return (ids[start : start + _MAX_IDS] for start in range(0, len(ids), _MAX_IDS))


def mark_due_changes(now: datetime) -> int:
    """Mark everybody in each course in which a release date has passed; return how many courses that is."""
    keys = list(Course.objects.filter(next_change_at__lte=now).values_list("course_key", flat=True))
    for key in keys:
        with transaction.atomic():
            course = Course.objects.select_for_update().get(course_key=key)
            if course.next_change_at is None or course.next_change_at > now:
                continue  # Somebody else was faster.
            _, change_dates = course.structure
            later = [moment for moment in map(datetime.fromisoformat, change_dates) if moment > now]
            course.next_change_at = min(later, default=None)
            course.save(update_fields=["next_change_at"])
            mark_course(parse_course_key(key))
    return len(keys)


def _replaceable(course_key: str) -> QuerySet[StaleCompletion]:
    """Select the markers that a new bulk marker says no less than: those of everything, unless they are in a hurry."""
    markers = StaleCompletion.objects.filter(course_key=course_key, block_key=None)
    return markers.filter(Q(bulk=True) | Q(attempts__gt=0))


def _markers_of(learners: QuerySet[Any], course_key: str, now: datetime) -> QuerySet[Any]:
    """Select a bulk marker for each row of a queryset that has a `user_id`."""
    return learners.order_by().values_list(
        "user_id",
        Value(course_key, output_field=CharField()),
        Value(True, output_field=BooleanField()),
        Value(now, output_field=DateTimeField()),
        Value(0, output_field=IntegerField()),
        Value("", output_field=CharField()),
    )


def _mark(markers: QuerySet[Any]) -> int:
    """Insert what `_markers_of` selects; return how many markers that is."""
    fields = ("user_id", "course_key", "bulk", "created", "attempts", "last_error")
    return insert_select(StaleCompletion, fields, markers, using=router.db_for_write(StaleCompletion))
