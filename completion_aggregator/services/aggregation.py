"""Aggregating: computing learners' completion and saving what differs, a chunk of one course's learners at a time.

A chunk is one short transaction: lock the learners' course aggregates, then read their markers, then everything
else; compute in memory; write what differs; delete exactly the markers that were read. What changes meanwhile
leaves a marker that was not read, so nothing is lost; nobody else computes these learners meanwhile, so nothing
is overwritten by older data.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import NamedTuple

from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, OperationalError, transaction
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator import metrics
from completion_aggregator.engine import CompletionMode
from completion_aggregator.exceptions import (
    CompletionAggregatorError,
    CourseNotFoundError,
    InvalidKeyError,
    UnknownUserError,
)
from completion_aggregator.logs import log_event
from completion_aggregator.models import AggregatedChunk, StaleCompletion
from completion_aggregator.selectors.computed import get_learner_views
from completion_aggregator.selectors.stats import forget_means
from completion_aggregator.services.budget import charge_bulk
from completion_aggregator.services.changes import Changes, select_course_values
from completion_aggregator.services.events import announce
from completion_aggregator.services.failures import fail, fail_others, note_failure, persistent
from completion_aggregator.services.queue import (
    CHUNK_SIZE,
    Chunk,
    ensure_rows,
    find_stale_chunks,
    release,
    select_and_lock,
)
from completion_aggregator.services.report import Report
from completion_aggregator.services.snapshots import want_snapshot
from completion_aggregator.services.staleness import delete_markers, mark_due_changes
from completion_aggregator.services.structure import SyncedCourse, sync_course
from completion_aggregator.services.thresholds import send_reached_thresholds
from completion_aggregator.tracing import describe, span
from completion_aggregator.utils import parse_course_key, without_text

log = logging.getLogger(__name__)

#: Block aggregates computed in one transaction: they are held in memory, at some 500 bytes each with what is stored.
_MAX_ROWS = 150_000


def aggregate_stale(
    *,
    chunk_size: int = CHUNK_SIZE,
    limit: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Report:
    """Aggregate everybody who is stale now, and send the signals that others have left unsent.

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
    send_reached_thresholds()
    return report


def aggregate_chunk(chunk: Chunk) -> Report:
    """Aggregate those of a chunk who are stale; see `aggregate`. What was done is noted for `get_status`.

    Aggregating a chunk a second time costs one query.
    """
    start = time.monotonic()
    markers = StaleCompletion.objects.of(chunk.course_key, chunk.user_ids)
    kinds = list(markers.order_by("user_id").values_list("user_id", "bulk").distinct())
    if not kinds:
        return Report()
    user_ids = sorted({user_id for user_id, _ in kinds})
    with span("aggregate_chunk", course=chunk.course_key, learners=len(user_ids)) as current:
        try:
            report = aggregate(parse_course_key(chunk.course_key), user_ids, only_stale=True)
        except InvalidKeyError as error:
            report = fail(Chunk(chunk.course_key, user_ids), error)
        describe(current, rows=report.written, resolved=report.resolved, failed=report.failed)
    counts = {"seconds": time.monotonic() - start, **asdict(report)}
    AggregatedChunk.objects.create(**counts)
    if all(bulk for _, bulk in kinds):
        charge_bulk(len(user_ids), counts["seconds"])
    metrics.count_chunk(counts)
    log_event(log, logging.INFO, "chunk_aggregated", course=chunk.course_key, **counts)
    return report


def aggregate(course_key: CourseKey, user_ids: Collection[int], *, only_stale: bool = False) -> Report:
    """Aggregate these learners in one course, stale or not, and resolve their markers.

    A learner who cannot be computed keeps the markers, with the reason and a time before which nobody tries again,
    and does not stop the others. Nothing is raised for it.

    Args:
        only_stale: leave out whoever has no marker once it is their turn: somebody else was faster, or forgot them.
    Raises:
        SoftTimeLimitExceeded: a Celery worker's time is over; nothing of what was under way is saved.
    Cost: a number of statements that does not grow with the number of learners, up to 150,000 block aggregates.
    """
    ordered = sorted(user_ids)
    chunk = Chunk(str(course_key), ordered)
    half = len(ordered) // 2
    try:
        return _aggregate(course_key, ordered, only_stale)
    except SoftTimeLimitExceeded:
        raise
    except CourseNotFoundError as error:
        return fail(chunk, error)
    except CourseUnreadableError as error:
        log.exception("Course %s cannot be read", course_key)
        fail_others(str(course_key), ordered, error.reason)
        return fail(chunk, error.reason)
    except OperationalError:
        log.warning("A chunk of %s is left for the next run", course_key, exc_info=True)
        with suppress(DatabaseError):
            release(chunk)
        return Report(skipped=len(ordered))
    except ChunkTooLargeError:
        pass
    except Exception as error:
        if not half:
            log.error("Learner %s cannot be aggregated in %s", *ordered, course_key, exc_info=without_text(error))
            return fail(chunk, error)
    # Smaller, or to find the learners behind it: the others are none the worse.
    first = aggregate(course_key, ordered[:half], only_stale=only_stale)
    return first + aggregate(course_key, ordered[half:], only_stale=only_stale)


class ChunkTooLargeError(CompletionAggregatorError):
    """More rows than should be held in memory at once."""


class CourseUnreadableError(CompletionAggregatorError):
    """What the LMS says of the course cannot be used, whoever the learner is."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


@persistent
def _aggregate(course_key: CourseKey, user_ids: list[int], only_stale: bool) -> Report:
    course = _sync(course_key)
    if len(user_ids) > 1 and len(user_ids) * _count_aggregators(course) > _MAX_ROWS:
        raise ChunkTooLargeError
    ensure_rows(course.id, user_ids)
    with transaction.atomic():
        with span("lock"):
            locked = select_course_values(select_and_lock(course.id, user_ids))
        skipped = len(user_ids) - len(locked)
        markers = _read_markers(course_key, locked)
        if only_stale:
            locked = {user_id: stored for user_id, stored in locked.items() if user_id in markers}
        now = timezone.now()
        changes = Changes(course, locked, now)
        seen = set()
        with span("compute"):
            for view in get_learner_views(course_key, list(locked), now=now):
                changes.add(view, markers[view.user_id].block_keys)
                seen.add(view.user_id)
        with span("write"):
            written, deleted = changes.save()
            delete_markers([marker_id for user_id in seen for marker_id in markers[user_id].ids])
        lags = _lags([markers[user_id] for user_id in seen])
        failed = note_failure(
            Chunk(str(course_key), sorted(locked.keys() - seen)), UnknownUserError("There is no such user.")
        )
        if written or deleted:
            transaction.on_commit(lambda: forget_means(course_key), robust=True)
        # Even if nothing differs: somebody may have left.
        transaction.on_commit(lambda: want_snapshot(course.id), robust=True)
        announce(course_key, changes)
    metrics.observe_lags(lags)
    return failed + Report(
        learners=len(seen),
        written=written,
        deleted=deleted,
        resolved=sum(len(markers[user_id].ids) for user_id in seen),
        skipped=skipped,
        lag=max(lags, default=0.0),
    )


@span("sync_structure")
def _sync(course_key: CourseKey) -> SyncedCourse:
    try:
        return sync_course(course_key)
    except (CourseNotFoundError, OperationalError, SoftTimeLimitExceeded):
        raise
    except Exception as error:
        raise CourseUnreadableError(error) from error


def _count_aggregators(course: SyncedCourse) -> int:
    return sum(block.mode == CompletionMode.AGGREGATOR for block in course.structure.outline.blocks)


class _Markers(NamedTuple):
    """The open markers of one learner."""

    ids: list[int]
    #: None stands for a marker of everything.
    block_keys: set[str | None]
    #: When each was written.
    created: list[datetime]


@span("read_markers")
def _read_markers(course_key: CourseKey, user_ids: Collection[int]) -> dict[int, _Markers]:
    found: dict[int, _Markers] = defaultdict(lambda: _Markers([], set(), []))
    rows = StaleCompletion.objects.of(str(course_key), user_ids)
    for marker_id, user_id, block_key, created in rows.values_list("id", "user_id", "block_key", "created"):
        found[user_id].ids.append(marker_id)
        found[user_id].block_keys.add(block_key)
        found[user_id].created.append(created)
    return found


def _lags(markers: Collection[_Markers]) -> list[float]:
    """Return how long the oldest marker of each learner has waited; of one who had none, nothing. Unit: seconds."""
    now = timezone.now()
    # The clocks of two machines differ.
    return [max((now - min(each.created)).total_seconds(), 0.0) for each in markers if each.created]
