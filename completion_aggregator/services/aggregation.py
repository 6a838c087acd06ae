"""Aggregating: computing learners' completion and saving what differs, a chunk of one course's learners at a time.

A chunk is one short transaction: lock the learners' course aggregates, then read their markers, then everything
else; compute in memory; write what differs; delete exactly the markers that were read. What changes meanwhile
leaves a marker that was not read, so nothing is lost; nobody else computes these learners meanwhile, so nothing
is overwritten by older data.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import OperationalError, connections, router, transaction
from django.db.models import Count, Min
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from completion_aggregator.conf import conf
from completion_aggregator.engine import Tally, affected
from completion_aggregator.exceptions import (
    CompletionAggregatorError,
    CourseNotFoundError,
    InvalidKeyError,
    UnknownUserError,
)
from completion_aggregator.models import BlockAggregate, CourseAggregate, StaleCompletion
from completion_aggregator.selectors.computed import Computed, compute
from completion_aggregator.selectors.stats import forget_means
from completion_aggregator.services.staleness import delete_markers, mark_due_changes
from completion_aggregator.services.structure import SyncedCourse, sync_course
from completion_aggregator.upsert import upsert
from completion_aggregator.utils import parse_course_key

log = logging.getLogger(__name__)

#: Learners in a chunk: their rows fit into one statement, and nobody is locked for long.
CHUNK_SIZE = 500
_MAX_DELAY = timedelta(days=1)
#: What the column holds.
_MAX_ATTEMPTS = 32_767

_BLOCK_VALUES = ("earned", "possible", "optional_earned", "optional_possible", "last_modified")
_BLOCK_FIELDS = ("user_id", "block_id", *_BLOCK_VALUES, "modified")
_COURSE_VALUES = ("earned", "possible", "percent", "optional_earned", "optional_possible", "last_modified")
_COURSE_FIELDS = ("course_id", "user_id", *_COURSE_VALUES, "computed_at", "completed_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an aggregation did, in counts."""

    #: Learners in a course that were computed.
    learners: int = 0
    #: Block aggregates and course aggregates inserted or updated.
    written: int = 0
    #: Block aggregates deleted, because the learner does not see the block any more.
    deleted: int = 0
    #: Markers that were counted.
    resolved: int = 0
    #: Learners in a course that could not be computed; their markers are kept.
    failed: int = 0
    #: Learners in a course that somebody else was computing.
    skipped: int = 0

    def __add__(self, other: Report) -> Report:
        return Report(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)})


class Chunk(NamedTuple):
    """Some learners of one course: the unit of work."""

    course_key: str
    user_ids: list[int]


def find_stale_chunks(
    *, chunk_size: int = CHUNK_SIZE, limit: int | None = None, course_keys: Collection[str] | None = None
) -> Iterator[Chunk]:
    """Give every learner with a due marker once, in chunks; the course with the oldest marker first.

    Args:
        course_keys: only of these courses; None: of all.
        limit: at most so many learners; None: all.
    Cost: one query, and one for each chunk.
    """
    due = StaleCompletion.objects.due(timezone.now(), conf.MAX_ATTEMPTS)
    if course_keys is not None:
        due = due.filter(course_key__in=course_keys)
    courses = (
        due.values("course_key").annotate(oldest=Min("id")).order_by("oldest").values_list("course_key", flat=True)
    )
    left = limit
    for course_key in list(courses):
        last = 0
        while left is None or left > 0:
            size = chunk_size if left is None else min(chunk_size, left)
            learners = due.filter(course_key=course_key, user_id__gt=last).order_by("user_id")
            user_ids = list(learners.values_list("user_id", flat=True).distinct()[:size])
            if not user_ids:
                break
            yield Chunk(course_key, user_ids)
            last = user_ids[-1]
            left = None if left is None else left - len(user_ids)


def count_stale() -> int:
    """Return how many learners have a due marker, once for each of their courses."""
    due = StaleCompletion.objects.due(timezone.now(), conf.MAX_ATTEMPTS)
    counts = due.values("course_key").annotate(learners=Count("user_id", distinct=True))
    return sum(counts.values_list("learners", flat=True))


def aggregate_stale(
    *,
    chunk_size: int = CHUNK_SIZE,
    limit: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Report:
    """Aggregate everybody who is stale now.

    Args:
        limit: at most so many learners; None: all.
        progress: called after each chunk with its number of learners.
    """
    mark_due_changes(timezone.now())
    report = Report()
    for chunk in find_stale_chunks(chunk_size=chunk_size, limit=limit):
        report += aggregate_chunk(chunk)
        if progress is not None:
            progress(len(chunk.user_ids))
    return report


def aggregate_chunk(chunk: Chunk) -> Report:
    """Aggregate a chunk; see `aggregate`."""
    try:
        course_key = parse_course_key(chunk.course_key)
    except InvalidKeyError as error:
        return _fail(chunk.course_key, chunk.user_ids, error)
    return aggregate(course_key, chunk.user_ids)


def aggregate(course_key: CourseKey, user_ids: Collection[int]) -> Report:
    """Aggregate these learners in one course, stale or not, and resolve their markers.

    A learner who cannot be computed keeps the markers, with the reason and a time before which nobody tries again,
    and does not stop the others. Nothing is raised for it.
    Cost: a number of statements that does not grow with the number of learners.
    """
    ordered = sorted(user_ids)
    half = len(ordered) // 2
    try:
        return _aggregate(course_key, ordered)
    except CourseNotFoundError as error:
        return _fail(str(course_key), ordered, error)
    except CourseUnreadableError as error:
        log.exception("Course %s cannot be read", course_key)
        return _fail(str(course_key), ordered, error.reason)
    except OperationalError:
        log.warning("A chunk of %s is left for the next run", course_key, exc_info=True)
        return Report(skipped=len(ordered))
    except Exception as error:
        if not half:
            log.exception("Learner %s cannot be aggregated in %s", *ordered, course_key)
            return _fail(str(course_key), ordered, error)
    # Find the learners behind it by halving: the others are none the worse.
    return aggregate(course_key, ordered[:half]) + aggregate(course_key, ordered[half:])


class CourseUnreadableError(CompletionAggregatorError):
    """What the LMS says of the course cannot be used, whoever the learner is."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class CourseChangedError(CompletionAggregatorError):
    """The course was published while it was being read."""


@retry(
    # Deadlocks, lock waits, serialization failures, "database is locked"; and a structure that moved under us.
    retry=retry_if_exception_type((OperationalError, CourseChangedError)),
    wait=wait_random_exponential(multiplier=0.05, max=2),
    stop=stop_after_attempt(5),
    reraise=True,
)
def _aggregate(course_key: CourseKey, user_ids: list[int]) -> Report:
    course = _sync(course_key)
    _ensure_rows(course.id, user_ids)
    with transaction.atomic():
        locked = _lock(course.id, user_ids)
        markers = _read_markers(course_key, locked)
        now = timezone.now()
        changes = _Changes(course, locked, now)
        seen = set()
        for computed in compute(course_key, list(locked), now=now):
            changes.add(computed, markers[computed.user_id].block_keys)
            seen.add(computed.user_id)
        written, deleted = changes.save()
        delete_markers([marker_id for user_id in seen for marker_id in markers[user_id].ids])
        failed = _fail(str(course_key), locked.keys() - seen, UnknownUserError("There is no such user."))
        if written or deleted:
            transaction.on_commit(lambda: forget_means(course_key), robust=True)
    return failed + Report(
        learners=len(seen),
        written=written,
        deleted=deleted,
        resolved=sum(len(markers[user_id].ids) for user_id in seen),
        skipped=len(user_ids) - len(locked),
    )


def _sync(course_key: CourseKey) -> SyncedCourse:
    try:
        return sync_course(course_key)
    except (CourseNotFoundError, OperationalError):
        raise
    except Exception as error:
        raise CourseUnreadableError(error) from error


def _ensure_rows(course_id: int, user_ids: Sequence[int]) -> None:
    """Create the rows that serve as locks, in a transaction of their own: it is over before anybody waits for it."""
    rows = CourseAggregate.objects.filter(course_id=course_id, user_id__in=user_ids)
    missing = set(user_ids).difference(rows.values_list("user_id", flat=True))
    if missing:
        CourseAggregate.objects.bulk_create(
            [CourseAggregate(course_id=course_id, user_id=user_id) for user_id in sorted(missing)],
            ignore_conflicts=True,
        )


class _Stored(NamedTuple):
    """A course aggregate as it is stored."""

    values: tuple[Any, ...]
    computed_at: datetime | None
    completed_at: datetime | None


def _lock(course_id: int, user_ids: Sequence[int]) -> dict[int, _Stored]:
    """Lock the course aggregates of the learners; those that somebody else holds are left out."""
    skip_locked = connections[router.db_for_write(CourseAggregate)].features.has_select_for_update_skip_locked
    rows = (
        CourseAggregate.objects.filter(course_id=course_id, user_id__in=user_ids)
        .select_for_update(skip_locked=skip_locked)
        .order_by("user_id")
        .values_list("user_id", "computed_at", "completed_at", *_COURSE_VALUES)
    )
    return {
        user_id: _Stored(tuple(values), computed_at, completed_at)
        for user_id, computed_at, completed_at, *values in rows
    }


class _Markers(NamedTuple):
    """The open markers of one learner."""

    ids: list[int]
    #: None stands for a marker of everything.
    block_keys: set[str | None]


def _read_markers(course_key: CourseKey, user_ids: Collection[int]) -> dict[int, _Markers]:
    found: dict[int, _Markers] = defaultdict(lambda: _Markers([], set()))
    rows = StaleCompletion.objects.of(str(course_key), user_ids)
    for marker_id, user_id, block_key in rows.values_list("id", "user_id", "block_key"):
        found[user_id].ids.append(marker_id)
        found[user_id].block_keys.add(block_key)
    return found


class _Changes:
    """What has to be written for a chunk: gathered learner by learner, saved at once."""

    def __init__(self, course: SyncedCourse, locked: dict[int, _Stored], now: datetime) -> None:
        self.course = course
        self.locked = locked
        self.now = now
        #: Computed values by user id and block id.
        self.blocks: dict[int, dict[int, tuple[Any, ...]]] = {}
        #: Blocks that can differ from what is stored; None: any.
        self.touched: set[int] | None = set()
        self.courses: list[tuple[Any, ...]] = []
        self._ids: dict[tuple[str, ...], list[int]] = {}

    def add(self, computed: Computed, block_keys: Collection[str | None]) -> None:
        """Take one learner's values, and what the markers say has changed of them."""
        user_id, tree, tallies, _ = computed
        ids = self._block_ids(tree.aggregators)
        self.blocks[user_id] = dict(zip(ids, tallies, strict=True))
        stored = self.locked[user_id]
        if stored.computed_at is None or not block_keys or None in block_keys:
            self.touched = None
        elif self.touched is not None:
            by_key = self.course.structure.block_ids
            self.touched.update(by_key[key] for key in affected(tree, (key for key in block_keys if key)))
        self._add_course(user_id, tallies[0], stored)

    def _block_ids(self, keys: tuple[str, ...]) -> list[int]:
        # Learners with the same view have the same aggregators.
        ids = self._ids.get(keys)
        if ids is None:
            try:
                ids = [self.course.structure.block_ids[key] for key in keys]
            except KeyError as error:
                raise CourseChangedError(f"Block {error.args[0]} is newer than the structure.") from None
            self._ids[keys] = ids
        return ids

    def _add_course(self, user_id: int, tally: Tally, stored: _Stored) -> None:
        values = (*tally[:2], tally.percent, *tally[2:])
        if stored.computed_at is not None and stored.values == values:
            return
        completed_at = (stored.completed_at or self.now) if tally.percent == 1.0 else None
        self.courses.append((self.course.id, user_id, *values, self.now, completed_at))

    def save(self) -> tuple[int, int]:
        """Write what differs and delete what is gone; return the number of rows of each."""
        using = router.db_for_write(BlockAggregate)
        stored = self._read_stored()
        rows = []
        gone: dict[frozenset[int], list[int]] = defaultdict(list)
        for user_id in sorted(self.blocks):
            blocks, before = self.blocks[user_id], stored[user_id]
            for block_id in sorted(blocks if self.touched is None else blocks.keys() & self.touched):
                values = blocks[block_id]
                if before.get(block_id) != values:
                    rows.append((user_id, block_id, *values, self.now))
            if orphans := before.keys() - blocks.keys():
                gone[frozenset(orphans)].append(user_id)
        upsert(BlockAggregate, _BLOCK_FIELDS, rows, using=using)
        upsert(CourseAggregate, _COURSE_FIELDS, sorted(self.courses), using=using)
        # Learners with the same view lose the same blocks: one statement for all of them.
        deleted = sum(
            BlockAggregate.objects.filter(user_id__in=user_ids, block_id__in=block_ids).delete()[0]
            for block_ids, user_ids in gone.items()
        )
        return len(rows) + len(self.courses), deleted

    def _read_stored(self) -> dict[int, dict[int, tuple[Any, ...]]]:
        found: dict[int, dict[int, tuple[Any, ...]]] = defaultdict(dict)
        if self.touched is not None and not self.touched:
            return found
        rows = BlockAggregate.objects.filter(user_id__in=list(self.blocks), block__course_id=self.course.id)
        if self.touched is not None:
            rows = rows.filter(block_id__in=self.touched)
        for user_id, block_id, *values in rows.values_list("user_id", "block_id", *_BLOCK_VALUES):
            found[user_id][block_id] = tuple(values)
        return found


def _fail(course_key: str, user_ids: Collection[int], error: Exception) -> Report:
    """Note why learners could not be computed, and when to try again."""
    if not user_ids:
        return Report()
    markers = StaleCompletion.objects.of(course_key, user_ids)
    reason = f"{type(error).__name__}: {error}"[:255]
    now = timezone.now()
    for attempts in sorted(set(markers.values_list("attempts", flat=True)), reverse=True):
        delay = min(timedelta(seconds=conf.RETRY_DELAY) * 2 ** min(attempts, 16), _MAX_DELAY)
        markers.filter(attempts=attempts).update(
            attempts=min(attempts + 1, _MAX_ATTEMPTS), not_before=now + delay, last_error=reason
        )
    return Report(failed=len(user_ids))
