"""What a process counts and times, for Prometheus; docs/reference/metrics.rst lists each metric.

Without the package prometheus_client (extra "metrics") nothing is counted, and nothing fails. No label names a learner
or a course: each has few values. What the database knows is told by completion_aggregator.collector.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

IS_INSTALLED = find_spec("prometheus_client") is not None


class _Absent:
    """Stands for every metric where prometheus_client is not installed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def labels(self, *values: str) -> _Absent:
        return self

    def inc(self, amount: float = 1) -> None:
        pass

    observe = inc


if TYPE_CHECKING or IS_INSTALLED:
    from prometheus_client import Counter, Histogram
else:
    Counter = Histogram = _Absent

_CHUNK_SECONDS = Histogram(
    "completion_aggregator_chunk_seconds",
    "Time that it took to aggregate a chunk.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
_LEARNERS = Counter(
    "completion_aggregator_learners",
    "Learners in chunks: aggregated, or skipped because somebody else was at it.",
    ["outcome"],
)
_ROWS = Counter("completion_aggregator_rows", "Rows of aggregates written and deleted.", ["operation"])
_MARKERS = Counter("completion_aggregator_markers_resolved", "Markers that were counted.")
_FAILURES = Counter(
    "completion_aggregator_failures", "Learners who could not be aggregated, each attempt, by its error.", ["cause"]
)
_RETRIES = Counter(
    "completion_aggregator_retries",
    "Chunks begun again at once after a deadlock, a lock wait or the like, by its error.",
    ["cause"],
)
_LAG = Histogram(
    "completion_aggregator_lag_seconds",
    "Time from a learner's oldest open marker until it was counted: one observation for each learner.",
    buckets=(1, 5, 15, 30, 60, 120, 300, 900, 1800, 3600, 4 * 3600, 24 * 3600),
)
_REQUEST_SECONDS = Histogram(
    "completion_aggregator_request_seconds",
    "Time that an endpoint of the REST API took, without the writing out of the answer.",
    ["endpoint", "status", "freshness"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

#: Whether something was computed for the request that is being answered.
_has_computed: ContextVar[bool] = ContextVar("_has_computed", default=False)


def count_chunk(counts: Mapping[str, float]) -> None:
    """Count a chunk that is done; the counts are those of a services.Report, and its seconds."""
    _CHUNK_SECONDS.observe(counts["seconds"])
    _LEARNERS.labels("aggregated").inc(counts["learners"])
    _LEARNERS.labels("skipped").inc(counts["skipped"])
    _ROWS.labels("written").inc(counts["written"])
    _ROWS.labels("deleted").inc(counts["deleted"])
    _MARKERS.inc(counts["resolved"])


def count_failure(error: BaseException, learners: int) -> None:
    _FAILURES.labels(type(error).__name__).inc(learners)


def count_retry(error: BaseException | None) -> None:
    _RETRIES.labels(type(error).__name__).inc()


def observe_lags(seconds: Iterable[float]) -> None:
    """Count how long each learner's oldest marker has waited."""
    for each in seconds:
        _LAG.observe(each)


def note_computed() -> None:
    """Note that the request that is being answered had something computed for it."""
    _has_computed.set(True)


@contextmanager
def timed_request(endpoint: str) -> Iterator[dict[str, int]]:
    """Time a request; whoever answers it puts the status into what is given. An exception is a 500."""
    answer = {"status": 500}
    start = time.monotonic()
    token = _has_computed.set(False)
    try:
        yield answer
    finally:
        freshness = "computed" if _has_computed.get() else "stored"
        _has_computed.reset(token)
        labels = _REQUEST_SECONDS.labels(endpoint, str(answer["status"]), freshness)
        labels.observe(time.monotonic() - start)
