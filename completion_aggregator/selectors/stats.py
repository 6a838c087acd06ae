"""Means over a course's learners, worked out by the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid4, uuid5

from django.db.models import Count, IntegerField, QuerySet, Sum, Value
from django.db.models.expressions import Col
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.caching import forgiving_cache
from completion_aggregator.compat import get_lms
from completion_aggregator.conf import conf
from completion_aggregator.lms.base import Capability
from completion_aggregator.selectors.enrollments import join_aggregates

#: SQLite takes at most 500 parts in a union.
MEANS_PER_QUERY = 100


class CourseStats(NamedTuple):
    """The mean of the selected learners of a course. Unit of earned and possible: blocks."""

    earned: float
    possible: float

    @property
    def percent(self) -> float:
        """0.0-1.0; 0.0 when there is nothing to divide by."""
        return self.earned / self.possible if self.possible else 0.0


def get_course_stats(
    course_key: CourseKey, *, cohort_ids: Collection[int] | None = None, exclude_roles: Collection[str] = ()
) -> CourseStats:
    """Return the mean of the active enrollments of a course; learners never aggregated have earned 0.

    Args:
        cohort_ids: only members of these cohorts of the course; None: whoever.
        exclude_roles: nobody who holds one of these roles in the course or in all of its org.
    Cost: one query, whatever the number of learners.
    """
    lms = get_lms()
    enrollments, column = join_aggregates(course_key)
    if cohort_ids is not None:
        enrollments = enrollments.filter(user_id__in=lms.cohort_members(course_key, cohort_ids))
    if exclude_roles:
        enrollments = enrollments.exclude(user_id__in=lms.role_holders(course_key, exclude_roles))
    sums = enrollments.aggregate(
        learners=Count("user_id"),
        aggregated=Count(column("computed_at")),
        earned=Sum(column("earned")),
        possible=Sum(column("possible")),
    )
    return CourseStats(
        earned=(sums["earned"] or 0.0) / (sums["learners"] or 1),
        possible=float(sums["possible"] or 0) / (sums["aggregated"] or 1),
    )


def get_course_means(course_keys: Sequence[CourseKey]) -> dict[CourseKey, float]:
    """Return the mean percent of the counted learners of each course; 0.0 where there are none.

    Counted are the active enrollments without any access role in the course; learners never aggregated count as 0.
    Cost: at most one query per MEANS_PER_QUERY courses, and three round trips to the cache.
    """
    if not course_keys:
        return {}  # Not every cache takes a question for no keys: django-redis does not.
    stamps = _stamps(course_keys)
    means: dict[CourseKey, float] = {}
    kept = forgiving_cache.get_many(stamps.values())
    missing = []
    for key in course_keys:
        if stamps[key] in kept:
            means[key] = kept[stamps[key]]
        else:
            missing.append(key)
    for start in range(0, len(missing), MEANS_PER_QUERY):
        means |= _read_means(missing[start : start + MEANS_PER_QUERY])
    forgiving_cache.set_many({stamps[key]: means[key] for key in missing}, timeout=conf.MEAN_CACHE_TIMEOUT)
    return means


def forget_means(course_key: CourseKey) -> None:
    """Make the next question for the mean of a course go to the database."""
    forgiving_cache.set(_stamp_key(course_key), uuid4().hex, timeout=None)


def _stamps(course_keys: Sequence[CourseKey]) -> dict[CourseKey, str]:
    """Return the cache key of each course's mean.

    It holds a stamp that `forget_means` replaces. The stamp is read before the mean is computed: a mean that was
    computed while the course changed is kept under the old stamp, where nobody looks any more.
    """
    stamps = forgiving_cache.get_many(map(_stamp_key, course_keys))
    new = {key: uuid4().hex for key in map(_stamp_key, course_keys) if key not in stamps}
    if new:
        forgiving_cache.set_many(new, timeout=None)
    stamps |= new
    return {key: f"completion_aggregator.mean.{stamps[_stamp_key(key)]}" for key in course_keys}


def _stamp_key(course_key: CourseKey) -> str:
    # A course key may hold what memcached refuses in a key, or be too long for it.
    return f"completion_aggregator.stamp.{uuid5(NAMESPACE_URL, str(course_key)).hex}"


def _read_means(course_keys: Sequence[CourseKey]) -> dict[CourseKey, float]:
    means = dict.fromkeys(course_keys, 0.0)
    for place, learners, percents in read_sums([_sum_percent(place, key) for place, key in enumerate(course_keys)]):
        means[course_keys[place]] = percents / (learners or 1)
    return means


def _sum_percent(place: int, course_key: CourseKey) -> Any:
    lms = get_lms()
    enrollments, column = join_aggregates(course_key)
    if Capability.ROLES in lms.capabilities:
        enrollments = enrollments.exclude(user_id__in=lms.role_holders(course_key))
    return sum_percents(place, enrollments, column)


def sum_percents(place: int, enrollments: QuerySet[Any], column: Callable[[str], Col]) -> Any:
    """Select one row: place, number of learners, sum of their percents; without learners maybe none.

    Args:
        place: what `read_sums` is to know it by.
        enrollments, column: from `join_aggregates`.
    """
    return (
        enrollments.order_by()
        .annotate(place=Value(place, output_field=IntegerField()))
        .values("place")
        .annotate(learners=Count("user_id"), percents=Sum(column("percent")))
        .values_list("place", "learners", "percents")
    )


def read_sums(parts: Sequence[Any]) -> Iterator[tuple[int, int, float]]:
    """Read what each `sum_percents` selects. Cost: one query; at most MEANS_PER_QUERY parts."""
    first, *others = parts
    for place, learners, percents in first.union(*others, all=True) if others else first:
        yield place, learners, percents or 0.0
