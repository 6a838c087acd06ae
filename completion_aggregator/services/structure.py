"""Bringing the stored structure of a course up to its published version."""

from __future__ import annotations

from typing import NamedTuple

from django.db import connections, router, transaction
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.engine import put_in_order
from completion_aggregator.exceptions import CourseNotFoundError
from completion_aggregator.lms.base import CourseOutline
from completion_aggregator.models import Course, CourseBlock
from completion_aggregator.selectors.structure import Structure, compile_structure, get_course_states, get_structures
from completion_aggregator.services.staleness import mark_course


class SyncedCourse(NamedTuple):
    """A course whose blocks all have a row."""

    id: int
    structure: Structure


def sync_course(course_key: CourseKey) -> SyncedCourse:
    """Give every block of the published version its row, and note the version.

    When the version is another than before, everybody in the course is marked: so even a publication that nobody
    told us of is noticed by the first learner who is aggregated after it.

    Raises:
        CourseNotFoundError: the LMS has no such course.
        CourseTreeError: its blocks contain each other, are too many, or too deep; nothing of it is stored.
    Cost: one query and the LMS's version when nothing is new; otherwise O(blocks), once per version.
    """
    state = get_course_states([course_key])[course_key]
    if state.version is None:
        raise CourseNotFoundError(f"The LMS has no course {course_key}.")
    if state.stored.course_id is None or state.version != state.stored.version:
        _store(course_key, get_lms().course_outline(course_key))
        state = get_course_states([course_key])[course_key]
    if state.stored.course_id is None:
        raise CourseNotFoundError(f"The course {course_key} has just been deleted.")
    return SyncedCourse(state.stored.course_id, get_structures([state])[course_key])


def _store(course_key: CourseKey, outline: CourseOutline) -> None:
    put_in_order([block.key for block in outline.blocks], [block.children for block in outline.blocks])
    with transaction.atomic():
        Course.objects.get_or_create(course_key=str(course_key))
        course = Course.objects.select_for_update().get(course_key=str(course_key))
        if course.version == outline.version:
            return  # Another worker was faster.
        block_ids = _store_blocks(course, outline)
        is_new = not course.version
        course.version = outline.version
        course.structure = compile_structure(outline, block_ids)
        course.next_change_at = outline.next_change(timezone.now())
        course.save()
        if not is_new:
            mark_course(course_key)


def _store_blocks(course: Course, outline: CourseOutline) -> dict[str, int]:
    """Insert or update a row for each block; return their ids by key. Blocks that are gone lose their position."""
    has_target = connections[router.db_for_write(CourseBlock)].features.supports_update_conflicts_with_target
    stored = CourseBlock.objects.filter(course=course)
    stored.update(position=None)
    CourseBlock.objects.bulk_create(
        (
            CourseBlock(
                course=course,
                block_key=block.key,
                block_type=block.block_type,
                display_name=block.display_name[:255],
                position=position,
            )
            for position, block in enumerate(outline.blocks)
        ),
        batch_size=5_000,
        update_conflicts=True,
        update_fields=["block_type", "display_name", "position"],
        unique_fields=["course", "block_key"] if has_target else None,
    )
    return dict(stored.filter(position__isnull=False).values_list("block_key", "id"))
