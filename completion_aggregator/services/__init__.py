"""Writing: marking, aggregating, cleaning up. Services own their transactions; nothing else changes a row.

`__all__` is the public Python API; it is stable.
"""

from __future__ import annotations

from completion_aggregator.services.aggregation import aggregate, aggregate_chunk, aggregate_stale
from completion_aggregator.services.budget import grant_bulk
from completion_aggregator.services.cleanup import CleanupReport, clean_up
from completion_aggregator.services.failures import fail
from completion_aggregator.services.forgetting import forget_course, forget_learner
from completion_aggregator.services.queue import (
    CHUNK_SIZE,
    Chunk,
    claim_stale_chunks,
    count_stale,
    find_stale_chunks,
    release,
    retry_failed,
)
from completion_aggregator.services.report import Report
from completion_aggregator.services.snapshots import take_snapshots
from completion_aggregator.services.staleness import (
    mark_completion,
    mark_course,
    mark_due_changes,
    mark_learner_in_org,
    mark_learners,
    mark_never_aggregated,
)
from completion_aggregator.services.thresholds import send_reached_thresholds
from completion_aggregator.services.verification import (
    CourseVerification,
    keep_verification,
    verify_course,
    verify_sample,
)

__all__ = [
    "CHUNK_SIZE",
    "Chunk",
    "CleanupReport",
    "CourseVerification",
    "Report",
    "aggregate",
    "aggregate_chunk",
    "aggregate_stale",
    "claim_stale_chunks",
    "clean_up",
    "count_stale",
    "fail",
    "find_stale_chunks",
    "forget_course",
    "forget_learner",
    "grant_bulk",
    "keep_verification",
    "mark_completion",
    "mark_course",
    "mark_due_changes",
    "mark_learner_in_org",
    "mark_learners",
    "mark_never_aggregated",
    "release",
    "retry_failed",
    "send_reached_thresholds",
    "take_snapshots",
    "verify_course",
    "verify_sample",
]
