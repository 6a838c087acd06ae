"""Celery tasks: shells over the services. Arguments are ids and texts, never names of people.

A task is acknowledged when it has been done, and doing it twice does no harm: a worker that is killed or restarted
loses nothing. Whatever else gets lost on the way is sent again after the setting QUEUE_TIMEOUT.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from completion_aggregator.conf import conf
from completion_aggregator.services import (
    CHUNK_SIZE,
    Chunk,
    aggregate_chunk,
    claim_stale_chunks,
    clean_up,
    fail,
    mark_due_changes,
    release,
)


@shared_task(name="completion_aggregator.tasks.aggregate_learners", acks_late=True, ignore_result=True)
def aggregate_learners(course_key: str, user_ids: list[int]) -> dict[str, int]:
    """Aggregate a chunk of learners of one course; when there is not time enough for it, send two smaller ones."""
    try:
        return asdict(aggregate_chunk(Chunk(course_key, user_ids)))
    except SoftTimeLimitExceeded as error:
        half = len(user_ids) // 2
        if not half:
            return asdict(fail(Chunk(course_key, user_ids), error))
        send(Chunk(course_key, user_ids[:half]))
        send(Chunk(course_key, user_ids[half:]))
        return {}


@shared_task(name="completion_aggregator.tasks.dispatch", ignore_result=True)
def dispatch(chunk_size: int = CHUNK_SIZE, limit: int | None = None) -> int:
    """Send everybody who is stale, and whom no worker has yet, to the workers; return how many learners that is.

    It is what `run_aggregator_service` does, for Celery beat.
    """
    mark_due_changes(timezone.now())
    sent = 0
    for chunk in claim_stale_chunks(chunk_size=chunk_size, limit=limit):
        send(chunk)
        sent += len(chunk.user_ids)
    return sent


@shared_task(name="completion_aggregator.tasks.clean_up", acks_late=True, ignore_result=True)
def clean_up_aggregates() -> dict[str, int]:
    """Delete what nobody will ask for again."""
    return asdict(clean_up())


def send(chunk: Chunk, routing_key: str | None = None) -> None:
    """Send a claimed chunk to the workers.

    Raises:
        kombu.exceptions.OperationalError: the broker cannot be reached; the claim is released.
    """
    options: dict[str, Any] = {
        "routing_key": routing_key or conf.ROUTING_KEY or None,
        "soft_time_limit": conf.TASK_TIME_LIMIT or None,
    }
    try:
        aggregate_learners.apply_async((chunk.course_key, chunk.user_ids), **options)
    except Exception:
        release(chunk)
        raise
