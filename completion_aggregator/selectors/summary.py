"""How far a whole class has come: the figures of a course as they are now, and as they were on the days before."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import CharField, Count, Exists, ExpressionWrapper, F, Min, OuterRef, Q, QuerySet
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.conf import conf
from completion_aggregator.engine import CompletionMode
from completion_aggregator.lms.base import Capability, OutlineBlock
from completion_aggregator.models import BlockAggregate, CourseSnapshot, LearnerSnapshot, StaleCompletion
from completion_aggregator.selectors.enrollments import join_aggregates
from completion_aggregator.selectors.stats import MEANS_PER_QUERY, read_sums, sum_percents
from completion_aggregator.selectors.structure import Structure, get_course_states, get_structures

#: Where the parts of a histogram begin.
_TENTHS = [tenth / 10 for tenth in range(10)]


class SectionFunnel(NamedTuple):
    """How many of a course's learners have come to a section, and through it."""

    block_key: str
    display_name: str
    #: Those who have earned something in it.
    started: int
    #: Those who have earned all that they could; nobody, where there is nothing to earn.
    finished: int
    #: Those who were aggregated and see it.
    learners: int


class CohortSummary(NamedTuple):
    """How far a cohort has come; with the id None and no name: those who are in none."""

    cohort_id: int | None
    name: str
    enrolled: int
    mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseSummary:
    """How far the active enrollments of a course have come, as it is stored; who was never aggregated counts as 0."""

    course_key: CourseKey
    #: Empty where the LMS has no such course (any more).
    display_name: str
    #: Active enrollments: the sum of the next three. They go by percent: 0, between, 1.
    enrolled: int
    not_started: int
    in_progress: int
    completed: int
    #: Those of the ones not started of whom nothing was computed yet.
    never_aggregated: int
    #: Of the percents of all who are enrolled, whatever their roles. `get_course_means` leaves out those with a role.
    mean: float
    median: float
    #: 11 counts of learners: at 0; above 0 up to 0.1; above 0.1 up to 0.2; …; above 0.9, those at 1 included.
    histogram: Sequence[int]
    #: The blocks right below the course block that are aggregated, in course order.
    sections: Sequence[SectionFunnel]
    #: In the order of the LMS, those in none last; empty where the course is not cohorted.
    cohorts: Sequence[CohortSummary]
    #: Learners with an open marker: they may be further by now.
    stale: int
    #: Learners below AT_RISK_PERCENT who have done nothing for AT_RISK_DAYS, or ever.
    at_risk: int
    computed_at: datetime

    @property
    def started(self) -> int:
        """Learners with a percent above 0."""
        return self.in_progress + self.completed


class TrendPoint(NamedTuple):
    """The figures of a course at the end of a day (UTC); see CourseSummary."""

    day: date
    enrolled: int
    started: int
    completed: int
    mean: float


class LearnerTrendPoint(NamedTuple):
    """How far a learner had come at the end of a day (UTC)."""

    day: date
    percent: float


def get_course_summary(course_key: CourseKey) -> CourseSummary:
    """Return the figures of a course as it is stored now; zeros where nobody is enrolled.

    Cost: 4 queries, and the LMS's version, however many learners and sections there are: the percents, the sections,
    the markers, the state of the course; one more for a structure that is not in memory. In a course with cohorts,
    one that the LMS takes to name them, and one per MEANS_PER_QUERY cohorts. Each goes over the whole class:
    `find_course_snapshot` is for whoever asks often.
    """
    now = timezone.now()
    groups = _read_groups(course_key, now)
    states = get_course_states([course_key])
    structure = get_structures(states.values())[course_key]
    blocks = structure.outline.blocks
    enrolled = sum(group.learners for group in groups)
    not_started = sum(group.learners for group in groups if group.percent <= 0.0)
    completed = sum(group.learners for group in groups if group.percent >= 1.0)
    return CourseSummary(
        course_key=course_key,
        display_name=blocks[0].display_name if blocks else "",
        enrolled=enrolled,
        not_started=not_started,
        in_progress=enrolled - not_started - completed,
        completed=completed,
        never_aggregated=enrolled - sum(group.aggregated for group in groups),
        mean=sum(group.percent * group.learners for group in groups) / (enrolled or 1),
        median=_median(groups, enrolled),
        histogram=_histogram(groups),
        sections=_read_sections(course_key, structure),
        cohorts=_read_cohorts(course_key),
        stale=_count_stale(course_key),
        at_risk=sum(group.quiet for group in groups if group.percent < conf.AT_RISK_PERCENT),
        computed_at=now,
    )


def find_course_snapshot(course_key: CourseKey) -> CourseSnapshot | None:
    """Return the newest snapshot of a course; None: none was taken yet. `read_snapshot` tells what is in it.

    Cost: one query for one row, however many learners there are.
    """
    return get_course_snapshots([course_key]).get(course_key)


def get_course_snapshots(course_keys: Collection[CourseKey]) -> dict[CourseKey, CourseSnapshot]:
    """Return the newest snapshot of each of the courses; courses without one are left out. Cost: one query."""
    keys = {str(key): key for key in course_keys}
    newer = CourseSnapshot.objects.filter(course_id=OuterRef("course_id"), day__gt=OuterRef("day"))
    newest = CourseSnapshot.objects.filter(~Exists(newer), course__course_key__in=list(keys))
    # The structure of a course may be a megabyte.
    rows = newest.select_related("course").defer("course__structure")
    return {keys[row.course.course_key]: row for row in rows}


def read_snapshot(course_key: CourseKey, snapshot: CourseSnapshot) -> CourseSummary:
    """Return the figures of a course as they were when the snapshot was taken. Cost: no query."""
    details = snapshot.details
    return CourseSummary(
        course_key=course_key,
        enrolled=snapshot.enrolled,
        not_started=snapshot.enrolled - snapshot.started,
        in_progress=snapshot.started - snapshot.completed,
        completed=snapshot.completed,
        mean=snapshot.mean,
        computed_at=snapshot.computed_at,
        sections=tuple(SectionFunnel(*row) for row in details["sections"]),
        cohorts=tuple(CohortSummary(*row) for row in details["cohorts"]),
        histogram=tuple(details["histogram"]),
        **{name: details[name] for name in _PLAIN_DETAILS},
    )


#: What a snapshot has no column for.
_PLAIN_DETAILS = ("display_name", "never_aggregated", "median", "stale", "at_risk")


def snapshot_of(summary: CourseSummary) -> dict[str, Any]:
    """Return the columns of a snapshot that say what the summary says; the inverse of `read_snapshot`."""
    columns = ("computed_at", "enrolled", "started", "completed", "mean")
    details = (*_PLAIN_DETAILS, "histogram", "sections", "cohorts")
    return {
        **{name: getattr(summary, name) for name in columns},
        "details": {name: getattr(summary, name) for name in details},
    }


def get_course_trend(course_key: CourseKey, *, days: int) -> list[TrendPoint]:
    """Return the figures of a course at the end of each of the last days (today included) that brought something new.

    A day without a point was like the one before it. The first point is that of the first day, if one is known.

    Cost: one query; a row for each day that the snapshots are kept.
    """
    rows = CourseSnapshot.objects.filter(course__course_key=str(course_key)).order_by("day")
    return _last_days([TrendPoint(*row) for row in rows.values_list(*TrendPoint._fields)], days)


def get_learner_trend(course_key: CourseKey, user_id: int, *, days: int) -> list[LearnerTrendPoint]:
    """Return how far a learner had come at the end of each of the last days on which that changed.

    As `get_course_trend`; before the first point ever, it was 0.

    Cost: as of `get_course_trend`.
    """
    rows = LearnerSnapshot.objects.filter(user_id=user_id, course__course_key=str(course_key)).order_by("day")
    return _last_days([LearnerTrendPoint(*row) for row in rows.values_list(*LearnerTrendPoint._fields)], days)


def _last_days(points: list[Any], days: int) -> list[Any]:
    """Leave out what was before the first of the last days, but for what it was like on that day."""
    first = timezone.now().astimezone(UTC).date() - timedelta(days=days - 1)
    later = [point for point in points if point.day > first]
    return [point._replace(day=first) for point in points[: len(points) - len(later)][-1:]] + later


class _Group(NamedTuple):
    """Learners with the same percent."""

    percent: float
    learners: int
    #: Those of whom something was computed.
    aggregated: int
    #: Those who have done nothing for AT_RISK_DAYS.
    quiet: int


def _read_groups(course_key: CourseKey, now: datetime) -> list[_Group]:
    """Return the learners of the course by percent, ascending."""
    enrollments, column = join_aggregates(course_key)
    quiet_since = now - timedelta(days=conf.AT_RISK_DAYS)
    is_quiet = Q(stored_activity=None) | Q(stored_activity__lt=quiet_since)
    rows = (
        enrollments.order_by()
        .annotate(
            stored_percent=column("percent"),
            stored_activity=column("last_modified"),
            key_text=ExpressionWrapper(F("course_id"), output_field=CharField()),
        )
        .values("stored_percent")
        .annotate(
            learners=Count("user_id"),
            aggregated=Count(column("computed_at")),
            quiet=Count("user_id", filter=is_quiet),
            key=Min("key_text"),
        )
    )
    # Most databases take a key in other letter case for the same; here it is another course.
    values = [
        row
        for *row, key in rows.values_list("stored_percent", "learners", "aggregated", "quiet", "key")
        if key == str(course_key)
    ]
    return sorted(_Group(percent or 0.0, *counts) for percent, *counts in values)


def _median(groups: Iterable[_Group], learners: int) -> float:
    """Return the percent of the learner in the middle, or the mean of the two there; 0.0 without learners."""
    middle: list[float] = []
    before = 0
    for group in groups:
        after = before + group.learners
        middle += [group.percent for place in {(learners - 1) // 2, learners // 2} if before <= place < after]
        before = after
    return sum(middle) / (len(middle) or 1)


def _histogram(groups: Iterable[_Group]) -> tuple[int, ...]:
    counts = [0] * (len(_TENTHS) + 1)
    for group in groups:
        counts[bisect_left(_TENTHS, group.percent)] += group.learners
    return tuple(counts)


def _read_sections(course_key: CourseKey, structure: Structure) -> tuple[SectionFunnel, ...]:
    sections = _sections(structure)
    ids = {block.key: structure.block_ids[block.key] for block in sections if block.key in structure.block_ids}
    rows = (
        BlockAggregate.objects.filter(block_id__in=ids.values(), user_id__in=_learners(course_key))
        .values("block_id")
        .annotate(
            started=Count("user_id", filter=Q(earned__gt=0)),
            finished=Count("user_id", filter=Q(possible__gt=0, earned__gte=F("possible"))),
            learners=Count("user_id"),
        )
        .values_list("block_id", "started", "finished", "learners")
    )
    counts: dict[int | None, Sequence[int]] = {block_id: numbers for block_id, *numbers in rows}
    return tuple(
        SectionFunnel(block.key, block.display_name, *counts.get(ids.get(block.key), (0, 0, 0))) for block in sections
    )


def _sections(structure: Structure) -> list[OutlineBlock]:
    blocks = structure.outline.blocks
    below = [blocks[place] for place in blocks[0].children] if blocks else []
    return [block for block in below if block.mode == CompletionMode.AGGREGATOR]


def _read_cohorts(course_key: CourseKey) -> tuple[CohortSummary, ...]:
    lms = get_lms()
    names = lms.cohorts(course_key) if Capability.COHORTS in lms.capabilities else None
    if names is None:
        return ()
    enrollments, column = join_aggregates(course_key)
    ids = list(names)
    members = [enrollments.filter(user_id__in=lms.cohort_members(course_key, [cohort_id])) for cohort_id in ids]
    members.append(enrollments.exclude(user_id__in=lms.cohort_members(course_key, ids)))
    parts = [sum_percents(place, rows, column) for place, rows in enumerate(members)]
    sums: dict[int, tuple[int, float]] = {}
    for start in range(0, len(parts), MEANS_PER_QUERY):
        for place, learners, percents in read_sums(parts[start : start + MEANS_PER_QUERY]):
            sums[place] = learners, percents
    found = []
    for place, (cohort_id, name) in enumerate([*names.items(), (None, "")]):
        learners, percents = sums.get(place, (0, 0.0))
        found.append(CohortSummary(cohort_id, name, learners, percents / (learners or 1)))
    return tuple(found)


def _count_stale(course_key: CourseKey) -> int:
    markers = StaleCompletion.objects.filter(course_key=str(course_key), user_id__in=_learners(course_key))
    count: int = markers.aggregate(learners=Count("user_id", distinct=True))["learners"]
    return count


def _learners(course_key: CourseKey) -> QuerySet[Any]:
    """Select the user ids of the active enrollments of a course."""
    return get_lms().enrollments().filter(course_id=course_key).order_by().values("user_id")
