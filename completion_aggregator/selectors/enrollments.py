"""The active enrollments of a course, each with the learner's aggregate: where all course-wide questions begin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet, Subquery
from django.db.models.expressions import Col
from django.db.models.lookups import Exact
from django.db.models.sql.constants import INNER, LOUTER
from django.db.models.sql.datastructures import Join
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.models import Course, CourseAggregate


def is_enrolled(user: AbstractBaseUser, course_key: CourseKey) -> bool:
    """Tell whether the user has an active enrollment in the course. Cost: one query."""
    enrollments = get_lms().enrollments().filter(user_id=user.pk, course_id=course_key)
    # MySQL takes a key in other letter case for the same.
    return course_key in enrollments.values_list("course_id", flat=True)


class _OwnAggregate:
    """The way from an enrollment to the learner's aggregate in one course, as Django's SQL compiler takes it.

    A relation by way of the user would do, but then the database reads each user's row, too: half as long again.
    """

    related_model = CourseAggregate

    def __init__(self, enrollments: QuerySet[Any], course_key: CourseKey) -> None:
        self.user = enrollments.model._meta.get_field("user")
        self.course_id = Subquery(Course.objects.filter(course_key=str(course_key)).values("id")[:1])

    def get_joining_fields(self) -> tuple[tuple[Any, Any], ...]:
        return ((self.user, _column("user")),)

    def get_extra_restriction(self, alias: str, related_alias: str) -> Any:
        return Exact(Col(alias, _column("course")), self.course_id)


def _column(name: str) -> Any:
    return CourseAggregate._meta.get_field(name)


def join_aggregates(course_key: CourseKey, *, is_inner: bool = False) -> tuple[QuerySet[Any], Callable[[str], Col]]:
    """Select the active enrollments of a course, each with its aggregate where there is one.

    Args:
        is_inner: only those with an aggregate. Then the database may begin with the aggregates.
    Returns:
        The enrollments, and what gives a column of the aggregate by its name.
    """
    enrollments = get_lms().enrollments().filter(course_id=course_key)
    query = enrollments.query
    way: Any = _OwnAggregate(enrollments, course_key)
    kind = INNER if is_inner else LOUTER
    join = Join(CourseAggregate._meta.db_table, query.get_initial_alias(), None, kind, way, not is_inner)
    alias = query.join(join)
    return enrollments, lambda name: Col(alias, _column(name))
