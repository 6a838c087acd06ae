"""What must hold when faults and load are over and the workers are done; all that does not, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from completion.models import BlockCompletion
from django.db.models import CharField
from django.db.models.functions import Cast
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.models import CourseAggregate, ReachedThreshold, StaleCompletion
from sample_lms.models import Course, Enrollment
from tests.soak.records import Ledger
from tests.truth import computed, stored

_VALUES = ("earned", "possible", "optional_earned", "optional_possible", "last_modified")


def is_drained() -> bool:
    """Tell whether nothing waits: no marker, given up or not, no claim, no unsent threshold."""
    return not (
        StaleCompletion.objects.exists()
        or CourseAggregate.objects.exclude(queued_until=None).exists()
        or ReachedThreshold.objects.exclude(due_at=None).exists()
    )


def find_losses(ledger: Ledger) -> list[tuple[str, str, str]]:
    """Return the acknowledged completions that are not in the database."""
    done = BlockCompletion.objects.filter(completion=1.0).annotate(
        course=Cast("context_key", CharField()), block=Cast("block_key", CharField())
    )
    return sorted(ledger.acknowledged.difference(done.values_list("user__username", "course", "block")))


def verify(ledger: Ledger) -> list[str]:
    """Return every violation, a sentence each; the truth is `tests.truth`: everybody computed from scratch."""
    return [
        *(f"Lost: {username} has done {block}." for username, _, block in find_losses(ledger)),
        *_leftovers(),
        *find_differences(),
    ]


def _leftovers() -> Iterator[str]:
    for marker in StaleCompletion.objects.select_related("user").order_by("id"):
        error = f", attempts: {marker.attempts}, {marker.last_error}" if marker.attempts else ""
        yield f"A marker is left: {marker.user} in {marker.course_key}{error}."
    for row in CourseAggregate.objects.exclude(queued_until=None).select_related("user", "course"):
        yield f"A claim is left: {row.user} in {row.course} until {row.queued_until}."
    for reached in ReachedThreshold.objects.exclude(due_at=None):
        yield f"A threshold is not told: {reached.threshold} by user {reached.user_id}."


def find_differences(*, but_of_marked: bool = False) -> list[str]:
    """Tell whose stored aggregates are not what they should be.

    Args:
        but_of_marked: leave out those who have an open marker: they are known to be stale.
    """
    known = set(StaleCompletion.objects.values_list("user_id", flat=True)) if but_of_marked else set()
    keys = Course.objects.values_list("course_key", flat=True)
    return [sentence for key in keys for user_id, sentence in _differences(key) if user_id not in known]


def _differences(course_key: CourseKey) -> Iterator[tuple[int, str]]:
    truth, rows = computed(course_key), stored(course_key)
    aggregates = CourseAggregate.objects.filter(course__course_key=str(course_key), computed_at__isnull=False)
    courses = {user_id: tuple(values) for user_id, *values in aggregates.values_list("user_id", *_VALUES)}
    enrolled = Enrollment.objects.filter(course_id=course_key, is_active=True).values_list("user_id", flat=True)
    for user_id in sorted({*enrolled, *rows, *courses}):
        if rows.get(user_id) != truth[user_id]:
            yield user_id, f"Stored is not computed: user {user_id} in {course_key}, blocks."
        if courses.get(user_id) != next(iter(truth[user_id].values())):
            yield user_id, f"Stored is not computed: user {user_id} in {course_key}, the course aggregate."
