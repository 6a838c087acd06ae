"""How the aggregation goes: what waits, what fails, how fast it is worked off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Count, Exists, Max, Min, OuterRef, Q, Sum
from django.utils import timezone

from completion_aggregator.conf import conf
from completion_aggregator.models import (
    AggregatedChunk,
    BulkBudget,
    CourseAggregate,
    ReachedThreshold,
    SnapshotWish,
    StaleCompletion,
)
from completion_aggregator.selectors.migration import Migration, find_migration

#: The rate is that of so long a time.
RATE_PERIOD = timedelta(hours=1)
#: Causes and courses told apart; the rest is in the sums only.
MAX_LINES = 20


class Failure(NamedTuple):
    """Markers that could not be counted for one cause."""

    cause: str
    markers: int
    #: Those of them that were tried too often and are left alone.
    given_up: int


class Backlog(NamedTuple):
    """What is open in one course, given up or not."""

    course_key: str
    learners: int
    markers: int
    #: When the oldest marker was written.
    oldest: datetime


class MarkerCounts(NamedTuple):
    """Open markers, in all and by state; see `Status`."""

    all: int
    due: int
    bulk: int
    waiting: int
    given_up: int
    queued: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What waits, what fails, how fast it is worked off."""

    #: Learners with an open marker, once for each of their courses.
    learners: int
    #: Open markers, in all.
    markers: int
    #: Markers that a worker may take now.
    due: int
    #: Those of them that are of bulk work, the seconds a minute that it may take (null: as many as it likes), and the
    #: time that it will take to the end, in seconds, if nothing comes to it.
    bulk: int
    bulk_budget: float | None
    bulk_seconds_left: float
    #: Markers that wait after a failure.
    waiting: int
    #: Markers that were tried MAX_ATTEMPTS times; `retry_failed` makes them due again.
    given_up: int
    #: When the oldest marker that is not given up was written; null: there is none.
    oldest: datetime | None
    #: Open markers of learners who were sent to the workers.
    queued: int
    #: The courses in which the most learners wait, most first.
    courses: Sequence[Backlog]
    #: The most frequent causes of failures, most frequent first.
    failures: Sequence[Failure]
    #: Learners aggregated and rows written within the last hour, and the time that it took, in seconds.
    learners_last_hour: int
    rows_last_hour: int
    seconds_last_hour: float
    #: When the last chunk was finished; null: none within the time that the cleanup keeps.
    last_finished_at: datetime | None
    #: How far the rows that 4.5 has left are copied; null: there are none, or all are.
    migration: Migration | None

    @property
    def rate(self) -> float:
        """Learners aggregated a second within the last hour, by all workers together, busy or not."""
        return self.learners_last_hour / RATE_PERIOD.total_seconds()


def get_status() -> Status:
    """Return how the aggregation goes now.

    Cost: 5 queries: three passes over the open markers, the chunks of an hour, and the budget; and that of
    `find_migration`.
    """
    now = timezone.now()
    markers = count_markers()
    courses = StaleCompletion.objects.values("course_key").annotate(
        learners=Count("user_id", distinct=True), markers=Count("id"), oldest=Min("created")
    )
    backlogs = [Backlog(*row) for row in courses.values_list("course_key", "learners", "markers", "oldest")]
    backlogs.sort(key=lambda backlog: (-backlog.learners, backlog.course_key))
    failures = (
        StaleCompletion.objects.filter(attempts__gt=0)
        .values("last_error")
        .annotate(markers=Count("id"), given_up=Count("id", filter=_is_given_up()))
        .order_by("-markers", "last_error")
        .values_list("last_error", "markers", "given_up")
    )
    lately = Q(finished_at__gt=now - RATE_PERIOD)
    chunks = AggregatedChunk.objects.aggregate(
        learners=Sum("learners", filter=lately),
        rows=Sum("written", filter=lately),
        seconds=Sum("seconds", filter=lately),
        last=Max("finished_at"),
    )
    budget = BulkBudget.objects.first() or BulkBudget()
    # After a publication a learner has one bulk marker.
    work = max(0.0, markers.bulk * budget.seconds_per_learner + budget.debt) if markers.bulk else 0.0
    return Status(
        learners=sum(backlog.learners for backlog in backlogs),
        markers=markers.all,
        due=markers.due,
        bulk=markers.bulk,
        bulk_budget=conf.BULK_BUDGET or None,
        bulk_seconds_left=work * 60 / conf.BULK_BUDGET if conf.BULK_BUDGET else work,
        waiting=markers.waiting,
        given_up=markers.given_up,
        oldest=markers.oldest,
        queued=markers.queued,
        courses=backlogs[:MAX_LINES],
        failures=[Failure(*failure) for failure in failures[:MAX_LINES]],
        learners_last_hour=chunks["learners"] or 0,
        rows_last_hour=chunks["rows"] or 0,
        seconds_last_hour=chunks["seconds"] or 0.0,
        last_finished_at=chunks["last"],
        migration=find_migration(),
    )


def count_markers() -> MarkerCounts:
    """Count the open markers. Cost: 1 query, a pass over them."""
    now = timezone.now()
    given_up = _is_given_up()
    waiting = ~given_up & Q(not_before__gt=now)
    due = ~given_up & ~waiting
    counts = StaleCompletion.objects.aggregate(
        all=Count("id"),
        due=Count("id", filter=due),
        bulk=Count("id", filter=due & Q(bulk=True)),
        waiting=Count("id", filter=waiting),
        given_up=Count("id", filter=given_up),
        queued=Count("id", filter=is_claimed(now)),
        oldest=Min("created", filter=~given_up),
    )
    return MarkerCounts(**counts)


def count_stale_learners() -> int:
    """Count learners with an open marker, once for each of their courses. Cost: 1 query, a pass over the markers."""
    courses = StaleCompletion.objects.values("course_key").annotate(learners=Count("user_id", distinct=True))
    return sum(courses.values_list("learners", flat=True))


def get_last_finished() -> datetime | None:
    """Return when the last chunk was finished; None: none within the time that the cleanup keeps. Cost: 1 query."""
    finished: datetime | None = AggregatedChunk.objects.aggregate(last=Max("finished_at"))["last"]
    return finished


def get_lag() -> float:
    """Return how long the oldest due marker has waited, in seconds; 0.0: none is due.

    Cost: 1 query. It goes along the primary key to the first marker that is due: over those only that wait after a
    failure or were given up, and are older.
    """
    now = timezone.now()
    due = StaleCompletion.objects.due(now, conf.MAX_ATTEMPTS).order_by("id").values_list("created", flat=True)
    oldest = due.first()
    return 0.0 if oldest is None else max((now - oldest).total_seconds(), 0.0)


def count_unsent_thresholds() -> int:
    """Return of how many reached thresholds the signal was not sent yet. Cost: 1 query, along an index."""
    return ReachedThreshold.objects.exclude(due_at=None).count()


def get_snapshot_lag() -> float:
    """Return how long the oldest snapshot of a course has been out of date, in seconds; 0.0: none is.

    Cost: 1 query over one small row for each course.
    """
    oldest = SnapshotWish.objects.aggregate(oldest=Min("wanted_at"))["oldest"]
    return 0.0 if oldest is None else max((timezone.now() - oldest).total_seconds(), 0.0)


def _is_given_up() -> Q:
    return Q(attempts__gte=conf.MAX_ATTEMPTS)


def is_claimed(now: datetime) -> Exists:
    """Tell of a marker whether its learner was sent to the workers and may be on the way still."""
    claims = CourseAggregate.objects.filter(
        course__course_key=OuterRef("course_key"), user_id=OuterRef("user_id"), queued_until__gt=now
    )
    return Exists(claims)
