"""What cannot be done now: tried again at once, or noted, and left alone for a while."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import timedelta

from django.db import OperationalError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from tenacity import RetryCallState, retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from completion_aggregator import metrics
from completion_aggregator.conf import conf
from completion_aggregator.logs import log_event
from completion_aggregator.models import StaleCompletion
from completion_aggregator.services.changes import CourseChangedError
from completion_aggregator.services.queue import Chunk, release
from completion_aggregator.services.report import Report
from completion_aggregator.services.staleness import in_batches

log = logging.getLogger(__name__)

_MAX_DELAY = timedelta(days=1)
#: Ids of learners in a log record.
_MAX_TOLD = 20
#: What the column holds.
_MAX_ATTEMPTS = 32_767


def _note_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    metrics.count_retry(error)
    log_event(log, logging.INFO, "attempt_repeated", attempts=state.attempt_number, cause=type(error).__name__)


persistent = retry(
    # Deadlocks, lock waits, serialization failures, "database is locked"; and a structure that moved under us.
    retry=retry_if_exception_type((OperationalError, CourseChangedError)),
    wait=wait_random_exponential(multiplier=0.05, max=2),
    stop=stop_after_attempt(5),
    before_sleep=_note_retry,
    reraise=True,
)


@persistent
def fail(chunk: Chunk, error: Exception) -> Report:
    """Note why learners could not be computed and when to try again, and end the claim on them."""
    return note_failure(chunk, error)


def fail_others(course_key: str, user_ids: Collection[int], error: Exception) -> None:
    """Note it for everybody else who is due, too: they would be tried, and it would be logged, a chunk at a time."""
    due = StaleCompletion.objects.filter(course_key=course_key).due(timezone.now(), conf.MAX_ATTEMPTS)
    others = sorted(set(due.values_list("user_id", flat=True)).difference(user_ids))
    for batch in in_batches(others):
        # Who is claimed stays so, until the chunk is run or was lost.
        _delay(StaleCompletion.objects.of(course_key, batch), error)


def note_failure(chunk: Chunk, error: Exception) -> Report:
    """Do the same once, as a part of a transaction that is tried again as a whole."""
    if not chunk.user_ids:
        return Report()
    _delay(StaleCompletion.objects.of(*chunk), error)
    release(chunk)
    transaction.on_commit(lambda: _tell_failure(chunk, error), robust=True)
    return Report(failed=len(chunk.user_ids))


def _delay(markers: QuerySet[StaleCompletion], error: Exception) -> None:
    reason = f"{type(error).__name__}: {error}"[:255]
    now = timezone.now()
    for attempts in sorted(set(markers.values_list("attempts", flat=True)), reverse=True):
        delay = min(timedelta(seconds=conf.RETRY_DELAY) * 2 ** min(attempts, 16), _MAX_DELAY)
        markers.filter(attempts=attempts).update(
            attempts=min(attempts + 1, _MAX_ATTEMPTS), not_before=now + delay, last_error=reason
        )


def _tell_failure(chunk: Chunk, error: Exception) -> None:
    learners = len(chunk.user_ids)
    metrics.count_failure(error, learners)
    some = ",".join(map(str, chunk.user_ids[:_MAX_TOLD]))
    log_event(
        *(log, logging.WARNING, "learners_failed"),
        course=chunk.course_key,
        learners=learners,
        user_ids=some,
        cause=type(error).__name__,
    )
