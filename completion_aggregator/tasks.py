"""Celery tasks: shells over the services. Arguments are ids and texts, never names of people."""

from __future__ import annotations

from dataclasses import asdict

from celery import shared_task

from completion_aggregator.services import Chunk, aggregate_chunk, clean_up


@shared_task(name="completion_aggregator.tasks.aggregate_learners", acks_late=True, ignore_result=True)
def aggregate_learners(course_key: str, user_ids: list[int]) -> dict[str, int]:
    """Aggregate a chunk of learners of one course. Doing it twice does no harm."""
    return asdict(aggregate_chunk(Chunk(course_key, user_ids)))


@shared_task(name="completion_aggregator.tasks.clean_up", acks_late=True, ignore_result=True)
def clean_up_aggregates() -> dict[str, int]:
    """Delete what nobody will ask for again."""
    return asdict(clean_up())
