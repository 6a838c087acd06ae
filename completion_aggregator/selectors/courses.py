"""Which courses there are, for lists to choose from, and how fresh a course is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Lower
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.models import AggregatedChunk, Course, CourseBlock, StaleCompletion
from completion_aggregator.selectors.status import is_claimed

#: So many open markers of a course are looked at; whoever has more has a lot of them.
MAX_MARKERS = 1_000


def select_courses(course_keys: Collection[CourseKey] | None = None, *, search: str = "") -> QuerySet[Any]:
    """Select the texts of the keys of the courses that were ever aggregated, in their order.

    Args:
        course_keys: of these alone; None: of all.
        search: occurs in the key, or in the name; empty: whichever.
    Cost: with `search`, a walk through the names of all blocks.
    """
    courses = Course.objects.order_by("course_key")
    if course_keys is not None:
        courses = courses.filter(course_key__in=list(map(str, course_keys)))
    if search:
        named = CourseBlock.objects.filter(course_id=OuterRef("pk"), position=0, display_name__icontains=search)
        # MySQL compares keys case by case.
        courses = courses.annotate(lower_key=Lower("course_key"))
        courses = courses.filter(Q(lower_key__contains=search.lower()) | Exists(named))
    return courses.values_list("course_key", flat=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How much of what has happened in a course is counted."""

    #: Learners with an open marker, of the MAX_MARKERS longest waiting.
    stale: int
    #: Whether there are more.
    is_more: bool
    #: Whether one of them was sent to the workers.
    is_running: bool
    #: When learners, of whichever course, were last aggregated; None: not within the time that the cleanup keeps.
    last_finished_at: datetime | None


def get_freshness(course_key: CourseKey) -> Freshness:
    """Return how fresh what is stored of a course is. Cost: 2 queries, at most MAX_MARKERS rows."""
    markers = StaleCompletion.objects.filter(course_key=str(course_key)).order_by("id")
    claimed = markers.annotate(claimed=is_claimed(timezone.now())).values_list("user_id", "claimed")
    found = list(claimed[: MAX_MARKERS + 1])
    chunks = AggregatedChunk.objects.order_by("-finished_at").values_list("finished_at", flat=True)
    return Freshness(
        stale=len({user_id for user_id, _ in found}),
        is_more=len(found) > MAX_MARKERS,
        is_running=any(is_claimed for _, is_claimed in found),
        last_finished_at=chunks.first(),
    )
