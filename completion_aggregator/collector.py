"""What the database knows of the aggregation, for Prometheus; only where prometheus_client is installed.

These are facts of the whole site, whichever process is asked. They are read when somebody asks, and kept for a few
seconds: so a page of metrics that anybody can open costs no more than one that is opened in time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import lru_cache

from django.db import Error
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from completion_aggregator.models import Verification
from completion_aggregator.selectors.status import (
    count_markers,
    count_stale_learners,
    count_unsent_thresholds,
    get_lag,
    get_last_finished,
    get_snapshot_lag,
)

#: How long what was read is told. Unit: seconds.
KEEP = 5
_PREFIX = "completion_aggregator_"


class DatabaseCollector(Collector):
    """Gauges of what is stored; with the database out of reach, one that says so.

    Cost: 7 queries, one for each selector that is asked and one for the row of the last verification; at most once in
    KEEP seconds for each process.
    """

    def describe(self) -> Iterable[Metric]:
        # Otherwise the registry would ask the database while the app is being loaded.
        return []

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(f"{_PREFIX}database_up", "Whether the database answers: 1, or 0.", value=1)
        try:
            found = read_gauges(int(time.monotonic() // KEEP))
        except Error:
            up = GaugeMetricFamily(up.name, up.documentation, value=0)
            found = []
        return [up, *found]


@lru_cache(maxsize=1)
def read_gauges(slot: int) -> list[Metric]:
    """Read the gauges; once for each slot of time."""
    counts = count_markers()
    markers = GaugeMetricFamily(
        f"{_PREFIX}markers",
        "Open markers: due, waiting after a failure, or given up.",
        labels=["state"],
    )
    markers.add_metric(["due"], counts.due)
    markers.add_metric(["waiting"], counts.waiting)
    markers.add_metric(["given_up"], counts.given_up)
    gauges = [
        markers,
        _gauge("markers_bulk", "Due markers of bulk work, as publications and rebuilds leave it.", counts.bulk),
        _gauge("markers_queued", "Open markers of learners who were sent to the workers.", counts.queued),
        _gauge(
            "stale_learners", "Learners with an open marker, once for each of their courses.", count_stale_learners()
        ),
        _gauge("oldest_due_age_seconds", "How long the oldest due marker has waited; 0: none is due.", get_lag()),
        _gauge(
            "unsent_thresholds",
            "Reached thresholds of which the signal was not sent yet.",
            count_unsent_thresholds(),
        ),
        _gauge(
            "snapshot_lag_seconds",
            "How long the oldest snapshot of a course has been out of date; 0: none is.",
            get_snapshot_lag(),
        ),
    ]
    if (finished_at := get_last_finished()) is not None:
        gauges.append(
            _gauge(
                "last_chunk_timestamp_seconds",
                "When the last chunk was finished, in Unix time; absent: none within a week.",
                finished_at.timestamp(),
            )
        )
    return [*gauges, *_read_verification()]


def _read_verification() -> Iterator[Metric]:
    """Tell what the last comparison of stored values has found; nothing where there never was one."""
    last = Verification.objects.first()
    if last is None:
        return
    yield _gauge("verified_learners", "Learners whom the last verification has compared.", last.learners)
    yield _gauge("drifted_learners", "Those of them whose stored values are wrong.", last.drifted)
    yield _gauge("unverified_courses", "Courses that the last verification could not compare.", last.failed_courses)
    yield _gauge(
        "verification_timestamp_seconds",
        "When the last verification was finished, in Unix time; absent, with the three above: never.",
        last.finished_at.timestamp(),
    )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{_PREFIX}{name}", text, value=value)


def register() -> None:
    """Let every page of metrics of this process tell the gauges, whoever makes it."""
    REGISTRY.register(DatabaseCollector())
