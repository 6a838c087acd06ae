"""How far learners have come: what the REST API, the pages and other plugins ask."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Exists, OuterRef
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.engine import CompletionMode, Tally, tally_leaf
from completion_aggregator.exceptions import CompletionAggregatorError, UnknownBlockError
from completion_aggregator.models import BlockAggregate, CourseAggregate, CourseBlock, StaleCompletion
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
#: What is known of a learner: the course's tally and, by key, those of its blocks as plain tuples. Python's garbage
#: collector does not look at those; going through as many tallies would take it longer than making them.
_Known = tuple[Tally, Mapping[str, tuple[Any, ...]]]
#: MySQL uses no index at all for more pairs from two lists than fit into `range_optimizer_max_mem_size`: 36,000.
MAX_PAIRS = 30_000


#: How often it is tried to read a learner's courses while nobody changes them.
MAX_READS = 3


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
    def wanted(self) -> dict[str, list[str]]:
        """By block type: keys of all that the nested lists may hold, in course order."""
        found: dict[str, list[str]] = {block_type: [] for block_type in self.block_types}
        if found:
            outline = self.structure.outline
            below = None if self.root_block is None else outline.below(self.root_block)
            for block in outline.blocks:
                if block.block_type in found and (below is None or block.key in below):
                    found[block.block_type].append(block.key)
        return found

    @property
    def course_block(self) -> str:
        """Key of the course block; empty where the LMS has no such course."""
        blocks = self.structure.outline.blocks
        return blocks[0].key if blocks else ""

    @cached_property
    def block_keys(self) -> dict[int, str]:
        """By block id: keys of all blocks that the answer needs; those never met by an aggregation are absent."""
        keys = {key for of_type in self.wanted.values() for key in of_type}
        if self.root_block is not None:
            keys.add(self.root_block)
        if keys:
            keys.add(self.course_block)
        ids = self.structure.block_ids
        return {ids[key]: key for key in keys if key in ids}

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
        course, blocks = computed or stored
        # Of a block that was never met by an aggregation, nothing is known.
        unseen = NOTHING if computed or self.root_block in self.structure.block_ids else UNKNOWN
        nested = {
            block_type: [(key, Tally(*values)) for key in keys if (values := blocks.get(key)) is not None]
            for block_type, keys in self.wanted.items()
        }
        tally = course
        if self.root_block is not None and course is not UNKNOWN:
            tally = Tally(*blocks.get(self.root_block, unseen))
        return CourseCompletion(course_key=course_key, learner=learner, tally=tally, blocks=nested)


def get_course_completion(
    user: AbstractBaseUser,
    course_key: CourseKey,
    *,
    block_types: Collection[str] = (),
    root_block: str | None = None,
    recalculate_stale: bool = True,
    with_dates: bool = True,
) -> CourseCompletion:
    """Return how far one learner, enrolled or not, has come in a course. Nothing is saved.

    Args:
        block_types: types of the blocks to tell about, too.
        root_block: key of the block of the course that the answer is about; default: the course.
        recalculate_stale: False: tell what is stored, even if it is known to be out of date.
        with_dates: False: stored tallies come without `last_modified`; reading dates takes longer than all the rest.
    Raises:
        UnknownBlockError: the course has no such root block.
    Cost: see `get_learner_completions`.
    """
    (completion,) = get_learner_completions(
        user,
        [course_key],
        block_types=block_types,
        root_block=root_block,
        recalculate_stale=recalculate_stale,
        with_dates=with_dates,
    )
    return completion


def get_learner_completions(
    user: AbstractBaseUser,
    course_keys: Sequence[CourseKey],
    *,
    block_types: Collection[str] = (),
    root_block: str | None = None,
    recalculate_stale: bool = True,
    with_dates: bool = True,
) -> list[CourseCompletion]:
    """Return how far one learner has come in each of the courses, in their order; see `get_course_completion`.

    Cost: 1 query and the LMS's versions, one more with block types or a root block, and one more for structures
    that are not in memory yet, however many courses are fresh; for each that is stale, its computation, and for all of
    them the LMS's versions once more. All again, where something was published or aggregated meanwhile.
    """
    for _ in range(MAX_READS):
        found, is_of_one_moment = _read_learner(
            user,
            course_keys,
            block_types=block_types,
            root_block=root_block,
            recalculate_stale=recalculate_stale,
            columns=_columns(with_dates),
        )
        if is_of_one_moment:
            break
    return found


def _read_learner(
    user: AbstractBaseUser,
    course_keys: Sequence[CourseKey],
    *,
    block_types: Collection[str],
    root_block: str | None,
    recalculate_stale: bool,
    columns: Sequence[str],
) -> tuple[list[CourseCompletion], bool]:
    """Read a learner's completions; also tell whether none has changed while its parts were read."""
    learner = Learner(user.pk, user.get_username())
    now = timezone.now()
    stored = _stored_courses(user.pk, course_keys, columns)
    states = get_course_states(course_keys, {key: course.course for key, course in stored.items()})
    selections = _select(states.values(), block_types, root_block)
    computed = {
        key: _computed(key, [user.pk], selections[key].leaf, now)
        for key in course_keys
        if selections[key].leaf or (recalculate_stale and _is_stale(stored.get(str(key)), states[key], now))
    }
    versions = get_lms().course_versions(list(computed)) if computed else {}
    is_of_one_moment = all(versions.get(key) == states[key].version for key in computed)
    blocks = _stored_blocks([user.pk], {key: selections[key] for key in course_keys if key not in computed}, columns)
    found = []
    for key in course_keys:
        course = stored[str(key)].tally if str(key) in stored else UNKNOWN
        of_learner = blocks.get(key, {}).get(user.pk, {})
        # The course is stored twice, in the row read first and in one of those read last.
        is_of_one_moment &= of_learner.get(selections[key].course_block, course)[:4] == course[:4]
        known = course, of_learner
        found.append(selections[key].complete(key, learner, known, computed.get(key, {}).get(user.pk)))
    return found, is_of_one_moment


def iter_course_completions(
    course_key: CourseKey,
    learners: Sequence[Learner],
    *,
    block_types: Collection[str] = (),
    root_block: str | None = None,
    with_dates: bool = True,
) -> Iterator[CourseCompletion]:
    """Give how far each of the learners has come in one course, in their order, as it is stored.

    See `get_course_completion`. Each is made when it is asked for, and all is read before the first: for pages of tens
    of thousands of blocks, of which only the JSON is kept.

    Raises:
        UnknownBlockError: the course has no such root block.
    Cost: 1 query and the LMS's versions, one more with block types or a root block, and one more for a structure
    that is not in memory yet; not more for more learners. About blocks that are no aggregators nothing is stored:
    for such a root block all learners are computed.
    """
    columns = _columns(with_dates)
    user_ids = [learner.user_id for learner in learners]
    rows = CourseAggregate.objects.of(str(course_key), user_ids).exclude(computed_at=None)
    stored = StoredCourse()
    courses: dict[int, Tally] = {}
    for user_id, course_id, version, *tally in rows.values_list("user_id", "course_id", "course__version", *columns):
        stored = StoredCourse(course_id, version)
        courses[user_id] = Tally(*tally)
    states = get_course_states([course_key], {str(course_key): stored})
    selection = _select(states.values(), block_types, root_block)[course_key]
    computed = _computed(course_key, user_ids, selection.leaf, timezone.now()) if selection.leaf else {}
    blocks = _stored_blocks(user_ids, {} if selection.leaf else {course_key: selection}, columns).get(course_key, {})
    return (
        selection.complete(
            course_key,
            learner,
            (courses.get(learner.user_id, UNKNOWN), blocks.get(learner.user_id, {})),
            computed.get(learner.user_id),
        )
        for learner in learners
    )


def _columns(with_dates: bool) -> tuple[str, ...]:
    """Name the columns of an aggregate that make a tally."""
    return Tally._fields if with_dates else Tally._fields[:-1]


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


def _stored_courses(
    user_id: int, course_keys: Collection[CourseKey], columns: Sequence[str]
) -> dict[str, _StoredCompletion]:
    """Read a learner's course aggregates, by course key; those never computed are absent."""
    markers = StaleCompletion.objects.filter(user_id=OuterRef("user_id"), course_key=OuterRef("course__course_key"))
    rows = CourseAggregate.objects.filter(
        user_id=user_id, course__course_key__in=list(map(str, course_keys)), computed_at__isnull=False
    )
    values = rows.annotate(is_marked=Exists(markers)).values_list(
        "course__course_key", "course_id", "course__version", "course__next_change_at", "is_marked", *columns
    )
    return {
        key: _StoredCompletion(StoredCourse(course_id, version, change), Tally(*tally), is_marked)
        for key, course_id, version, change, is_marked, *tally in values
    }


def _is_stale(stored: _StoredCompletion | None, state: CourseState, now: datetime) -> bool:
    return stored is None or stored.is_marked or not state.is_current(now)


def _stored_blocks(
    user_ids: Collection[int], selections: Mapping[CourseKey, _Selection], columns: Sequence[str]
) -> dict[CourseKey, dict[int, dict[str, tuple[Any, ...]]]]:
    """Read the block aggregates that an answer needs: by course, then by user id, then by block key."""
    found: dict[CourseKey, dict[int, dict[str, tuple[Any, ...]]]] = {key: defaultdict(dict) for key in selections}
    places = {
        block_id: (found[course_key], key)
        for course_key, selection in selections.items()
        for block_id, key in selection.block_keys.items()
    }
    if not places:
        return found
    blocks: Any = list(places)
    if len(user_ids) * len(places) > MAX_PAIRS:
        blocks = CourseBlock.objects.filter(id__in=blocks)
    rows = BlockAggregate.objects.filter(user_id__in=user_ids, block__in=blocks)
    for row in rows.values_list("user_id", "block_id", *columns):
        of_course, key = places[row[1]]
        of_course[row[0]][key] = row[2:]
    return found


def _computed(course_key: CourseKey, user_ids: Sequence[int], leaf: str | None, now: datetime) -> dict[int, _Known]:
    """Compute learners in memory; nobody, when the LMS cannot tell the course: what is stored must do then."""
    found: dict[int, _Known] = {}
    try:
        for user_id, tree, tallies, completions in compute(course_key, user_ids, now=now):
            blocks = dict(zip(tree.aggregators, tallies, strict=True))
            if leaf is not None:
                blocks.setdefault(leaf, tally_leaf(tree, completions, leaf))
            found[user_id] = tallies[0], blocks
    except CompletionAggregatorError as error:
        # The worker that meets the same notes what the error says.
        log.warning("Course %s cannot be computed: %s", course_key, type(error).__name__)
    return found
