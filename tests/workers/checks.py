"""What must hold when the workers are done."""

from __future__ import annotations

from typing import Any

from completion_aggregator.models import AggregatedChunk, BlockAggregate, CourseAggregate, StaleCompletion
from tests.factories import COURSE_KEY
from tests.truth import assert_stored_is_computed


def nobody_is_stale() -> bool:
    return not StaleCompletion.objects.exists()


def chunks_done() -> int:
    return AggregatedChunk.objects.count()


def assert_all_is_right(learners: list[Any]) -> None:
    """Everybody was aggregated, all that is stored is right, and no claim is left behind."""
    assert nobody_is_stale()
    assert not CourseAggregate.objects.exclude(queued_until=None).exists()
    assert BlockAggregate.objects.values("user_id").distinct().count() == len(learners)
    assert_stored_is_computed(COURSE_KEY)
