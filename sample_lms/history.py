"""The past of the demo: snapshots of the days before anything was aggregated, as they would have been taken then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.engine import percent, sum_up
from completion_aggregator.models import Course, CourseSnapshot, LearnerSnapshot
from completion_aggregator.selectors.computed import LearnerView, get_learner_views
from sample_lms.models import Enrollment


def write_history(course_key: CourseKey, *, days: int) -> None:
    """Write a snapshot of each of so many days before today, from the dates of the completions.

    Who is enrolled today counts as enrolled all the time.
    """
    course = Course.objects.get(course_key=str(course_key))
    now = timezone.now()
    today = now.astimezone(UTC).date()
    past = [today - timedelta(days=days - number) for number in range(days)]
    learners = Enrollment.objects.filter(course_id=course_key, is_active=True).values_list("user_id", flat=True)
    views = get_learner_views(course_key, list(learners), now=now)
    percents = {view.user_id: dict(zip(past, _percents(view, past), strict=True)) for view in views}
    courses = [_course_snapshot(course, day, [of_learner[day] for of_learner in percents.values()]) for day in past]
    CourseSnapshot.objects.bulk_create(courses, ignore_conflicts=True)
    LearnerSnapshot.objects.bulk_create(
        [
            LearnerSnapshot(user_id=user_id, course=course, day=day, percent=new)
            for user_id, of_learner in sorted(percents.items())
            for day, old, new in zip(past, [0.0, *of_learner.values()], of_learner.values(), strict=False)
            if new != old
        ],
        ignore_conflicts=True,
        batch_size=1_000,
    )


def _percents(view: LearnerView, days: list[date]) -> Iterator[float]:
    """Give how far a learner had come at the end of each of the days."""
    for day in days:
        # Texts of moments sort as the moments do; one of the next day is longer than this.
        end = (day + timedelta(days=1)).isoformat()
        done = {key: each for key, each in view.completions.items() if each[1] < end}
        yield percent(sum_up(view.tree, done).earned[0], view.tree.possible[0])


def _course_snapshot(course: Course, day: date, percents: list[float]) -> CourseSnapshot:
    return CourseSnapshot(
        course=course,
        day=day,
        computed_at=datetime.combine(day + timedelta(days=1), time(), UTC),
        enrolled=len(percents),
        started=sum(done > 0 for done in percents),
        completed=sum(done >= 1 for done in percents),
        mean=sum(percents) / (len(percents) or 1),
    )
