"""The data that the benchmarks run on, in the tables of the sample LMS."""

from __future__ import annotations

import random
from collections.abc import Iterator

from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from opaque_keys.edx.keys import CourseKey

from sample_lms.models import Course, Enrollment
from sample_lms.olx import OlxBlock, OlxCourse
from sample_lms.publishing import publish

COURSE_KEY = CourseKey.from_string("course-v1:Bench+B1+2026")
#: Chapters, sections in each, units in each, blocks in each: 261 aggregators and 1,000 blocks to complete.
SHAPE = (10, 5, 4, 5)
TYPES = ("course", "chapter", "sequential", "vertical", "html")
BATCH = 5_000


def course_blocks(shape: tuple[int, ...] = SHAPE, course_key: CourseKey = COURSE_KEY) -> Iterator[OlxBlock]:
    """Describe a regular course, in course order."""

    def walk(name: str, depth: int) -> Iterator[OlxBlock]:
        below = [f"{name}_{n}" for n in range(shape[depth])] if depth < len(shape) else []
        yield OlxBlock(
            key=_key(name, depth, course_key),
            block_type=TYPES[depth],
            display_name=name,
            children=tuple(_key(child, depth + 1, course_key) for child in below),
            start=None,
            staff_only=False,
            optional=False,
            cohorts=(),
            max_count=None,
        )
        for child in below:
            yield from walk(child, depth + 1)

    return walk("course", 0)


def _key(name: str, depth: int, course_key: CourseKey) -> str:
    return str(course_key.make_usage_key(TYPES[depth], name))


def publish_course(shape: tuple[int, ...] = SHAPE, course_key: CourseKey = COURSE_KEY) -> Course:
    return publish(
        OlxCourse(
            course_key=course_key,
            display_name="Benchmark",
            mobile_available=False,
            cohorts=(),
            blocks=tuple(course_blocks(shape, course_key)),
        )
    )


def enroll(learners: int, course_key: CourseKey = COURSE_KEY) -> list[int]:
    """Make sure that there are so many learners, all enrolled; return their ids."""
    users = get_user_model()
    names = [f"learner{n}" for n in range(learners)]
    users.objects.bulk_create((users(username=name) for name in names), ignore_conflicts=True, batch_size=BATCH)
    ids = list(users.objects.filter(username__startswith="learner").order_by("pk").values_list("pk", flat=True))
    rows = (Enrollment(user_id=user_id, course_id=course_key) for user_id in ids)
    Enrollment.objects.bulk_create(rows, ignore_conflicts=True, batch_size=BATCH)
    return ids


def complete(user_ids: list[int], each: int = 200, course_key: CourseKey = COURSE_KEY) -> None:
    """Give every learner completions of some blocks, without marking anybody."""
    dice = random.Random(7)  # noqa: S311
    leaves = [block.key for block in course_blocks(course_key=course_key) if block.block_type == "html"]
    rows = (
        BlockCompletion(user_id=user_id, context_key=course_key, block_key=key, block_type="html", completion=1.0)
        for user_id in user_ids
        for key in dice.sample(leaves, each)
    )
    BlockCompletion.objects.bulk_create(rows, batch_size=BATCH)
