"""Forgetting: what becomes of aggregates and markers when a user is retired or a course is deleted."""

from __future__ import annotations

from django.db import transaction
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.models import (
    BlockAggregate,
    Course,
    CourseAggregate,
    LearnerSnapshot,
    ReachedThreshold,
    SnapshotWish,
    StaleCompletion,
)
from completion_aggregator.services.staleness import delete_markers

#: Learners whose snapshots are deleted in one statement.
_LEARNERS = 1_000


def forget_learner(user_id: int) -> None:
    """Delete all aggregates, markers, reached thresholds and snapshots of a learner; doing it twice does no harm.

    Waits for a worker who has this learner just now, so that nothing is written after it.

    Cost: 8 statements, whatever the number of courses.
    """
    with transaction.atomic():
        courses = CourseAggregate.objects.filter(user_id=user_id)
        list(courses.order_by("course_id").select_for_update().values_list("course_id", flat=True))
        BlockAggregate.objects.filter(user_id=user_id).delete()
        ReachedThreshold.objects.filter(user_id=user_id).delete()
        StaleCompletion.objects.filter(user_id=user_id).delete()
        LearnerSnapshot.objects.filter(user_id=user_id).delete()
        courses.delete()


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
