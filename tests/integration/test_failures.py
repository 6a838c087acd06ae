"""What goes wrong while aggregating: it stops nobody else, is tried again, and is given up at last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.models import BlockAggregate, CourseAggregate, StaleCompletion
from completion_aggregator.services import (
    Chunk,
    Report,
    aggregate,
    aggregate_chunk,
    aggregate_stale,
    aggregation,
    count_stale,
    find_stale_chunks,
    mark_completion,
    mark_learners,
)
from sample_lms.lms import SampleLMS
from sample_lms.models import Course
from tests.factories import (
    COURSE_KEY,
    SMALL_COURSE,
    EnrollmentFactory,
    block,
    complete,
    key,
    new_course_key,
    publish_course,
)
from tests.truth import assert_stored_is_computed

pytestmark = pytest.mark.django_db

GONE = 2_000_000_000


class BrokenLMS(SampleLMS):
    """An LMS that cannot tell the view of some users."""

    broken: frozenset[int] = frozenset()

    def course_views(self, course_key: Any, user_ids: Any, *, now: Any) -> Any:
        for user_id in user_ids:
            if user_id in BrokenLMS.broken:
                raise ZeroDivisionError(f"No view for {user_id}.")
        return super().course_views(course_key, user_ids, now=now)


class UnreadableLMS(SampleLMS):
    """An LMS that fails over its own courses."""

    def course_outline(self, course_key: Any) -> Any:
        raise ZeroDivisionError("No outline.")


class DeadlockedLMS(SampleLMS):
    """An LMS whose database gives up a number of times."""

    deadlocks = 0

    def course_views(self, course_key: Any, user_ids: Any, *, now: Any) -> Any:
        if DeadlockedLMS.deadlocks:
            DeadlockedLMS.deadlocks -= 1
            raise OperationalError("deadlock")
        return super().course_views(course_key, user_ids, now=now)


class BusyLMS(SampleLMS):
    """An LMS in which something happens while learners are being computed."""

    meanwhile: Callable[[], object] | None = None

    def course_views(self, course_key: Any, user_ids: Any, *, now: Any) -> Any:
        act, BusyLMS.meanwhile = BusyLMS.meanwhile, None
        if act is not None:
            act()
        return super().course_views(course_key, user_ids, now=now)


class LateLMS(SampleLMS):
    """An LMS that tells once what was published before."""

    versions: dict[CourseKey, str] | None = None

    def course_versions(self, course_keys: Any) -> dict[CourseKey, str]:
        versions, LateLMS.versions = LateLMS.versions, None
        return super().course_versions(course_keys) if versions is None else versions


@pytest.fixture(autouse=True)
def _working_lms() -> Iterator[None]:
    yield
    BrokenLMS.broken, DeadlockedLMS.deadlocks, BusyLMS.meanwhile, LateLMS.versions = frozenset(), 0, None, None


@pytest.fixture
def use(settings: Any) -> Callable[[type[SampleLMS]], None]:
    def configure(adapter: type[SampleLMS]) -> None:
        settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.{adapter.__name__}"

    return configure


Use = Callable[[type[SampleLMS]], None]


def earned() -> dict[int, float]:
    return dict(CourseAggregate.objects.exclude(computed_at=None).values_list("user_id", "earned"))


def failures() -> list[tuple[int, int, str]]:
    """Return user, attempts and reason of every marker that has failed."""
    failed = StaleCompletion.objects.filter(attempts__gt=0).order_by("user_id", "id")
    return list(failed.values_list("user_id", "attempts", "last_error"))


def let_time_pass() -> None:
    """Make everything due that only waits."""
    StaleCompletion.objects.update(not_before=timezone.now() - timedelta(seconds=1))


# Too much at once


@pytest.mark.parametrize("rows", [1, 10, 20, 43])
def test_a_chunk_that_would_take_too_much_memory_is_done_in_parts(
    course: Any, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    ids = [EnrollmentFactory().user.pk for _ in range(4)]
    monkeypatch.setattr(aggregation, "_MAX_ROWS", rows)

    assert aggregate(COURSE_KEY, ids) == Report(learners=4, written=44, resolved=4)
    assert_stored_is_computed(COURSE_KEY)


# One of many


@pytest.mark.parametrize("position", range(5))
def test_a_learner_who_cannot_be_computed_stops_nobody_else(course: Any, use: Use, position: int) -> None:
    users = [EnrollmentFactory().user for _ in range(5)]
    for user in users:
        complete(user, "html/h1")
    broken = users[position].pk
    BrokenLMS.broken = frozenset({broken})
    use(BrokenLMS)

    report = aggregate_stale()

    assert report == Report(learners=4, written=44, resolved=8, failed=1)
    assert earned() == {user.pk: 1.0 for user in users if user.pk != broken}
    assert failures() == [(broken, 1, f"ZeroDivisionError: No view for {broken}.")] * 2
    assert StaleCompletion.objects.count() == 2


def test_several_who_cannot_be_computed_are_all_found(course: Any, use: Use) -> None:
    users = [EnrollmentFactory().user.pk for _ in range(8)]
    BrokenLMS.broken = frozenset(users[::3])
    use(BrokenLMS)

    assert aggregate_stale() == Report(learners=5, written=55, resolved=5, failed=3)
    assert [user_id for user_id, *_ in failures()] == users[::3]


def test_a_learner_who_failed_is_computed_when_it_works_again(learner: Any, use: Use) -> None:
    BrokenLMS.broken = frozenset({learner.pk})
    use(BrokenLMS)
    aggregate_stale()
    BrokenLMS.broken = frozenset()

    assert aggregate_stale() == Report()
    let_time_pass()
    assert aggregate_stale() == Report(learners=1, written=11, resolved=1)
    assert not StaleCompletion.objects.exists()


def test_a_new_completion_brings_a_failed_learner_back_at_once(learner: Any, use: Use) -> None:
    BrokenLMS.broken = frozenset({learner.pk})
    use(BrokenLMS)
    aggregate_stale()
    BrokenLMS.broken = frozenset()
    complete(learner, "html/h1")

    assert aggregate_stale() == Report(learners=1, written=11, resolved=2)


def test_the_pause_doubles_with_each_failure_up_to_a_day(learner: Any, use: Use, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_MAX_ATTEMPTS = 20
    settings.COMPLETION_AGGREGATOR_RETRY_DELAY = 60
    BrokenLMS.broken = frozenset({learner.pk})
    use(BrokenLMS)
    pauses = []
    for _ in range(13):
        let_time_pass()
        before = timezone.now()
        aggregate_stale()
        after = timezone.now()
        not_before = StaleCompletion.objects.get().not_before
        assert not_before is not None
        pauses.append(round((not_before - before).total_seconds() / 60))
        assert not_before - after <= timedelta(days=1)

    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440]


def test_a_learner_who_fails_too_often_is_given_up_but_never_resolved(learner: Any, use: Use, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_MAX_ATTEMPTS = 3
    BrokenLMS.broken = frozenset({learner.pk})
    use(BrokenLMS)
    found = []
    for _ in range(5):
        let_time_pass()
        found.append((count_stale(), aggregate_stale().failed, StaleCompletion.objects.get().attempts))

    assert found == [(1, 1, 1), (1, 1, 2), (1, 1, 3), (0, 0, 3), (0, 0, 3)]
    assert list(StaleCompletion.objects.filter(attempts__gte=3).values_list("user_id", flat=True)) == [learner.pk]
    assert list(find_stale_chunks()) == []


def test_markers_of_one_learner_count_their_own_failures(learner: Any, use: Use) -> None:
    BrokenLMS.broken = frozenset({learner.pk})
    use(BrokenLMS)
    aggregate_stale()
    complete(learner, "html/h1")
    aggregate_stale()

    assert [attempts for _, attempts, _ in failures()] == [2, 1]


def test_a_long_reason_is_cut(learner: Any) -> None:
    long_key = str(COURSE_KEY) + "x" * (255 - len(str(COURSE_KEY)))
    StaleCompletion.objects.all().delete()
    StaleCompletion.objects.create(user=learner, course_key=long_key)

    aggregate_chunk(Chunk(long_key, [learner.pk]))

    assert failures() == [(learner.pk, 1, f"CourseNotFoundError: The LMS has no course {long_key}."[:255])]


def test_a_vanished_user_fails_and_stops_nobody_else(learner: Any) -> None:
    mark_learners(COURSE_KEY, [GONE])

    assert aggregate_stale() == Report(learners=1, written=11, resolved=1, failed=1)
    assert earned() == {learner.pk: 0.0}
    assert failures() == [(GONE, 1, "UnknownUserError: There is no such user.")]
    assert set(BlockAggregate.objects.values_list("user_id", flat=True)) == {learner.pk}


def test_an_unknown_course_fails_and_stops_no_other(learner: Any) -> None:
    unknown = new_course_key()
    mark_completion(learner.pk, unknown, "block")

    assert aggregate_stale() == Report(learners=1, written=11, resolved=1, failed=1)
    assert failures() == [(learner.pk, 1, f"CourseNotFoundError: The LMS has no course {unknown}.")]


def test_a_course_that_cannot_be_read_fails_for_everybody_at_once(course: Any, use: Use, caplog: Any) -> None:
    users = [EnrollmentFactory().user for _ in range(20)]
    use(UnreadableLMS)

    with CaptureQueriesContext(connection) as queries:
        assert aggregate_stale() == Report(failed=20)

    # Not learner by learner: it is told once.
    assert [record.getMessage() for record in caplog.records] == [f"Course {COURSE_KEY} cannot be read"]
    assert len(queries) < 20
    failures = StaleCompletion.objects.filter(attempts=1, last_error="ZeroDivisionError: No outline.")
    assert failures.values("user_id").distinct().count() == len(users)


def test_a_course_that_is_deleted_keeps_what_is_stored(learner: Any) -> None:
    complete(learner, "html/h1")
    aggregate_stale()
    Course.objects.all().delete()
    complete(learner, "html/h2")

    assert aggregate_stale() == Report(failed=1)
    assert earned() == {learner.pk: 1.0}


def test_a_marker_of_what_is_no_course_fails_and_stops_no_other(learner: Any) -> None:
    StaleCompletion.objects.create(user=learner, course_key="library-v1:Org+L")

    assert aggregate_stale() == Report(learners=1, written=11, resolved=1, failed=1)
    assert failures() == [(learner.pk, 1, "InvalidKeyError: Invalid course key.")]


def test_a_course_that_makes_no_tree_fails(learner: Any) -> None:
    publish_course([block("html/h1")])

    report = aggregate_stale()

    assert (report.failed, report.learners) == (1, 0)
    assert (
        failures()
        == [
            (
                learner.pk,
                1,
                f"CourseTreeError: The first block, {key('html/h1')}, must be an aggregator: it is the course.",
            )
        ]
        * StaleCompletion.objects.count()
    )


# The database gives up


def test_a_deadlock_is_tried_again(learner: Any, use: Use) -> None:
    DeadlockedLMS.deadlocks = 4
    use(DeadlockedLMS)

    assert aggregate_stale() == Report(learners=1, written=11, resolved=1)
    assert DeadlockedLMS.deadlocks == 0


def test_too_many_deadlocks_leave_the_chunk_for_the_next_run(learner: Any, use: Use) -> None:
    other = EnrollmentFactory().user
    DeadlockedLMS.deadlocks = 5
    use(DeadlockedLMS)

    assert aggregate_stale() == Report(skipped=2)
    assert (earned(), failures(), count_stale()) == ({}, [], 2)
    assert aggregate_stale() == Report(learners=2, written=22, resolved=2)
    assert earned() == {learner.pk: 0.0, other.pk: 0.0}


# Meanwhile


def test_a_marker_written_while_learners_are_computed_stays_and_is_counted_next(learner: Any, use: Use) -> None:
    complete(learner, "html/h1")
    BusyLMS.meanwhile = lambda: complete(learner, "html/h2")
    use(BusyLMS)

    first = aggregate_stale()
    left = list(StaleCompletion.objects.values_list("block_key", flat=True))

    assert (first.resolved, left, earned()) == (2, [key("html/h2")], {learner.pk: 1.0})
    assert aggregate_stale() == Report(learners=1, written=5, resolved=1)
    assert earned() == {learner.pk: 2.0}


def test_a_marker_with_a_lower_id_that_appears_later_stays(learner: Any, use: Use) -> None:
    aggregate_stale()
    complete(learner, "html/h1")
    low_id = StaleCompletion.objects.get().pk
    complete(learner, "html/h2")
    StaleCompletion.objects.get(id=low_id).delete()
    BusyLMS.meanwhile = lambda: StaleCompletion.objects.create(
        id=low_id, user=learner, course_key=str(COURSE_KEY), block_key=key("html/h1")
    )
    use(BusyLMS)

    assert aggregate_stale().resolved == 1
    assert list(StaleCompletion.objects.values_list("id", flat=True)) == [low_id]
    assert aggregate_stale().resolved == 1


def test_a_course_that_is_published_while_learners_are_computed_is_computed_as_published(
    learner: Any, use: Use
) -> None:
    aggregate_stale()
    LateLMS.versions = SampleLMS().course_versions([COURSE_KEY])
    last = block("course/course", "chapter/c1", "chapter/c2", "chapter/c3")
    publish_course([last, *SMALL_COURSE[1:], block("chapter/c3", "html/h5"), block("html/h5")])
    use(LateLMS)

    report = aggregate_stale()

    assert (report.learners, report.written, report.failed) == (1, 3, 0)
    assert list(CourseAggregate.objects.values_list("user_id", "possible")) == [(learner.pk, 7)]
    assert not StaleCompletion.objects.exists()


def test_a_chunk_is_written_as_a_whole_or_not_at_all(learner: Any) -> None:
    complete(learner, "html/h1")

    def fail_at_the_end(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("DELETE"):
            raise ZeroDivisionError("Markers cannot be deleted.")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail_at_the_end):
        report = aggregate_stale()

    assert report == Report(failed=1)
    assert (BlockAggregate.objects.count(), earned()) == (0, {})
    assert failures() == [(learner.pk, 1, "ZeroDivisionError: Markers cannot be deleted.")] * 2
