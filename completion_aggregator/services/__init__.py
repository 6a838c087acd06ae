"""Writing: marking, aggregating, cleaning up. Services own their transactions; nothing else changes a row.

`__all__` is the public Python API; it is stable.
"""

from __future__ import annotations

from completion_aggregator.services.aggregation import Report, aggregate, aggregate_chunk, aggregate_stale, fail
from completion_aggregator.services.cleanup import CleanupReport, clean_up
from completion_aggregator.services.queue import (
    CHUNK_SIZE,
    Chunk,
    claim_stale_chunks,
    count_stale,
    find_stale_chunks,
    release,
    retry_failed,
)
from completion_aggregator.services.staleness import mark_completion, mark_course, mark_due_changes, mark_learners
from completion_aggregator.services.thresholds import send_reached_thresholds

__all__ = [
    "CHUNK_SIZE",
    "Chunk",
    "CleanupReport",
    "Report",
    "aggregate",
    "aggregate_chunk",
    "aggregate_stale",
    "claim_stale_chunks",
    "clean_up",
    "count_stale",
    "fail",
    "find_stale_chunks",
    "mark_completion",
    "mark_course",
    "mark_due_changes",
    "mark_learners",
    "release",
    "retry_failed",
    "send_reached_thresholds",
]
