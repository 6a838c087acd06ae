"""The courses of the benchmark in the sample LMS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from benchmarks.course import (
    LEARNERS,
    LIST,
    LISTER,
    MAIN,
    PUBLISHED,
    PUBLISHED_LEARNERS,
    ROLE_HOLDERS,
    STATS,
    STATS_LEARNERS,
    Course,
)
from benchmarks.seed import STATS_EARNED, STATS_POSSIBLE, add_users, complete, empty, insert_for_learners
from completion_aggregator import models, services
from sample_lms.models import CourseAccessRole, Enrollment
from sample_lms.olx import OlxBlock, OlxCourse
from sample_lms.publishing import publish


def key_of(course: Course) -> CourseKey:
    return CourseKey.from_string(course.key)


def publish_course(course: Course) -> None:
    blocks = tuple(
        OlxBlock(
            key=block.key,
            block_type=block.block_type,
            display_name=block.name,
            children=block.children,
            start=None,
            staff_only=False,
            optional=block.optional,
            cohorts=(),
            max_count=None,
        )
        for block in course.blocks()
    )
    publish(
        OlxCourse(
            course_key=key_of(course),
            display_name=course.name,
            mobile_available=course.mobile,
            cohorts=course.cohorts,
            blocks=blocks,
        )
    )


def enroll(course: Course, first: int, last: int) -> None:
    insert_for_learners(Enrollment, first, last, course_id=course.key)


def add_course(course: Course, learners: int) -> None:
    """Publish a course and give it learners, all of whom have done something in it; nobody is aggregated."""
    add_users(learners)
    publish_course(course)
    enroll(course, 1, learners)
    complete(course, 1, learners)


@cache
def add_main() -> None:
    add_course(MAIN, LEARNERS)


@cache
def add_published() -> Iterator[Course]:
    """Add the course that is published again and again; return its later publications, each with one unit more."""
    add_course(PUBLISHED, PUBLISHED_LEARNERS)
    return (replace(PUBLISHED, added=number) for number in range(1, 1_000))


@cache
def add_list() -> None:
    add_users(1)
    for course in LIST:
        publish_course(course)
        enroll(course, LISTER, LISTER)
        complete(course, LISTER, LISTER)
        services.aggregate(key_of(course), [LISTER])


@cache
def add_stats() -> None:
    """A large class, of which only the course aggregates exist: nothing else is asked for."""
    add_users(STATS_LEARNERS)
    publish_course(STATS)
    enroll(STATS, 1, STATS_LEARNERS)
    CourseAccessRole.objects.bulk_create(
        CourseAccessRole(user_id=user_id, course_id=key_of(STATS), org="Bench", role="staff")
        for user_id in range(1, STATS_LEARNERS, STATS_LEARNERS // ROLE_HOLDERS)
    )
    services.aggregate(key_of(STATS), [1])
    course = models.Course.objects.get(course_key=STATS.key)
    course.aggregates.all().delete()
    insert_for_learners(
        models.CourseAggregate,
        1,
        STATS_LEARNERS,
        course=course.pk,
        earned=STATS_EARNED,
        possible=STATS_POSSIBLE,
        percent=STATS_EARNED / STATS_POSSIBLE,
        last_modified=timezone.now(),
        computed_at=timezone.now(),
    )


def forget_aggregates() -> None:
    empty(models.BlockAggregate, models.CourseAggregate, models.StaleCompletion)


def forget_markers() -> None:
    empty(models.StaleCompletion)
