"""How far learners have come: what the REST API, the pages and other plugins ask."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.engine import CompletionMode, Tally, tally_leaf
from completion_aggregator.exceptions import CompletionAggregatorError, UnknownBlockError
from completion_aggregator.models import BlockAggregate, CourseAggregate, StaleCompletion
from completion_aggregator.selectors.computed import compute
from completion_aggregator.selectors.structure import (
    NO_STRUCTURE,
    CourseState,
    StoredCourse,
    Structure,
    get_course_states,
    get_structures,
)

log = logging.getLogger(__name__)

#: What is known of a learner who was never aggregated.
UNKNOWN = Tally(0.0, None, 0.0, None)
#: A block of the course that this learner does not see, or that does not count.
NOTHING = Tally(0.0, 0)
#: What is known of a learner: the course's tally, and a look-up of those of its blocks by key.
_Known = tuple[Tally, Callable[[str], Tally | None]]
_TALLY = ("earned", "possible", "optional_earned", "optional_possible", "last_modified")


class Learner(NamedTuple):
    """Whom an answer is about."""

    user_id: int
    username: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseCompletion:
    """One learner's completion of one course, or of one block of it when that was asked for."""

    course_key: CourseKey
    learner: Learner
    tally: Tally
    #: By requested block type: key and tally of each such block that the learner sees, in course order.
    blocks: Mapping[str, Sequence[tuple[str, Tally]]] = field(default_factory=dict)

    @property
    def percent(self) -> float:
        """0.0-1.0; see `Tally.percent`."""
        return self.tally.percent


@dataclass(frozen=True, kw_only=True)
class _Selection:
    """Which blocks of one course an answer tells about."""

    structure: Structure
    block_types: Collection[str]
    root_block: str | None

    def __post_init__(self) -> None:
        if self.root_block is not None and self.root_block not in self.structure.outline.positions:
            raise UnknownBlockError("The course has no such block.")

    @cached_property
    def wanted(self) -> list[tuple[str, str]]:
        """Block type and key of all that the nested lists may hold, in course order."""
        outline = self.structure.outline
        if not self.block_types:
            return []
        below = None if self.root_block is None else outline.below(self.root_block)
        return [
            (block.block_type, block.key)
            for block in outline.blocks
            if block.block_type in self.block_types and (below is None or block.key in below)
        ]

    def stored(self, course: Tally, blocks: Mapping[int, Tally]) -> _Known:
        """Make stored tallies, which are by block id, known by block key."""
        ids = self.structure.block_ids
        return course, lambda key: blocks.get(ids.get(key, 0))

    @cached_property
    def leaf(self) -> str | None:
        """The root block, unless it is an aggregator: of other blocks nothing is stored."""
        outline = self.structure.outline
        if self.root_block is None:
            return None
        block = outline.blocks[outline.positions[self.root_block]]
        return None if block.mode == CompletionMode.AGGREGATOR else block.key

    def complete(
        self, course_key: CourseKey, learner: Learner, stored: _Known, computed: _Known | None
    ) -> CourseCompletion:
        """Pick what was asked for from what is known of a learner: as computed now or, without that, as stored."""
        course, find = computed or stored
        # Of a block that was never met by an aggregation, nothing is known.
        unseen = NOTHING if computed or self.root_block in self.structure.block_ids else UNKNOWN
        nested: dict[str, list[tuple[str, Tally]]] = {block_type: [] for block_type in self.block_types}
        for block_type, key in self.wanted:
            tally = find(key)
            if tally is not None:
                nested[block_type].append((key, tally))
        tally = course
        if self.root_block is not None and course is not UNKNOWN:
            tally = find(self.root_block) or unseen
        return CourseCompletion(course_key=course_key, learner=learner, tally=tally, blocks=nested)


def get_course_completion(
    user: AbstractBaseUser,
    course_key: CourseKey,
    *,
    block_types: Collection[str] = (),
    root_block: str | None = None,
    recalculate_stale: bool = True,
) -> CourseCompletion:
    """Return how far one learner, enrolled or not, has come in a course. Nothing is saved.

    Args:
        block_types: types of the blocks to tell about, too.
        root_block: key of the block of the course that the answer is about; default: the course.
        recalculate_stale: False: tell what is stored, even if it is known to be out of date.
    Raises:
        UnknownBlockError: the course has no such root block.
    Cost: see `get_learner_completions`.
    """
    (completion,) = get_learner_completions(
        user, [course_key], block_types=block_types, root_block=root_block, recalculate_stale=recalculate_stale
    )
    return completion


def get_learner_completions(
    user: AbstractBaseUser,
    course_keys: Sequence[CourseKey],
    *,
    block_types: Collection[str] = (),
    root_block: str | None = None,
    recalculate_stale: bool = True,
) -> list[CourseCompletion]:
    """Return how far one learner has come in each of the courses, in their order; see `get_course_completion`.

    Cost: 1 query and the LMS's versions, one more with block types or a root block, and one more for structures
    that are not in memory yet, however many courses are fresh; for each that is stale, its computation.
    """
    learner = Learner(user.pk, user.get_username())
    now = timezone.now()
    stored = _stored_courses(user.pk, course_keys)
    states = get_course_states(course_keys, {key: course.course for key, course in stored.items()})
    selections = _select(states.values(), block_types, root_block)
    computed = {
        key: _computed(key, [user.pk], selections[key].leaf, now)
        for key in course_keys
        if selections[key].leaf or (recalculate_stale and _is_stale(stored.get(str(key)), states[key], now))
    }
    fresh = [states[key] for key in course_keys if key not in computed]
    blocks = _stored_blocks([user.pk], fresh, block_types, root_block)
    found = []
    for key in course_keys:
        course = stored[str(key)].tally if str(key) in stored else UNKNOWN
        known = selections[key].stored(course, blocks.get(user.pk, {}))
        found.append(selections[key].complete(key, learner, known, computed.get(key, {}).get(user.pk)))
    return found


def get_course_completions(
    course_key: CourseKey,
    learners: Sequence[Learner],
    *,
    block_types: Collection[str] = (),
    root_block: str | None = None,
) -> list[CourseCompletion]:
    """Return how far each of the learners has come in one course, in their order, as it is stored.

    Raises:
        UnknownBlockError: the course has no such root block.
    Cost: 2 queries and the LMS's versions, one more with block types or a root block, and one more for a structure
    that is not in memory yet; not more for more learners. About blocks that are no aggregators nothing is stored:
    for such a root block all learners are computed.
    """
    states = get_course_states([course_key])
    selection = _select(states.values(), block_types, root_block)[course_key]
    user_ids = [learner.user_id for learner in learners]
    rows = CourseAggregate.objects.of(str(course_key), user_ids).exclude(computed_at=None)
    courses = {user_id: Tally(*tally) for user_id, *tally in rows.values_list("user_id", *_TALLY)}
    computed = _computed(course_key, user_ids, selection.leaf, timezone.now()) if selection.leaf else {}
    blocks = _stored_blocks(user_ids, [] if selection.leaf else states.values(), block_types, root_block)
    found = []
    for learner in learners:
        known = selection.stored(courses.get(learner.user_id, UNKNOWN), blocks.get(learner.user_id, {}))
        found.append(selection.complete(course_key, learner, known, computed.get(learner.user_id)))
    return found


def _select(
    states: Collection[CourseState], block_types: Collection[str], root_block: str | None
) -> dict[CourseKey, _Selection]:
    structures = get_structures(states) if block_types or root_block is not None else {}
    return {
        state.course_key: _Selection(
            structure=structures.get(state.course_key, NO_STRUCTURE), block_types=block_types, root_block=root_block
        )
        for state in states
    }


class _StoredCompletion(NamedTuple):
    """One learner's stored completion of a course."""

    course: StoredCourse
    tally: Tally
    #: Whether a marker is open.
    is_marked: bool


def _stored_courses(user_id: int, course_keys: Collection[CourseKey]) -> dict[str, _StoredCompletion]:
    """Read a learner's course aggregates, by course key; those never computed are absent."""
    markers = StaleCompletion.objects.filter(user_id=OuterRef("user_id"), course_key=OuterRef("course__course_key"))
    rows = CourseAggregate.objects.filter(
        user_id=user_id, course__course_key__in=list(map(str, course_keys)), computed_at__isnull=False
    )
    values = rows.annotate(is_marked=Exists(markers)).values_list(
        "course__course_key", "course_id", "course__version", "course__next_change_at", "is_marked", *_TALLY
    )
    return {
        key: _StoredCompletion(StoredCourse(course_id, version, change), Tally(*tally), is_marked)
        for key, course_id, version, change, is_marked, *tally in values
    }


def _is_stale(stored: _StoredCompletion | None, state: CourseState, now: datetime) -> bool:
    return stored is None or stored.is_marked or not state.is_current(now)


def _stored_blocks(
    user_ids: Collection[int], courses: Collection[CourseState], block_types: Collection[str], root_block: str | None
) -> dict[int, dict[int, Tally]]:
    """Read the block aggregates that an answer needs: by user id, then by block id."""
    found: dict[int, dict[int, Tally]] = defaultdict(dict)
    course_ids = [course.stored.course_id for course in courses if course.stored.course_id is not None]
    if not course_ids or not (block_types or root_block):
        return found
    rows = BlockAggregate.objects.filter(
        Q(block__block_type__in=block_types) | Q(block__block_key=root_block),
        user_id__in=user_ids,
        block__course_id__in=course_ids,
    )
    for user_id, block_id, *tally in rows.values_list("user_id", "block_id", *_TALLY):
        found[user_id][block_id] = Tally(*tally)
    return found


def _computed(course_key: CourseKey, user_ids: Sequence[int], leaf: str | None, now: datetime) -> dict[int, _Known]:
    """Compute learners in memory; nobody, when the LMS cannot tell the course: what is stored must do then."""
    found: dict[int, _Known] = {}
    try:
        for user_id, tree, tallies, completions in compute(course_key, user_ids, now=now):
            blocks = dict(zip(tree.aggregators, tallies, strict=True))
            if leaf is not None:
                blocks.setdefault(leaf, tally_leaf(tree, completions, leaf))
            found[user_id] = tallies[0], blocks.get
    except CompletionAggregatorError as error:
        log.warning("Course %s cannot be computed: %s", course_key, error)
    return found
