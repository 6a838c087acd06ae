"""Celery tasks: shells over the services. Arguments are ids and texts, never names of people.

A task is acknowledged when it has been done, and doing it twice does no harm: a worker that is killed or restarted
loses nothing. Whatever else gets lost on the way is sent again after the setting QUEUE_TIMEOUT.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from celery import Task, shared_task
from celery.exceptions import SoftTimeLimitExceeded, WorkerLostError
from django.db import Error, connections
from django.utils import timezone

from completion_aggregator.conf import conf
from completion_aggregator.logs import log_event
from completion_aggregator.models import StaleCompletion
from completion_aggregator.selectors.status import is_claimed
from completion_aggregator.services import (
    CHUNK_SIZE,
    Chunk,
    aggregate_chunk,
    claim_stale_chunks,
    clean_up,
    fail,
    grant_bulk,
    mark_due_changes,
    release,
    send_reached_thresholds,
    take_snapshots,
    verify_sample,
)

log = logging.getLogger(__name__)

#: Time after which a chunk is taken again of which somebody was in the hands of another worker. Unit: seconds.
_PAUSE = 5


@shared_task(
    name="completion_aggregator.tasks.aggregate_learners",
    bind=True,
    acks_late=True,
    reject_on_worker_lost=True,
    ignore_result=True,
)
def aggregate_learners(self: Task[Any, Any], course_key: str, user_ids: list[int]) -> dict[str, int]:
    """Aggregate a chunk of learners of one course; when there is not time enough for it, send two smaller ones.

    So it is, too, when a process has died over it, maybe of it. Whoever is alone in a chunk then is noted as failed,
    in case that it happens again; the next time it is left alone for a while.
    """
    chunk = Chunk(course_key, user_ids)
    delivery = self.request.delivery_info or {}
    try:
        if delivery.get("redelivered") and not _may_go_on(chunk):
            return _divide(chunk, WorkerLostError("A worker died of it, or at it."), delivery.get("routing_key"))
        report = aggregate_chunk(chunk)
    except SoftTimeLimitExceeded as error:
        if not self.request.is_eager:
            _drop_connections()
        return _divide(chunk, error, delivery.get("routing_key"))
    if report.skipped and not self.request.is_eager and _is_claimed(chunk):
        # Locked by another worker, which may be dead: PostgreSQL notices that only when a statement has ended.
        send(chunk, delivery.get("routing_key"), countdown=_PAUSE)
    return asdict(report)


def _may_go_on(chunk: Chunk) -> bool:
    """Tell whether a chunk that was not finished the last time is one learner, of whom no failure was known."""
    if len(chunk.user_ids) > 1 or StaleCompletion.objects.of(*chunk).filter(attempts__gt=0).exists():
        return False
    fail(chunk, WorkerLostError("A worker died of it, or at it."))
    return True


def _is_claimed(chunk: Chunk) -> bool:
    """Tell whether somebody in a chunk is stale and claimed, so that no pass sends them for a long time."""
    return StaleCompletion.objects.of(*chunk).filter(is_claimed(timezone.now())).exists()


def _divide(chunk: Chunk, error: Exception, routing_key: str | None) -> dict[str, int]:
    """Send a chunk that could not be finished again, in two halves; of one learner, it is a failure."""
    course_key, user_ids = chunk
    half = len(user_ids) // 2
    if not half:
        return asdict(fail(chunk, error))
    send(Chunk(course_key, user_ids[:half]), routing_key)
    send(Chunk(course_key, user_ids[half:]), routing_key)
    return {}


def _drop_connections() -> None:
    """Go on with new connections: the time was over anywhere, in the middle of a statement or of a COMMIT, maybe."""
    for connection in connections.all(initialized_only=True):
        with suppress(Error):
            connection.close()
        del connections[connection.alias]


@shared_task(name="completion_aggregator.tasks.dispatch", ignore_result=True)
def dispatch(chunk_size: int = CHUNK_SIZE, limit: int | None = None) -> int:
    """Send everybody who is stale, and whom no worker has yet, to the workers; return how many learners that is.

    Of bulk work, only what the setting BULK_BUDGET allows; the rest waits for the next time.
    It is what `run_aggregator_service` does, for Celery beat; signals that were left unsent are sent, too, and
    snapshots are taken.
    """
    start = time.monotonic()
    mark_due_changes(timezone.now())
    sent = chunks = 0
    for chunk in claim_stale_chunks(chunk_size=chunk_size, limit=limit, bulk_limit=grant_bulk()):
        send(chunk)
        sent += len(chunk.user_ids)
        chunks += 1
    log_event(log, logging.INFO, "chunks_sent", learners=sent, chunks=chunks, seconds=time.monotonic() - start)
    send_reached_thresholds()
    take_snapshots(timezone.now())
    return sent


@shared_task(name="completion_aggregator.tasks.clean_up", acks_late=True, ignore_result=True)
def clean_up_aggregates() -> dict[str, int]:
    """Delete what nobody will ask for again."""
    return asdict(clean_up())


@shared_task(name="completion_aggregator.tasks.verify", acks_late=True, ignore_result=True)
def verify() -> None:
    """Compare a sample of learners with what their values are made from; what is wrong is logged."""
    verify_sample()


def send(chunk: Chunk, routing_key: str | None = None, *, countdown: float | None = None) -> None:
    """Send a claimed chunk to the workers.

    Args:
        countdown: seconds to wait before it is taken.
    Raises:
        celery.exceptions.QueueNotFound: the routing key leads to no queue; the claim is released.
        kombu.exceptions.OperationalError: the broker cannot be reached; the claim is released.
    """
    key = routing_key or conf.ROUTING_KEY or None
    options: dict[str, Any] = {"soft_time_limit": conf.TASK_TIME_LIMIT or None, "countdown": countdown}
    if key:
        # On an exchange of the usual kind, Celery takes no notice of a routing key without a queue.
        options |= {"queue": queue_of(key), "routing_key": key}
    try:
        aggregate_learners.apply_async((chunk.course_key, chunk.user_ids), **options)
    except Exception:
        release(chunk)
        raise


def queue_of(routing_key: str) -> str:
    """Return the name of the queue that gets what has this routing key: most often it is the same."""
    queues = aggregate_learners.app.amqp.queues
    return next((name for name, queue in queues.items() if queue.routing_key == routing_key), routing_key)
