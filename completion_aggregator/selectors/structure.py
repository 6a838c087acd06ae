"""Which courses there are, at which version, and what is in them.

A structure is kept in the memory of the process under the version that it describes, so it is never out of
date and never needs to be dropped by time: another version is another entry.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.engine import CompletionMode
from completion_aggregator.lms.base import CourseOutline, OutlineBlock
from completion_aggregator.models import Course

#: How many structures a process keeps. One of a large course takes about a megabyte.
MAX_STRUCTURES = 64


class StoredCourse(NamedTuple):
    """What the stored aggregates of a course refer to; the defaults: it was never aggregated."""

    course_id: int | None = None
    version: str | None = None
    next_change_at: datetime | None = None


class CourseState(NamedTuple):
    """A course as the LMS has it now, and as it was last aggregated."""

    course_key: CourseKey
    #: What is published now; None: the LMS has no such course (any more).
    version: str | None
    stored: StoredCourse

    def is_current(self, now: datetime) -> bool:
        """Tell whether what is stored was made from what is published and released now."""
        due = self.stored.next_change_at
        return self.version == self.stored.version and not (due is not None and due <= now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What is in a course now, and by which ids its blocks are stored."""

    outline: CourseOutline
    #: By block key; blocks that were not met by an aggregation yet are absent.
    block_ids: Mapping[str, int]


#: Of a course that the LMS does not have.
NO_STRUCTURE = Structure(outline=CourseOutline(version="", blocks=()), block_ids={})
_Known = tuple[CourseKey, str, int | None, str | None]
_structures: OrderedDict[_Known, Structure] = OrderedDict()


def get_course_states(
    course_keys: Collection[CourseKey], stored: Mapping[str, StoredCourse] | None = None
) -> dict[CourseKey, CourseState]:
    """Return the state of each course, also of those that nobody knows.

    Args:
        stored: by course key, what a query of the caller's has read along; None: it is read here.
    Cost: one query unless `stored` is given, and what the LMS takes to tell its versions; not more for more courses.
    """
    versions = get_lms().course_versions(course_keys)
    if stored is None:
        rows = Course.objects.filter(course_key__in=list(map(str, course_keys)))
        values = rows.values_list("course_key", "id", "version", "next_change_at")
        stored = {key: StoredCourse(row_id, version, change) for key, row_id, version, change in values}
    return {key: CourseState(key, versions.get(key), stored.get(str(key), StoredCourse())) for key in course_keys}


def get_structures(states: Iterable[CourseState]) -> dict[CourseKey, Structure]:
    """Return what is in each of the courses; of one that the LMS does not have, nothing.

    Cost: one query for all that are not in memory yet; for a version that was never aggregated, what the LMS
    takes to tell the outline of that course.
    """
    found: dict[CourseKey, Structure] = {}
    missing: dict[_Known, CourseState] = {}
    for state in states:
        known = _known(state)
        if state.version is None:
            found[state.course_key] = NO_STRUCTURE
        elif (structure := _structures.get(known)) is not None:
            _structures.move_to_end(known)
            found[state.course_key] = structure
        else:
            missing[known] = state
    stored = _read([state.stored.course_id for state in missing.values() if state.stored.course_id is not None])
    for known, state in missing.items():
        structure = _structure(state, stored.get(state.stored.course_id or 0))
        found[state.course_key] = _structures[known] = structure
    while len(_structures) > MAX_STRUCTURES:
        _structures.popitem(last=False)
    return found


def get_block_names(course_key: CourseKey, block_types: Collection[str]) -> dict[str, str]:
    """Return what the blocks of these types are called, by key, in course order. Cost: as of the functions above."""
    states = get_course_states([course_key])
    blocks = get_structures(states.values())[course_key].outline.blocks
    return {block.key: block.display_name for block in blocks if block.block_type in block_types}


def has_block(course_key: CourseKey, block_key: str) -> bool:
    """Tell whether the block is in the published version of the course. Cost: as of the two functions above."""
    states = get_course_states([course_key])
    return block_key in get_structures(states.values())[course_key].outline.positions


def _known(state: CourseState) -> _Known:
    return state.course_key, state.version or "", state.stored.course_id, state.stored.version


def _read(course_ids: Sequence[int]) -> dict[int, Any]:
    if not course_ids:
        return {}
    return dict(Course.objects.filter(id__in=course_ids).values_list("id", "structure"))


def _structure(state: CourseState, compiled: Any) -> Structure:
    blocks, change_dates = compiled or ((), ())
    block_ids = {key: block_id for block_id, key, *_ in blocks}
    if state.version != state.stored.version:
        return Structure(outline=get_lms().course_outline(state.course_key), block_ids=block_ids)
    outline = CourseOutline(
        version=state.version or "",
        blocks=tuple(
            OutlineBlock(
                key=key,
                block_type=block_type,
                display_name=name,
                mode=CompletionMode(mode),
                children=tuple(children),
            )
            for _, key, block_type, name, mode, children in blocks
        ),
        change_dates=tuple(map(datetime.fromisoformat, change_dates)),
    )
    return Structure(outline=outline, block_ids=block_ids)


def compile_structure(outline: CourseOutline, block_ids: Mapping[str, int]) -> list[Any]:
    """Return what `Course.structure` holds for this outline; the inverse of reading it."""
    return [
        [[block_ids[b.key], b.key, b.block_type, b.display_name, b.mode, list(b.children)] for b in outline.blocks],
        [moment.isoformat() for moment in outline.change_dates],
    ]
