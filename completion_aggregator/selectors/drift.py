"""Drift: learners whose stored values are not what they would be if computed now, though nothing says they are stale.

Nobody is locked, and nobody is reported because of what happens meanwhile. A learner is read in this order: what is
stored, what it is made from, the markers, and when the learner was last computed. Whatever changes in between leaves
a marker or, if somebody has already counted that, another moment of computing: such a learner counts as stale.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import SystemRandom
from typing import Any, NamedTuple

from completion.models import BlockCompletion
from django.db.models import Max, QuerySet
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.conf import conf
from completion_aggregator.engine import CompletionMode, percent, sum_up
from completion_aggregator.exceptions import CourseNotFoundError
from completion_aggregator.models import BlockAggregate, CourseAggregate, CourseBlock, StaleCompletion
from completion_aggregator.selectors.computed import LearnerView, get_learner_views
from completion_aggregator.selectors.structure import CourseState, get_course_states, get_structures
from completion_aggregator.upsert import MomentText

#: Learners compared at once, and block aggregates: both are held in memory as stored and as computed.
CHUNK_SIZE = 500
_MAX_ROWS = 150_000
#: Blocks that are told of each learner.
MAX_BLOCKS = 3
_COLUMNS = ("earned", "possible", "optional_earned", "optional_possible", "last_modified")


class Cause(enum.StrEnum):
    """How a learner's stored values are wrong."""

    #: Enrolled or has completed something, but was never computed.
    MISSING = "missing"
    #: The published version is another than the stored one, and nobody was told.
    VERSION = "version"
    #: The values of a block are others, or are not there.
    VALUE = "value"
    #: There are values of a block that the learner does not see.
    ORPHAN = "orphan"
    #: The blocks are right, the course aggregate is not.
    COURSE = "course"
    #: There is no such user.
    UNKNOWN_LEARNER = "unknown_learner"


class BlockDrift(NamedTuple):
    """One block as stored and as computed; None: there is no row, or should be none. The moments are texts."""

    block_key: str
    #: Earned, possible, optional earned, optional possible, last modified.
    stored: tuple[Any, ...] | None
    computed: tuple[Any, ...] | None


class LearnerDrift(NamedTuple):
    """That one learner's stored values are wrong in one way; there may be several."""

    user_id: int
    cause: Cause
    #: The first few blocks, in order of their keys; for `COURSE`, the course block as the course aggregate has it.
    blocks: tuple[BlockDrift, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What was found of some learners of a course."""

    #: Learners that were looked at.
    learners: int
    #: Of them, those who are not compared: a marker is open, or something has changed meanwhile.
    stale: int
    #: Of these, those who were given up: nobody will compute them before `retry_failed`.
    given_up: int
    found: list[LearnerDrift] = field(default_factory=list)

    @property
    def user_ids(self) -> list[int]:
        """Those whose stored values are wrong, each once."""
        return sorted({each.user_id for each in self.found})


def find_learners(course_key: CourseKey, *, sample: int | None = None) -> list[int]:
    """Return the ids of all who are enrolled, have completed something, or have an aggregate, in order.

    Args:
        sample: only so many of them, each as likely as any other.
    Cost: one query over the enrollments, completions and aggregates of the course; the ids are held in memory.
    """
    aggregates = CourseAggregate.objects.filter(course__course_key=str(course_key))
    enrollments = get_lms().enrollments().filter(course_id=course_key)
    completions = BlockCompletion.objects.filter(context_key=course_key)
    user_ids = sorted(_user_ids(aggregates).union(_user_ids(enrollments), _user_ids(completions)))
    if sample is not None and sample < len(user_ids):
        return sorted(SystemRandom().sample(user_ids, sample))
    return user_ids


def find_drift(course_key: CourseKey, user_ids: Sequence[int]) -> Iterator[Drift]:
    """Compare what is stored of the learners with what it is made from; give a `Drift` for each chunk of them.

    It must not be called in a transaction that sees only what was there when it began.

    Raises:
        CourseNotFoundError: the LMS has no such course.
        CourseTreeError: the LMS describes something that is not a course.
    Cost: for each chunk, 7 queries and what the LMS takes to tell who sees what; not more for more learners.
    """
    for chunk in _chunks(course_key, user_ids):
        yield _compare(course_key, chunk)


def _user_ids(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.order_by().values_list("user_id", flat=True)


def _chunks(course_key: CourseKey, user_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    state = get_course_states([course_key])[course_key]
    if state.version is None:
        raise CourseNotFoundError(f"The LMS has no course {course_key}.")
    blocks = get_structures([state])[course_key].outline.blocks
    aggregators = sum(block.mode == CompletionMode.AGGREGATOR for block in blocks)
    size = max(1, min(CHUNK_SIZE, _MAX_ROWS // max(1, aggregators)))
    return (user_ids[start : start + size] for start in range(0, len(user_ids), size))


_Blocks = Mapping[str, tuple[Any, ...]]


class _Stored(NamedTuple):
    """What is stored of some learners, by user id."""

    computed_at: Mapping[int, datetime]
    #: Percent and _COLUMNS.
    courses: Mapping[int, tuple[Any, ...]]
    blocks: Mapping[int, _Blocks]


def _compare(course_key: CourseKey, user_ids: Sequence[int]) -> Drift:
    state = get_course_states([course_key])[course_key]
    stored = _read(course_key, user_ids)
    views = {view.user_id: view for view in get_learner_views(course_key, user_ids, now=timezone.now())}
    found = [drift for user_id in user_ids for drift in _differences(user_id, views.get(user_id), stored)]
    # In this order: whoever resolves a marker before it is read has written the moment by then.
    markers = _read_markers(course_key, user_ids)
    moments = _read_moments(course_key, user_ids)
    stale = {user_id for user_id in user_ids if moments.get(user_id) != stored.computed_at.get(user_id)}.union(markers)
    if state != get_course_states([course_key])[course_key]:
        stale = set(user_ids)
    return Drift(
        learners=len(user_ids),
        stale=len(stale),
        given_up=sum(attempts >= conf.MAX_ATTEMPTS for attempts in markers.values()),
        found=_explain([drift for drift in found if drift.user_id not in stale], state),
    )


def _explain(found: list[LearnerDrift], state: CourseState) -> list[LearnerDrift]:
    """Tell a version that nobody was told of from wrong values; a release date is noticed by the next pass."""
    if state.is_current(timezone.now()):
        return found
    kept = (Cause.MISSING, Cause.UNKNOWN_LEARNER)
    others = [drift for drift in found if drift.cause in kept]
    if state.version == state.stored.version:
        return others
    # Once for each learner, with the blocks of the first cause.
    wrong = {drift.user_id: drift.blocks for drift in reversed(found) if drift.cause not in kept}
    return others + [LearnerDrift(user_id, Cause.VERSION, blocks) for user_id, blocks in sorted(wrong.items())]


def _differences(user_id: int, view: LearnerView | None, stored: _Stored) -> Iterator[LearnerDrift]:
    before = stored.blocks.get(user_id, {})
    if view is None:
        if before or user_id in stored.courses:
            yield LearnerDrift(user_id, Cause.UNKNOWN_LEARNER)
        return
    if user_id not in stored.computed_at:
        yield LearnerDrift(user_id, Cause.MISSING)
        return
    computed, course = _computed(view)
    if wrong := [key for key, values in computed.items() if before.get(key) != values]:
        yield LearnerDrift(user_id, Cause.VALUE, _blocks(wrong, before, computed))
    if orphans := before.keys() - computed.keys():
        yield LearnerDrift(user_id, Cause.ORPHAN, _blocks(orphans, before, computed))
    if not wrong and stored.courses[user_id] != course:
        root = view.tree.aggregators[0]
        yield LearnerDrift(user_id, Cause.COURSE, (BlockDrift(root, stored.courses[user_id][1:], computed[root]),))


def _blocks(keys: Collection[str], stored: _Blocks, computed: _Blocks) -> tuple[BlockDrift, ...]:
    return tuple(BlockDrift(key, stored.get(key), computed.get(key)) for key in sorted(keys)[:MAX_BLOCKS])


def _computed(view: LearnerView) -> tuple[_Blocks, tuple[Any, ...]]:
    """Return the block aggregates that a learner should have, by key, and the course aggregate, percent first."""
    tree, sums = view.tree, sum_up(view.tree, view.completions)
    rows = zip(
        sums.earned, tree.possible, sums.optional_earned, tree.optional_possible, sums.last_modified, strict=True
    )
    blocks = dict(zip(tree.aggregators, rows, strict=True))
    return blocks, (percent(sums.earned[0], tree.possible[0]), *blocks[tree.aggregators[0]])


def _read(course_key: CourseKey, user_ids: Sequence[int]) -> _Stored:
    """Read what is stored, the moment of computing first: it tells whether the rest has changed since."""
    moments = {}
    courses = {}
    rows = CourseAggregate.objects.of(str(course_key), user_ids)
    columns = (*_COLUMNS[:-1], MomentText(_COLUMNS[-1]))
    for user_id, computed_at, *values in rows.values_list("user_id", "computed_at", "percent", *columns):
        courses[user_id] = tuple(values)
        if computed_at is not None:
            moments[user_id] = computed_at
    keys = dict(CourseBlock.objects.filter(course__course_key=str(course_key)).values_list("id", "block_key"))
    blocks: dict[int, dict[str, tuple[Any, ...]]] = defaultdict(dict)
    # Ids of other courses may lie between this one's; blocks that left the course have theirs still.
    found = BlockAggregate.objects.filter(
        user_id__in=user_ids, block_id__gte=min(keys, default=0), block_id__lte=max(keys, default=0)
    )
    for user_id, block_id, *values in found.values_list("user_id", "block_id", *columns):
        if block_id in keys:
            blocks[user_id][keys[block_id]] = tuple(values)
    return _Stored(moments, courses, blocks)


def _read_markers(course_key: CourseKey, user_ids: Sequence[int]) -> dict[int, int]:
    """Return who has an open marker, and how often the one that was tried most often has failed."""
    markers = StaleCompletion.objects.of(str(course_key), user_ids).order_by().values("user_id")
    return dict(markers.annotate(tried=Max("attempts")).values_list("user_id", "tried"))


def _read_moments(course_key: CourseKey, user_ids: Sequence[int]) -> dict[int, datetime]:
    rows = CourseAggregate.objects.of(str(course_key), user_ids).exclude(computed_at=None)
    return dict(rows.values_list("user_id", "computed_at"))
