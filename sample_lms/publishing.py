"""Publishes what sample_lms.olx has read: writes a course and its blocks, and tells who wants to know.

Imported by the commands, the tests and whoever connects to `course_published`.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

from django.db import transaction
from django.dispatch import Signal

from sample_lms.models import Block, BlockLink, Cohort, Course
from sample_lms.olx import OlxCourse

BATCH_SIZE = 1000
NAME_LENGTH = 255

#: Sent with `course_key`, inside the transaction that publishes.
course_published = Signal()


@transaction.atomic
def publish(olx: OlxCourse) -> Course:
    """Make `olx` the published version of its course: all of it or, after an error, nothing."""
    course = _save_course(olx)
    # Links first and by themselves: deleting blocks would look them up block by block.
    BlockLink.objects.filter(parent__course=course).delete()
    course.blocks.all().delete()
    Block.objects.bulk_create(_blocks(course, olx), batch_size=BATCH_SIZE)
    BlockLink.objects.bulk_create(_links(course, olx), batch_size=BATCH_SIZE)
    cohorts = (Cohort(course_id=olx.course_key, name=name) for name in olx.cohorts)
    Cohort.objects.bulk_create(cohorts, ignore_conflicts=True)
    course_published.send(sender=Course, course_key=course.course_key)
    return course


def _save_course(olx: OlxCourse) -> Course:
    values: dict[str, object] = {
        "display_name": olx.display_name[:NAME_LENGTH],
        "mobile_available": olx.mobile_available,
        "version": uuid4().hex,
    }
    if olx.cohorts:  # a course without may have got cohorts in the LMS
        values["cohorted"] = True
    return Course.objects.update_or_create(course_key=olx.course_key, defaults=values)[0]


def _blocks(course: Course, olx: OlxCourse) -> Iterator[Block]:
    for position, block in enumerate(olx.blocks):
        yield Block(
            course=course,
            block_key=block.key,
            block_type=block.block_type,
            display_name=block.display_name[:NAME_LENGTH],
            position=position,
            start=block.start,
            staff_only=block.staff_only,
            optional=block.optional,
            cohorts=list(block.cohorts),
            max_count=block.max_count,
        )


def _links(course: Course, olx: OlxCourse) -> Iterator[BlockLink]:
    # Not from the rows just created: MySQL does not tell their ids.
    ids = dict(course.blocks.values_list("block_key", "pk"))
    for block in olx.blocks:
        for position, child in enumerate(block.children):
            yield BlockLink(parent_id=ids[block.key], child_id=ids[child], position=position)
