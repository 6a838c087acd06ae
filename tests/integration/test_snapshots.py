"""What a course and its learners were like at the end of each day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.models import Course, CourseAggregate, CourseSnapshot, LearnerSnapshot, SnapshotWish
from completion_aggregator.selectors import (
    LearnerTrendPoint,
    TrendPoint,
    find_course_snapshot,
    get_course_snapshots,
    get_course_summary,
    get_course_trend,
    get_learner_trend,
    read_snapshot,
)
from completion_aggregator.services import (
    CleanupReport,
    aggregate_stale,
    clean_up,
    cleanup,
    forget_course,
    forget_learner,
    mark_learners,
    snapshots,
    take_snapshots,
)
from completion_aggregator.services.snapshots import want_snapshot
from completion_aggregator.tasks import dispatch
from sample_lms.lms import SampleLMS
from sample_lms.models import Enrollment
from tests.factories import (
    COURSE_KEY,
    CohortFactory,
    EnrollmentFactory,
    MembershipFactory,
    UserFactory,
    complete,
    new_course_key,
    publish_course,
    small_course,
)

# What is aggregated is noted after the commit.
pytestmark = pytest.mark.django_db(transaction=True)

ALL_SIX = ("html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")
DAY = timedelta(days=1)


@pytest.fixture
def now() -> datetime:
    """The moment of a first snapshot; what is done by then is noted with a moment before it."""
    return timezone.now() + timedelta(hours=1)


def learner(done: int = 0, course_key: CourseKey = COURSE_KEY) -> Any:
    user = EnrollmentFactory(course_id=course_key).user
    complete(user, *ALL_SIX[:done], course_key=course_key)
    aggregate_stale()
    return user


def day_of(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def courses() -> list[tuple[Any, ...]]:
    return list(CourseSnapshot.objects.order_by("day").values_list("day", "enrolled", "started", "completed", "mean"))


def learners(user: Any) -> list[tuple[date, float]]:
    return list(LearnerSnapshot.objects.filter(user=user).order_by("day").values_list("day", "percent"))


# --- taking them ----------------------------------------------------------------------------------------------------


def test_a_snapshot_says_what_the_summary_said(course: Any, now: datetime) -> None:
    course.cohorted = True
    course.save()
    MembershipFactory(user=learner(6), cohort=CohortFactory(name="owls"))
    learner(3)
    learner()
    EnrollmentFactory()
    expected = get_course_summary(COURSE_KEY)

    assert take_snapshots(now) == 1

    snapshot = find_course_snapshot(COURSE_KEY)
    assert snapshot is not None
    assert (snapshot.day, snapshot.course.course_key) == (day_of(now), str(COURSE_KEY))
    found = read_snapshot(COURSE_KEY, snapshot)
    assert found.computed_at > expected.computed_at
    for name in expected.__dataclass_fields__:
        assert name == "computed_at" or getattr(found, name) == getattr(expected, name), name
    assert courses() == [(day_of(now), 4, 2, 1, 1.5 / 4)]


def test_nothing_is_taken_while_nothing_is_aggregated(course: Any, now: datetime) -> None:
    assert take_snapshots(now) == 0
    learner(3)
    assert take_snapshots(now) == 1
    before = courses()

    assert take_snapshots(now + timedelta(hours=1)) == 0
    assert take_snapshots(now + 9 * DAY) == 0
    assert courses() == before


def test_the_row_of_a_day_is_brought_up_to_date_once_it_is_old_enough(
    course: Any, settings: Any, now: datetime
) -> None:
    settings.COMPLETION_AGGREGATOR_SNAPSHOT_INTERVAL = 60
    now = now.replace(hour=12, minute=0, second=0) + DAY
    user = learner(3)
    take_snapshots(now)
    complete(user, *ALL_SIX)
    aggregate_stale()

    assert take_snapshots(now + timedelta(seconds=59)) == 0
    assert courses() == [(day_of(now), 1, 1, 0, 0.5)]
    assert take_snapshots(now + timedelta(seconds=60)) == 1
    assert courses() == [(day_of(now), 1, 1, 1, 1.0)]
    assert learners(user) == [(day_of(now), 1.0)]


def test_each_day_has_its_row(course: Any, now: datetime) -> None:
    user = learner(3)
    take_snapshots(now)
    learner(6)
    take_snapshots(now + DAY)

    assert courses() == [(day_of(now), 1, 1, 0, 0.5), (day_of(now + DAY), 2, 2, 1, 0.75)]
    assert learners(user) == [(day_of(now), 0.5)]


def test_days_are_those_of_utc(course: Any, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    learner(3)
    late = datetime(2100, 1, 31, 23, 59, tzinfo=UTC)

    take_snapshots(late.astimezone(timezone.get_default_timezone()))

    assert courses() == [(date(2100, 1, 31), 1, 1, 0, 0.5)]


def test_learners_have_a_row_on_days_that_changed_their_percent(course: Any, now: datetime) -> None:
    busy, idle = learner(3), learner()
    take_snapshots(now)
    complete(busy, *ALL_SIX)
    aggregate_stale()
    take_snapshots(now + DAY)
    complete(busy, "html/h1", value=0.0)
    complete(idle, "html/h1", value=0.0)
    aggregate_stale()
    take_snapshots(now + 2 * DAY)
    mark_learners(COURSE_KEY, [busy.pk, idle.pk])
    aggregate_stale()
    assert take_snapshots(now + 3 * DAY) == 1

    days = [day_of(now + number * DAY) for number in range(3)]
    assert learners(busy) == list(zip(days, (0.5, 1.0, 5 / 6), strict=True))
    assert learners(idle) == []


def test_more_learners_than_one_batch_takes(course: Any, monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setattr(snapshots, "BATCH_SIZE", 2)
    users = [learner(number) for number in range(6)]

    take_snapshots(now)

    assert [learners(user) for user in users] == [[], *([(day_of(now), number / 6)] for number in range(1, 6))]


def test_whoever_leaves_is_missing_in_the_next_snapshot(course: Any, now: datetime) -> None:
    user = learner(6)
    learner()
    take_snapshots(now)

    Enrollment.objects.get(user=user).delete()
    aggregate_stale()

    assert take_snapshots(now + DAY) == 1
    assert courses()[-1] == (day_of(now + DAY), 1, 0, 0, 0.0)


def test_what_is_aggregated_while_a_snapshot_is_taken_is_in_the_next_one(
    course: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner(3)
    now = timezone.now()
    read = snapshots.get_course_summary

    def read_and_learn(course_key: CourseKey) -> Any:
        found = read(course_key)
        monkeypatch.setattr(snapshots, "get_course_summary", read)
        learner(6)
        return found

    monkeypatch.setattr(snapshots, "get_course_summary", read_and_learn)
    assert take_snapshots(now) == 1
    assert [row[1] for row in courses()] == [1]

    assert take_snapshots(now + DAY) == 1
    assert [row[1] for row in courses()] == [1, 2]
    assert take_snapshots(now + 2 * DAY) == 0


def test_a_course_that_fails_stops_no_other_and_is_tried_again(
    course: Any, settings: Any, caplog: pytest.LogCaptureFixture, now: datetime
) -> None:
    settings.COMPLETION_AGGREGATOR_SNAPSHOT_INTERVAL = 60
    bad = new_course_key()
    publish_course(small_course(bad), bad)
    learner(3, bad)
    learner(3)
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.ForgetfulLMS"
    ForgetfulLMS.unknown = bad

    assert take_snapshots(now) == 1

    assert [record.message for record in caplog.records] == [f"No snapshot could be taken of {bad}"]
    assert [row.course.course_key for row in CourseSnapshot.objects.all()] == [str(COURSE_KEY)]
    assert take_snapshots(now + timedelta(seconds=59)) == 0
    ForgetfulLMS.unknown = None
    assert take_snapshots(now + timedelta(seconds=60)) == 1
    assert CourseSnapshot.objects.count() == 2


class ForgetfulLMS(SampleLMS):
    """Cannot tell the versions of one course."""

    unknown: CourseKey | None = None

    def course_versions(self, course_keys: Any) -> Any:
        if self.unknown in course_keys:
            raise ZeroDivisionError("Now and then.")
        return super().course_versions(course_keys)


def test_no_more_courses_than_a_pass_has_time_for_the_longest_waiting_first(
    course: Any, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    monkeypatch.setattr(snapshots, "MAX_COURSES", 2)
    keys = [new_course_key() for _ in range(3)]
    for course_key in keys:
        publish_course(small_course(course_key), course_key)
        learner(1, course_key)

    assert take_snapshots(now) == 2
    assert set(get_course_snapshots(keys)) == set(keys[:2])
    assert take_snapshots(now) == 1
    assert set(get_course_snapshots(keys)) == set(keys)


def test_the_service_the_task_and_the_command_take_them(course: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_SNAPSHOT_INTERVAL = 0
    for take in (
        lambda: call_command("run_aggregator_service", inline=True, verbosity=0),
        dispatch,
    ):
        learner(3)
        take()
        assert CourseSnapshot.objects.latest("day").enrolled == Enrollment.objects.count()


def test_an_aggregation_notes_it_by_one_statement(course: Any, now: datetime) -> None:
    user = learner(3)
    take_snapshots(now)
    assert list(SnapshotWish.objects.values_list("wanted_at", "begun_at")) == [(None, now)]
    wishes = []
    for value in (0.5, 0.7):
        complete(user, "html/h4", value=value)
        with CaptureQueriesContext(connection) as queries:
            aggregate_stale()
        verbs = [each["sql"].split(" ")[0] for each in queries if SnapshotWish._meta.db_table in each["sql"]]
        assert verbs == ["UPDATE"]
        wishes.append(SnapshotWish.objects.get().wanted_at)

    # It is the first wish that counts, unless a snapshot was begun since.
    assert wishes[0] is not None
    assert wishes[0] < now
    assert wishes[1] > wishes[0]
    SnapshotWish.objects.update(begun_at=None)
    want_snapshot(SnapshotWish.objects.get().course_id)
    assert SnapshotWish.objects.get().wanted_at == wishes[1]


# --- what was -------------------------------------------------------------------------------------------------------


@pytest.fixture
def today(db: None, monkeypatch: pytest.MonkeyPatch) -> date:
    """A day that does not end meanwhile."""
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 7, 1, 12, tzinfo=UTC))
    return date(2026, 7, 1)


def history(today: date, *days_ago: int) -> None:
    """Store snapshots of days past: so many days ago, so many percent."""
    course, _ = Course.objects.get_or_create(course_key=str(COURSE_KEY))
    user = UserFactory(username="ada")
    for ago in days_ago:
        CourseSnapshot.objects.create(
            course=course,
            day=today - ago * DAY,
            computed_at=timezone.now(),
            enrolled=ago,
            started=3,
            completed=2,
            mean=ago / 100,
        )
        LearnerSnapshot.objects.create(course=course, user=user, day=today - ago * DAY, percent=ago / 100)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (60, [(30, 30), (7, 7), (6, 6), (0, 0)]),
        (8, [(7, 7), (6, 6), (0, 0)]),
        # What was before is what it was like on the first day.
        (7, [(6, 6), (0, 0)]),
        (6, [(5, 6), (0, 0)]),
        (1, [(0, 0)]),
    ],
)
def test_a_trend_is_of_the_last_days(today: date, days: int, expected: list[tuple[int, int]]) -> None:
    history(today, 30, 7, 6, 0)
    user_id = LearnerSnapshot.objects.values_list("user_id", flat=True)[0]

    assert get_course_trend(COURSE_KEY, days=days) == [
        TrendPoint(today - ago * DAY, value, 3, 2, value / 100) for ago, value in expected
    ]
    assert get_learner_trend(COURSE_KEY, user_id, days=days) == [
        LearnerTrendPoint(today - ago * DAY, value / 100) for ago, value in expected
    ]


def test_of_what_nobody_knows_there_is_no_trend_and_no_snapshot(today: date) -> None:
    history(today, 3)

    other = new_course_key()
    assert get_course_trend(other, days=9) == get_learner_trend(other, 1, days=9) == []
    assert get_learner_trend(COURSE_KEY, 0, days=9) == []
    assert find_course_snapshot(other) is None
    assert list(get_course_snapshots([other, COURSE_KEY])) == [COURSE_KEY]
    assert get_course_snapshots([]) == {}


def test_reading_takes_one_query_and_no_structure(today: date) -> None:
    history(today, 5, 3, 1)
    for read in (
        lambda: find_course_snapshot(COURSE_KEY),
        lambda: get_course_snapshots([COURSE_KEY, new_course_key()]),
        lambda: get_course_trend(COURSE_KEY, days=60),
        lambda: get_learner_trend(COURSE_KEY, 1, days=60),
    ):
        with CaptureQueriesContext(connection) as queries:
            read()
        assert len(queries) == 1
        assert "structure" not in queries.captured_queries[0]["sql"]
    snapshot = find_course_snapshot(COURSE_KEY)
    assert snapshot is not None
    assert snapshot.enrolled == 1


# --- forgetting and cleaning up -------------------------------------------------------------------------------------


def test_a_learner_is_forgotten_with_the_snapshots(course: Any, now: datetime) -> None:
    ada, bob = learner(3), learner(3)
    take_snapshots(now)

    forget_learner(ada.pk)

    assert learners(ada) == []
    assert learners(bob) == [(day_of(now), 0.5)]


def test_a_learner_who_is_forgotten_while_a_snapshot_is_taken_leaves_nothing(
    course: Any, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    ada, bob = learner(3), learner(3)
    lock = snapshots.select_and_lock

    def forget_and_lock(course_id: int, user_ids: Any) -> Any:
        forget_learner(ada.pk)
        return lock(course_id, user_ids)

    monkeypatch.setattr(snapshots, "select_and_lock", forget_and_lock)
    assert take_snapshots(now) == 1

    assert learners(ada) == []
    assert learners(bob) == [(day_of(now), 0.5)]


def test_a_deleted_user_takes_the_snapshots_along(course: Any, now: datetime) -> None:
    ada, bob = learner(3), learner(3)
    take_snapshots(now)

    ada.delete()

    assert list(LearnerSnapshot.objects.values_list("user_id", flat=True)) == [bob.pk]


def test_a_course_is_forgotten_with_the_snapshots(course: Any, monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setattr("completion_aggregator.services.forgetting._LEARNERS", 1)
    other = new_course_key()
    publish_course(small_course(other), other)
    users = [learner(3), learner(3), learner(3, other)]
    take_snapshots(now)
    mark_learners(COURSE_KEY, [users[0].pk])
    aggregate_stale()

    forget_course(COURSE_KEY)

    assert list(get_course_snapshots([COURSE_KEY, other])) == [other]
    assert list(LearnerSnapshot.objects.values_list("user_id", flat=True)) == [users[2].pk]
    assert CourseAggregate.objects.count() == 3
    assert take_snapshots(now + DAY) == 0


@pytest.mark.parametrize("batch_size", [1, 1_000])
def test_old_snapshots_are_deleted(
    today: date, settings: Any, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    monkeypatch.setattr(cleanup, "BATCH_SIZE", batch_size)
    settings.COMPLETION_AGGREGATOR_SNAPSHOT_DAYS = 7
    history(today, 365, 9, 8, 7, 0)

    assert clean_up() == CleanupReport(old_snapshots=6)

    assert [row[1] for row in courses()] == [7, 0]
    assert LearnerSnapshot.objects.count() == 2
    assert clean_up() == CleanupReport()


def test_snapshots_of_users_who_do_not_exist_are_deleted(course: Any, now: datetime) -> None:
    learner(3)
    take_snapshots(now)
    LearnerSnapshot.objects.update(user_id=2_000_000_000)

    assert clean_up() == CleanupReport(learner_snapshots=1)
