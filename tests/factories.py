"""What the tests build their data with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import factory
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from opaque_keys.edx.keys import CourseKey, UsageKey

from sample_lms.models import Cohort, CohortMembership, Course, CourseAccessRole, Enrollment
from sample_lms.olx import OlxBlock, OlxCourse
from sample_lms.publishing import publish

COURSE_KEY = CourseKey.from_string("course-v1:Org+Course+Run")


class UserFactory(factory.django.DjangoModelFactory[Any]):
    class Meta:
        model = get_user_model()

    username = factory.Sequence(lambda n: f"learner{n}")


class EnrollmentFactory(factory.django.DjangoModelFactory[Enrollment]):
    class Meta:
        model = Enrollment

    user = factory.SubFactory(UserFactory)
    course_id = COURSE_KEY


class RoleFactory(factory.django.DjangoModelFactory[CourseAccessRole]):
    class Meta:
        model = CourseAccessRole

    user = factory.SubFactory(UserFactory)
    org = factory.LazyAttribute(lambda role: role.course_id.org)
    course_id = COURSE_KEY
    role = "staff"


class CohortFactory(factory.django.DjangoModelFactory[Cohort]):
    class Meta:
        model = Cohort

    course_id = COURSE_KEY
    name = factory.Sequence(lambda n: f"cohort {n}")


class MembershipFactory(factory.django.DjangoModelFactory[CohortMembership]):
    class Meta:
        model = CohortMembership

    user = factory.SubFactory(UserFactory)
    cohort = factory.SubFactory(CohortFactory)
    course_id = factory.SelfAttribute("cohort.course_id")


def block(name: str, *children: str, course_key: CourseKey = COURSE_KEY, **flags: Any) -> OlxBlock:
    """Describe a block by a short name: "vertical/v1" with children "html/h1", …"""
    block_type, _ = name.split("/")
    values = {"start": None, "staff_only": False, "optional": False, "cohorts": (), "max_count": None} | flags
    return OlxBlock(
        key=key(name, course_key),
        block_type=block_type,
        display_name=name,
        children=tuple(key(child, course_key) for child in children),
        **values,
    )


def key(name: str, course_key: CourseKey = COURSE_KEY) -> str:
    """Return the text of the usage key of "vertical/v1"."""
    return str(usage_key(name, course_key))


def usage_key(name: str, course_key: CourseKey = COURSE_KEY) -> UsageKey:
    return course_key.make_usage_key(*name.split("/"))


def small_course(course_key: CourseKey = COURSE_KEY) -> tuple[OlxBlock, ...]:
    """Describe two chapters, three sections, four units and six things to do, in course order."""
    children = {
        "course/course": ("chapter/c1", "chapter/c2"),
        "chapter/c1": ("sequential/s1", "sequential/s2"),
        "sequential/s1": ("vertical/v1", "vertical/v2"),
        "vertical/v1": ("html/h1", "html/h2", "discussion/d1"),
        "html/h1": (),
        "html/h2": (),
        "discussion/d1": (),
        "vertical/v2": ("problem/p1",),
        "problem/p1": (),
        "sequential/s2": ("vertical/v3",),
        "vertical/v3": ("html/h3",),
        "html/h3": (),
        "chapter/c2": ("sequential/s3",),
        "sequential/s3": ("vertical/v4",),
        "vertical/v4": ("html/h4", "video/m1"),
        "html/h4": (),
        "video/m1": (),
    }
    return tuple(block(name, *below, course_key=course_key) for name, below in children.items())


SMALL_COURSE = small_course()


def publish_course(
    blocks: Iterable[OlxBlock] = SMALL_COURSE,
    course_key: CourseKey = COURSE_KEY,
    *,
    mobile_available: bool = False,
    cohorts: Iterable[str] = (),
) -> Course:
    """Publish these blocks as the course; again: as its next version."""
    return publish(
        OlxCourse(
            course_key=course_key,
            display_name="A course",
            mobile_available=mobile_available,
            cohorts=tuple(cohorts),
            blocks=tuple(blocks),
        )
    )


def complete(user: Any, *names: str, value: float = 1.0, course_key: CourseKey = COURSE_KEY) -> None:
    """Let a learner do these blocks, the way an LMS submits it."""
    for name in names:
        BlockCompletion.objects.submit_completion(user, usage_key(name, course_key), value)


def new_course_key() -> CourseKey:
    return CourseKey.from_string(f"course-v1:Org+Course+{uuid4().hex[:8]}")
