"""Snapshots: what a course and its learners were like at the end of each day, taken from what is stored.

An aggregation only notes that its course wants a snapshot; the service takes it, at most every SNAPSHOT_INTERVAL.
So however many learners are at work, the figures of a class are worked out a few times an hour.
"""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.db import connections, router, transaction
from django.db.models import Case, DateTimeField, F, FloatField, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from completion_aggregator.conf import conf
from completion_aggregator.models import CourseAggregate, CourseSnapshot, LearnerSnapshot, SnapshotWish
from completion_aggregator.selectors.summary import CourseSummary, get_course_summary, snapshot_of
from completion_aggregator.services.queue import select_and_lock
from completion_aggregator.upsert import upsert
from completion_aggregator.utils import parse_course_key

log = logging.getLogger(__name__)

#: Courses in one pass: whoever takes snapshots has other work, too.
MAX_COURSES = 100
#: Learners who are locked at once, for milliseconds.
BATCH_SIZE = 1_000


def want_snapshot(course_id: int) -> None:
    """Note that the newest snapshot of a course does not know all that is stored; after the commit of the change.

    Cost: one statement, which writes once per snapshot.
    """
    now = timezone.now()
    # A wish from before the newest snapshot was begun is as good as none: it may be fulfilled at any moment.
    is_noted = Q(wanted_at__isnull=False) & ~Q(wanted_at__lt=F("begun_at"))
    wanted_at = Case(When(is_noted, then=F("wanted_at")), default=Value(now, output_field=DateTimeField()))
    if not SnapshotWish.objects.filter(course_id=course_id).update(wanted_at=wanted_at):
        SnapshotWish.objects.bulk_create([SnapshotWish(course_id=course_id, wanted_at=now)], ignore_conflicts=True)


def take_snapshots(now: datetime) -> int:
    """Take a snapshot of each course that wants one, and had none within SNAPSHOT_INTERVAL; return how many.

    The longest waiting come first, and no more than MAX_COURSES. A course of which none can be taken stops nobody,
    and is tried again after the interval. Two who do this at once share the courses.

    Cost: one query, and for each course 3 statements, those of `selectors.get_course_summary`, and 3 for every
    BATCH_SIZE learners whose percent has changed.
    """
    before = now - timedelta(seconds=conf.SNAPSHOT_INTERVAL)
    due = SnapshotWish.objects.filter(Q(begun_at=None) | Q(begun_at__lte=before), wanted_at__isnull=False)
    courses = due.order_by("wanted_at").values_list("course_id", "course__course_key")[:MAX_COURSES]
    taken = 0
    for course_id, course_key in list(courses):
        if not due.filter(course_id=course_id).update(begun_at=now):
            continue  # Somebody else was faster.
        try:
            _take(course_id, course_key, now)
        except SoftTimeLimitExceeded:
            raise
        except Exception:
            log.exception("No snapshot could be taken of %s", course_key)
        else:
            taken += 1
    return taken


def _take(course_id: int, course_key: str, now: datetime) -> None:
    day = now.astimezone(UTC).date()
    _keep_percents(course_id, day)
    _save(course_id, day, get_course_summary(parse_course_key(course_key)))
    # What was noted since it was begun stays noted.
    SnapshotWish.objects.filter(course_id=course_id, wanted_at__lt=now).update(wanted_at=None)


def _keep_percents(course_id: int, day: date) -> None:
    """Give each learner whose percent is another than the newest snapshot says one of this day."""
    newest = LearnerSnapshot.objects.filter(user_id=OuterRef("user_id"), course_id=course_id).order_by("-day")
    known = Coalesce(Subquery(newest.values("percent")[:1]), 0.0, output_field=FloatField())
    changed = CourseAggregate.objects.filter(course_id=course_id).annotate(known=known).exclude(percent=F("known"))
    ids = changed.order_by("user_id").values_list("user_id", flat=True)
    last = 0
    while batch := list(ids.filter(user_id__gt=last)[:BATCH_SIZE]):
        with transaction.atomic():
            # Of a learner who is forgotten meanwhile nothing must be written; one who is aggregated has a turn later.
            rows = list(select_and_lock(course_id, batch).values_list("user_id", "percent"))
            upsert(
                LearnerSnapshot,
                ("user_id", "percent"),
                rows,
                using=router.db_for_write(LearnerSnapshot),
                same={"course_id": course_id, "day": day},
            )
        last = batch[-1]


def _save(course_id: int, day: date, summary: CourseSummary) -> None:
    has_target = connections[router.db_for_write(CourseSnapshot)].features.supports_update_conflicts_with_target
    columns = snapshot_of(summary)
    CourseSnapshot.objects.bulk_create(
        [CourseSnapshot(course_id=course_id, day=day, **columns)],
        update_conflicts=True,
        update_fields=list(columns),
        unique_fields=["course", "day"] if has_target else None,
    )
