"""Writing: marking, aggregating, cleaning up. Services own their transactions; nothing else changes a row.

`__all__` is the public Python API; it is stable.
"""

from __future__ import annotations

from completion_aggregator.services.aggregation import (
    CHUNK_SIZE,
    Chunk,
    Report,
    aggregate,
    aggregate_chunk,
    aggregate_stale,
    count_stale,
    find_stale_chunks,
)
from completion_aggregator.services.cleanup import CleanupReport, clean_up
from completion_aggregator.services.staleness import mark_completion, mark_course, mark_due_changes, mark_learners

__all__ = [
    "CHUNK_SIZE",
    "Chunk",
    "CleanupReport",
    "Report",
    "aggregate",
    "aggregate_chunk",
    "aggregate_stale",
    "clean_up",
    "count_stale",
    "find_stale_chunks",
    "mark_completion",
    "mark_course",
    "mark_due_changes",
    "mark_learners",
]
