"""Reached thresholds: noted with the aggregation, told after it, once for ever."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from completion.models import BlockCompletion
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from completion_aggregator.models import CourseAggregate, ReachedThreshold, Takeover
from completion_aggregator.selectors import migration
from completion_aggregator.services import aggregate, aggregate_stale, send_reached_thresholds, thresholds
from completion_aggregator.signals import threshold_reached
from completion_aggregator.tasks import dispatch
from tests.factories import COURSE_KEY, SMALL_COURSE, EnrollmentFactory, block, complete, publish_course
from tests.listening import listening

pytestmark = pytest.mark.django_db(transaction=True)

#: Six blocks to do: a sixth, a third, a half, ...
SIX = ["html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1"]


def fail(**kwargs: Any) -> None:
    raise ZeroDivisionError("Not now.")


def do(user: Any, number: int) -> None:
    """Let so many of the six blocks be done, and aggregate."""
    complete(user, *SIX[:number])
    for completion in BlockCompletion.objects.filter(user=user).exclude(block_key__in=_keys(number)):
        completion.delete()
    aggregate_stale()


def _keys(number: int) -> list[Any]:
    return [COURSE_KEY.make_usage_key(*name.split("/")) for name in SIX[:number]]


def told(heard: list[dict[str, Any]]) -> list[tuple[int, float, float]]:
    assert all(each.keys() == {"user_id", "course_key", "threshold", "percent"} for each in heard)
    assert all(each["course_key"] == COURSE_KEY for each in heard)
    return [(each["user_id"], each["threshold"], each["percent"]) for each in heard]


def unsent() -> list[tuple[float, int]]:
    """Return threshold and attempts of what is still to be sent."""
    return list(
        ReachedThreshold.objects.exclude(due_at=None).order_by("threshold").values_list("threshold", "attempts")
    )


def leave_unsent(user: Any, number: int) -> None:
    """Have thresholds reached, and nobody who tells it: as when a worker dies after the commit."""

    def die(**kwargs: Any) -> None:
        raise SoftTimeLimitExceeded

    with listening(threshold_reached, die), pytest.raises(SoftTimeLimitExceeded):
        do(user, number)


def let_time_pass() -> None:
    ReachedThreshold.objects.exclude(due_at=None).update(due_at=timezone.now() - timedelta(seconds=1))


# When


def test_each_threshold_is_told_when_it_is_reached(learner: Any) -> None:
    with listening(threshold_reached) as heard:
        found = []
        for number in range(7):
            do(learner, number)
            found.append(told(heard))
            heard.clear()

    one = learner.pk
    assert found == [
        [],
        [],
        [(one, 0.25, 2 / 6)],
        [(one, 0.5, 0.5)],
        [],
        [(one, 0.75, 5 / 6)],
        [(one, 1.0, 1.0)],
    ]
    assert unsent() == []
    assert not ReachedThreshold.objects.filter(sent_at=None).exists()


def test_thresholds_that_are_passed_at_once_are_all_told_the_lowest_first(learner: Any) -> None:
    with listening(threshold_reached) as heard:
        do(learner, 6)

    assert told(heard) == [(learner.pk, threshold, 1.0) for threshold in (0.25, 0.5, 0.75, 1.0)]


def test_whoever_falls_below_a_threshold_and_comes_back_is_not_told_again(learner: Any) -> None:
    with listening(threshold_reached) as heard:
        for number in (3, 0, 3, 1, 4, 0, 5):
            do(learner, number)

    assert told(heard) == [(learner.pk, 0.25, 0.5), (learner.pk, 0.5, 0.5), (learner.pk, 0.75, 5 / 6)]


def test_a_course_in_which_there_is_nothing_to_do_is_not_reached(course: Any) -> None:
    publish_course([block("course/course", "chapter/c1"), block("chapter/c1")])
    user = EnrollmentFactory().user
    with listening(threshold_reached) as heard:
        aggregate_stale()
        assert CourseAggregate.objects.get().percent == 1.0
        assert (heard, ReachedThreshold.objects.count()) == ([], 0)
        # All of it was done, but there was nothing: now there is.
        publish_course(SMALL_COURSE)
        do(user, 2)
        assert told(heard) == [(user.pk, 0.25, 2 / 6)]


def test_what_was_reached_before_anybody_counted_is_not_told(learner: Any) -> None:
    """As with values that were taken over from openedx-completion-aggregator 4.5, computed here or not."""
    do(learner, 0)
    aggregates = CourseAggregate.objects.filter(user=learner)
    for computed_at in (None, timezone.now()):
        aggregates.update(earned=3.0, percent=0.5, computed_at=computed_at)
        with listening(threshold_reached) as heard:
            do(learner, 4)
            # Below, and again: it is still not news.
            do(learner, 0)
            do(learner, 5)

        assert told(heard) == ([(learner.pk, 0.75, 5 / 6)] if computed_at is None else [])
    silent = ReachedThreshold.objects.filter(sent_at=None, due_at=None)
    assert sorted(silent.values_list("threshold", flat=True)) == [0.25, 0.5]


def test_who_is_computed_before_the_rows_of_4_5_are_copied_is_told_nothing_old(
    learner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "_is_over", False)
    Takeover.objects.create(total=1)
    with listening(threshold_reached) as heard:
        do(learner, 3)
        assert told(heard) == []
        # From here on it is news.
        do(learner, 5)

    assert told(heard) == [(learner.pk, 0.75, 5 / 6)]


def test_a_threshold_that_is_added_later_is_told_only_to_those_below(learner: Any, settings: Any) -> None:
    other = EnrollmentFactory().user
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = []
    with listening(threshold_reached) as heard:
        do(learner, 3)
        do(other, 1)
        assert (heard, ReachedThreshold.objects.count()) == ([], 0)
        settings.COMPLETION_AGGREGATOR_THRESHOLDS = [1 / 3]
        do(learner, 4)
        do(other, 2)
        do(other, 1)
        do(other, 2)

    assert told(heard) == [(other.pk, 1 / 3, 1 / 3)]


def test_to_whom_nobody_listens_it_is_not_told_later(learner: Any) -> None:
    do(learner, 3)
    assert unsent() == []
    assert ReachedThreshold.objects.exclude(sent_at=None).count() == 2

    with listening(threshold_reached) as heard:
        send_reached_thresholds()
        do(learner, 2)
        do(learner, 3)

    assert heard == []


def test_nothing_is_noted_and_told_of_what_is_rolled_back(learner: Any) -> None:
    complete(learner, *SIX)
    with listening(threshold_reached) as heard:
        with transaction.atomic():
            aggregate(COURSE_KEY, [learner.pk])
            assert ReachedThreshold.objects.count() == 4
            transaction.set_rollback(True)
        assert (heard, ReachedThreshold.objects.count()) == ([], 0)
        with transaction.atomic():
            aggregate(COURSE_KEY, [learner.pk])
            assert heard == []

    assert len(heard) == 4


def test_deleting_a_user_deletes_what_was_reached(learner: Any) -> None:
    other = EnrollmentFactory().user
    leave_unsent(learner, 6)
    do(other, 2)
    learner.delete()

    assert list(ReachedThreshold.objects.values_list("user_id", flat=True)) == [other.pk]


@pytest.mark.parametrize("seed", range(5))
def test_each_threshold_is_told_when_it_is_first_reached_whatever_happens(learner: Any, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    expected: dict[float, float] = {}
    with listening(threshold_reached) as heard:
        for number in (dice.randrange(7) for _ in range(8)):
            do(learner, number)
            for threshold in (0.25, 0.5, 0.75, 1.0):
                if number / 6 >= threshold:
                    expected.setdefault(threshold, number / 6)

    assert told(heard) == [(learner.pk, threshold, percent) for threshold, percent in expected.items()]


# Cost


def count_queries(users: list[Any], number: int) -> int:
    for user in users:
        complete(user, *SIX[:number])
    with CaptureQueriesContext(connection) as queries:
        aggregate(COURSE_KEY, [user.pk for user in users])
    return len(queries)


@pytest.fixture
def class_of_twenty(course: Any) -> list[Any]:
    users = [EnrollmentFactory().user for _ in range(20)]
    aggregate_stale()
    return users


def test_noting_costs_two_statements_for_many_learners_as_for_one(class_of_twenty: list[Any], settings: Any) -> None:
    one, *others = class_of_twenty
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = []
    nobody = count_queries([one], 1)
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = [0.25]

    assert count_queries(others[:2], 1) == nobody
    assert count_queries(others[:1], 6) == nobody + 2
    assert count_queries(others[1:], 6) == nobody + 2


# A receiver


def join(threshold: float, user_id: int, **kwargs: Any) -> None:
    """Write something to the database."""
    Group.objects.create(name=f"{user_id} {threshold}")


def groups() -> list[str]:
    return sorted(Group.objects.values_list("name", flat=True))


def test_what_a_receiver_writes_is_undone_when_another_one_raises_and_there_once_in_the_end(
    learner: Any, caplog: Any
) -> None:
    def hesitate(threshold: float, **kwargs: Any) -> None:
        if threshold == 0.25 and len(heard) < 3:
            heard.append(threshold)
            raise ZeroDivisionError("Not now.")

    heard: list[float] = []
    with listening(threshold_reached, join, hesitate):
        do(learner, 3)
        assert groups() == [f"{learner.pk} 0.5"]
        assert unsent() == [(0.25, 1)]
        for _ in range(5):
            let_time_pass()
            send_reached_thresholds()

    assert groups() == [f"{learner.pk} 0.25", f"{learner.pk} 0.5"]
    assert unsent() == []
    assert ReachedThreshold.objects.get(threshold=0.25).attempts == 4
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 3


def test_the_pause_of_what_fails_doubles_up_to_a_day(learner: Any, settings: Any, caplog: Any) -> None:
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = [0.5]
    settings.COMPLETION_AGGREGATOR_RETRY_DELAY = 60
    pauses = []
    with listening(threshold_reached, fail):
        now = timezone.now()
        do(learner, 3)
        for _ in range(13):
            due_at = ReachedThreshold.objects.get().due_at
            assert due_at is not None
            pauses.append(round((due_at - now).total_seconds() / 60))
            let_time_pass()
            now = timezone.now()
            assert send_reached_thresholds() == 0

    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440]
    assert send_reached_thresholds() == 0
    let_time_pass()
    assert send_reached_thresholds() == 1


def test_what_another_pass_has_just_tried_is_left_alone(learner: Any, caplog: Any) -> None:
    leave_unsent(learner, 3)
    let_time_pass()

    def begin_another_pass(threshold: float, **kwargs: Any) -> None:
        if threshold == 0.5:
            fail()
        send_reached_thresholds()

    with listening(threshold_reached, begin_another_pass):
        assert send_reached_thresholds() == 1

    # Once by whoever has written it, once by one of the passes.
    assert unsent() == [(0.5, 2)]


def test_what_fails_holds_up_nobody_else(learner: Any, caplog: Any) -> None:
    other = EnrollmentFactory().user

    def refuse(user_id: int, **kwargs: Any) -> None:
        if user_id == learner.pk:
            raise ZeroDivisionError("Not this one.")

    with listening(threshold_reached, refuse) as heard:
        complete(learner, *SIX[:3])
        do(other, 3)

    assert told(heard) == [(other.pk, 0.25, 0.5), (other.pk, 0.5, 0.5)]
    assert unsent() == [(0.25, 1), (0.5, 1)]


def test_what_was_reached_is_told_as_it_was_when_it_was_reached(learner: Any) -> None:
    leave_unsent(learner, 3)
    do(learner, 0)
    let_time_pass()
    with listening(threshold_reached) as heard:
        assert send_reached_thresholds() == 2

    assert told(heard) == [(learner.pk, 0.25, 0.5), (learner.pk, 0.5, 0.5)]


def test_a_worker_whose_time_is_over_leaves_the_rest_to_the_next_pass(learner: Any) -> None:
    leave_unsent(learner, 6)

    assert unsent() == [(0.25, 1), (0.5, 1), (0.75, 1), (1.0, 1)]
    assert CourseAggregate.objects.get().percent == 1.0


@pytest.mark.parametrize(
    "run_pass",
    [
        send_reached_thresholds,
        aggregate_stale,
        dispatch,
        lambda: call_command("run_aggregator_service"),
        lambda: call_command("run_aggregator_service", "--inline"),
    ],
    ids=["service", "aggregate_stale", "task", "command", "command inline"],
)
def test_every_pass_tells_what_others_have_left(learner: Any, run_pass: Callable[[], object]) -> None:
    leave_unsent(learner, 2)
    with listening(threshold_reached) as heard:
        # Whoever has written it may still be at it.
        run_pass()
        assert (heard, unsent()) == ([], [(0.25, 1)])
        let_time_pass()
        run_pass()
        run_pass()

    assert told(heard) == [(learner.pk, 0.25, 2 / 6)]
    assert unsent() == []


def test_a_pass_takes_what_has_waited_longest_and_not_too_much(learner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "_MAX_IN_A_PASS", 3)
    leave_unsent(learner, 6)
    let_time_pass()
    ReachedThreshold.objects.filter(threshold=0.25).update(due_at=timezone.now())
    with listening(threshold_reached) as heard:
        assert [send_reached_thresholds() for _ in range(3)] == [3, 1, 0]

    assert [each["threshold"] for each in heard][-1] == 0.25


def test_a_pass_looks_at_what_is_due_alone(learner: Any) -> None:
    do(learner, 6)
    with CaptureQueriesContext(connection) as queries:
        assert send_reached_thresholds() == 0

    assert len(queries) == 1
