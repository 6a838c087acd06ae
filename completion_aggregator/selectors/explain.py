"""Why a learner's percent is what it is: the whole course, block by block, with what is counted and what is not."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import NamedTuple

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Count, Min
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.engine import CompletionMode, Tally, tally_leaf
from completion_aggregator.exceptions import CourseNotFoundError, UnknownBlockError, UnknownUserError
from completion_aggregator.lms.base import CourseOutline, HiddenBlock, HiddenReason, OutlineBlock
from completion_aggregator.models import BlockAggregate, CourseAggregate, StaleCompletion
from completion_aggregator.selectors.completions import MAX_READS, NOTHING, Learner
from completion_aggregator.selectors.computed import Computed, compute
from completion_aggregator.selectors.structure import CourseState, get_course_states, get_structures


class Reason(enum.StrEnum):
    """Why a block counts or does not."""

    COUNTED = "counted"
    #: Counts in the optional sums; of an aggregator: all below it does.
    OPTIONAL = "optional"
    EXCLUDED = "excluded"
    #: Lies under an excluded block, or under a completable one, which counts as one whatever lies below it.
    BELOW_EXCLUDED = "below_excluded"
    NOT_RELEASED = "not_released"
    STAFF_ONLY = "staff_only"
    OTHER_GROUP = "other_group"
    NOT_SELECTED = "not_selected"
    #: The learner does not see it; the LMS does not say why.
    HIDDEN = "hidden"


class Standing(NamedTuple):
    """How a block takes part in one place of the course."""

    reason: Reason
    #: When it will be released; only for NOT_RELEASED, as far as the LMS says so.
    release_date: datetime | None = None

    @property
    def is_seen(self) -> bool:
        """Whether it is in the learner's sums, required or optional."""
        return self.reason in (Reason.COUNTED, Reason.OPTIONAL)

    @property
    def is_shown(self) -> bool:
        """Whether the learner finds it in the course, in the sums or not."""
        return self.is_seen or self.reason in (Reason.EXCLUDED, Reason.BELOW_EXCLUDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedBlock:
    """One block in one place of the course."""

    block_key: str
    block_type: str
    display_name: str
    standing: Standing
    #: It was told before, in another place; there it counts, and there its children are told.
    repeated: bool
    #: The learner's own completion of the block, 0.0-1.0, counted or not; None without any.
    value: float | None
    #: When that was written.
    modified: datetime | None
    #: Of an aggregator that the learner sees: the sums of what is below it.
    tally: Tally | None
    children: tuple[ExplainedBlock, ...]

    @property
    def counted(self) -> bool:
        """Whether the block is part of the required sum here; each is in one place at most."""
        return self.standing.reason == Reason.COUNTED and not self.repeated

    def walk(self) -> Iterator[ExplainedBlock]:
        """Give the block and all below it, in course order."""
        yield self
        for child in self.children:
            yield from child.walk()


class Part(NamedTuple):
    """What one child of the explained block adds: its percent is the sum of `share x percent` over its parts.

    That holds as long as no block lies in two parts: it counts in both of them, and once above.
    """

    block_key: str
    display_name: str
    tally: Tally
    #: How much of the whole it is, 0.0-1.0, by possible blocks.
    share: float


class Stored(NamedTuple):
    """What the last aggregation has saved."""

    #: None: nothing is stored about such a block.
    tally: Tally | None
    computed_at: datetime


class OpenMarkers(NamedTuple):
    """The open markers of a learner in a course."""

    number: int
    oldest: datetime | None
    #: Why the learner could not be aggregated, or empty. Not for learners' eyes.
    last_error: str


class UncountedCompletion(NamedTuple):
    """A completion of a block that is not in the course (any more)."""

    block_key: str
    value: float
    modified: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One learner's completion of a course, or of a block of it, computed now, with all that it is made of."""

    course_key: CourseKey
    learner: Learner
    #: The explained block.
    root: ExplainedBlock
    tally: Tally
    #: Its children that count, in course order.
    parts: Sequence[Part]
    #: None: never aggregated.
    stored: Stored | None
    #: Whether what is stored may be out of date.
    is_stale: bool
    markers: OpenMarkers
    #: Of the whole course, by block key.
    uncounted_completions: Sequence[UncountedCompletion]


def explain_completion(user: AbstractBaseUser, course_key: CourseKey, *, root_block: str | None = None) -> Explanation:
    """Tell why one learner, enrolled or not, has come as far in a course as the learner has. Nothing is saved.

    Args:
        root_block: key of the block of the course to explain; default: the course.
    Raises:
        CourseNotFoundError: the LMS has no such course.
        UnknownBlockError: the course has no such root block.
        UnknownUserError: the user has just been deleted.
        CourseTreeError: the LMS describes something that is not a course.
    Cost: O(blocks); 4 queries, and one more each for a root block, for open markers and for a structure that is not in
    memory; twice the LMS's versions, one view, and what is hidden from one learner. Most of it again, where something
    was published meanwhile.
    """
    for _ in range(MAX_READS):
        known = _read(user.pk, course_key)
        if get_lms().course_versions([course_key]).get(course_key) == known.state.version:
            break
    return _explain(Learner(user.pk, user.get_username()), known, root_block)


def find_stored(user_id: int, course_key: CourseKey, block_key: str | None = None) -> Stored | None:
    """Return what is stored of a learner in a course, or in an aggregator of it; None: never aggregated.

    Cost: one query, and one more for a block.
    """
    rows = CourseAggregate.objects.of(str(course_key), [user_id]).exclude(computed_at=None)
    row = rows.values_list("computed_at", *Tally._fields).first()
    if row is None:
        return None
    computed_at, *values = row
    if block_key is None:
        return Stored(Tally(*values), computed_at)
    blocks = BlockAggregate.objects.filter(
        user_id=user_id, block__course__course_key=str(course_key), block__block_key=block_key
    )
    of_block = blocks.values_list(*Tally._fields).first()
    return Stored(None if of_block is None else Tally(*of_block), computed_at)


class _Known(NamedTuple):
    """All that an explanation is made from, but for what is stored."""

    state: CourseState
    outline: CourseOutline
    computed: Computed
    hidden: Mapping[str, HiddenBlock]
    now: datetime


def _read(user_id: int, course_key: CourseKey) -> _Known:
    state = get_course_states([course_key])[course_key]
    if state.version is None:
        raise CourseNotFoundError(f"The LMS has no course {course_key}.")
    now = timezone.now()
    outline = get_structures([state])[course_key].outline
    for computed in compute(course_key, [user_id], now=now):
        hidden = get_lms().hidden_blocks(course_key, user_id, now=now)
        return _Known(state, outline, computed, hidden, now)
    raise UnknownUserError("There is no such user.")


def _explain(learner: Learner, known: _Known, root_block: str | None) -> Explanation:
    state, outline, computed, hidden, now = known
    walk = _Walk(outline, computed, hidden)
    root = walk.explain(0)
    told = {outline.blocks[position].key for position in walk.places}
    if root_block is not None:
        if root_block not in outline.positions:
            raise UnknownBlockError("The course has no such block.")
        position = outline.positions[root_block]
        # By itself: what stands elsewhere in the course, too, is not told twice here.
        root = _Walk(outline, computed, hidden).explain(position, *walk.places.get(position, _UNREACHABLE))
    tally = _tally(root, computed) or NOTHING
    markers = _open_markers(learner.user_id, state.course_key)
    stored = find_stored(learner.user_id, state.course_key, root_block)
    return Explanation(
        course_key=state.course_key,
        learner=learner,
        root=root,
        tally=tally,
        parts=_parts(root, tally, computed),
        stored=stored,
        is_stale=stored is None or markers.number > 0 or not state.is_current(now),
        markers=markers,
        uncounted_completions=[
            UncountedCompletion(key, _bounded(done.value), done.modified)
            for key, done in sorted(computed.completions.items())
            if key not in told
        ],
    )


class _Place(NamedTuple):
    """Where a block stands."""

    #: Why all that is here does not count; None: it may.
    above: Standing | None = None
    #: Key of the parent; None: the course block, or a block that is explained by itself.
    parent: str | None = None


#: Of a block that nothing leads to.
_UNREACHABLE = _Place(Standing(Reason.HIDDEN))


class _Walk:
    """One way down through the outline, parents before children, in course order."""

    def __init__(self, outline: CourseOutline, computed: Computed, hidden: Mapping[str, HiddenBlock]) -> None:
        self.outline = outline
        self.completions = computed.completions
        self.tree = computed.tree
        self.tallies = dict(zip(computed.tree.aggregators, computed.tallies, strict=True))
        self.ranks = {key: rank for rank, key in enumerate(computed.tree.aggregators)}
        #: Pairs of aggregators that have a leaf in common.
        self.related = {pair for above in set(computed.tree.ancestors) for pair in product(above, repeat=2)}
        self.hidden = hidden
        #: By position: where each block that was met stands; where it counts, if it does anywhere.
        self.places: dict[int, _Place] = {}
        self._told: set[tuple[int, Standing]] = set()

    def explain(self, position: int, above: Standing | None = None, parent: str | None = None) -> ExplainedBlock:
        block = self.outline.blocks[position]
        standing = self._standing(block, above, parent)
        if standing.is_seen or position not in self.places:
            self.places[position] = _Place(above, parent)
        # A block below several parents is gone through once for each of its standings, which are few.
        repeated = (position, standing) in self._told
        self._told.add((position, standing))
        below = self._below(block, standing, above)
        inner = block.key if standing.is_seen else parent
        done = self.completions.get(block.key)
        return ExplainedBlock(
            block_key=block.key,
            block_type=block.block_type,
            display_name=block.display_name,
            standing=standing,
            repeated=repeated,
            value=None if done is None else _bounded(done.value),
            modified=None if done is None else done.modified,
            tally=self.tallies.get(block.key) if standing.is_seen else None,
            children=() if repeated else tuple(self.explain(child, below, inner) for child in block.children),
        )

    def _standing(self, block: OutlineBlock, above: Standing | None, parent: str | None) -> Standing:
        """Tell how a block takes part below a parent that the learner sees, unless nothing counts there."""
        tally, leaf = self.tallies.get(block.key), self.tree.leaves.get(block.key)
        hidden = self.hidden.get(block.key) if tally is None and leaf is None else None
        if hidden is not None:
            is_known = hidden.reason != HiddenReason.UNKNOWN
            return Standing(Reason(hidden.reason) if is_known else Reason.HIDDEN, hidden.release_date)
        if above is not None:
            return above
        if block.mode == CompletionMode.EXCLUDED:
            return Standing(Reason.EXCLUDED)
        # What is seen elsewhere in the course may not have been drawn by a bank here.
        rank = None if parent is None else self.ranks[parent]
        if tally is not None:
            is_empty = not tally.possible and not tally.optional_possible
            if rank is None or is_empty or (rank, self.ranks[block.key]) in self.related:
                return Standing(Reason.COUNTED if tally.possible or is_empty else Reason.OPTIONAL)
        if leaf is not None and (rank is None or rank in self.tree.ancestors[leaf]):
            return Standing(Reason.OPTIONAL if self.tree.optional[leaf] else Reason.COUNTED)
        return Standing(Reason.HIDDEN)

    def _below(self, block: OutlineBlock, standing: Standing, above: Standing | None) -> Standing | None:
        """Tell why nothing below a block counts; None: it may."""
        if block.mode == CompletionMode.AGGREGATOR:
            # One that is neither seen nor hidden was taken out, with what it holds put in its place: an A/B test.
            was_taken_out = above is None and block.key not in self.tallies and block.key not in self.hidden
            if standing.is_seen or was_taken_out:
                return None
        if standing.is_seen or standing.reason == Reason.EXCLUDED:
            return Standing(Reason.BELOW_EXCLUDED)
        return standing


def _tally(block: ExplainedBlock, computed: Computed) -> Tally | None:
    if not block.standing.is_seen:
        return None
    return block.tally or tally_leaf(computed.tree, computed.completions, block.block_key)


def _parts(root: ExplainedBlock, whole: Tally, computed: Computed) -> list[Part]:
    found = []
    for child in _outermost(root) if root.standing.is_seen else ():
        tally = _tally(child, computed)
        if tally is not None and child.counted:
            share = (tally.possible or 0) / whole.possible if whole.possible else 0.0
            found.append(Part(child.block_key, child.display_name, tally, share))
    return found


def _outermost(block: ExplainedBlock) -> Iterator[ExplainedBlock]:
    """Give the children that are seen, and those of children that were taken out."""
    for child in block.children:
        if child.standing.is_seen:
            yield child
        else:
            yield from _outermost(child)


def _open_markers(user_id: int, course_key: CourseKey) -> OpenMarkers:
    markers = StaleCompletion.objects.of(str(course_key), [user_id])
    number, oldest = markers.aggregate(number=Count("id"), oldest=Min("created")).values()
    failed = markers.exclude(last_error="").order_by("-id") if number else markers.none()
    return OpenMarkers(number, oldest, failed.values_list("last_error", flat=True).first() or "")


def _bounded(value: float) -> float:
    """Return a completion as it is counted; see `engine.sum_up`."""
    return min(max(0.0, value), 1.0)
