"""Which courses there are, at which version, and what is in them.

A structure is kept in the memory of the process under the version that it describes, so it is never out of
date and never needs to be dropped by time: another version is another entry.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
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
_lock = Lock()


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
    missing: list[CourseState] = []
    for state in states:
        if state.version is None:
            found[state.course_key] = NO_STRUCTURE
        elif (structure := _recall(_known(state))) is not None:
            found[state.course_key] = structure
        else:
            missing.append(state)
    rows = _read([state.stored.course_id for state in missing if state.stored.course_id is not None])
    for state in missing:
        row = rows.get(state.stored.course_id or 0, _Row())
        structure = found[state.course_key] = _structure(state, row)
        # Published or stored since the state was read: it is what there is now, but not what this version had.
        if row.version == state.stored.version and structure.outline.version == state.version:
            _remember(_known(state), structure)
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


def _recall(known: _Known) -> Structure | None:
    with _lock:
        if known in _structures:
            _structures.move_to_end(known)
        return _structures.get(known)


def _remember(known: _Known, structure: Structure) -> None:
    with _lock:
        _structures[known] = structure
        if len(_structures) > MAX_STRUCTURES:
            _structures.popitem(last=False)


class _Row(NamedTuple):
    """What is stored of a course; the defaults: nothing."""

    version: str | None = None
    structure: Any = None


def _read(course_ids: Sequence[int]) -> dict[int, _Row]:
    if not course_ids:
        return {}
    rows = Course.objects.filter(id__in=course_ids).values_list("id", "version", "structure")
    return {course_id: _Row(version, structure) for course_id, version, structure in rows}


def _structure(state: CourseState, row: _Row) -> Structure:
    blocks, change_dates = row.structure or ((), ())
    block_ids = {key: block_id for block_id, key, *_ in blocks}
    # Whoever has stored another version since the state was read has stored what is published.
    if not row.version or row.version == state.stored.version != state.version:
        return Structure(outline=get_lms().course_outline(state.course_key), block_ids=block_ids)
    outline = CourseOutline(
        version=row.version,
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
