"""Bulk work waits for what learners do, and is done within its budget."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator import tasks
from completion_aggregator.models import BulkBudget, StaleCompletion
from completion_aggregator.selectors import get_status
from completion_aggregator.services import (
    Chunk,
    aggregate_chunk,
    aggregate_stale,
    budget,
    claim_stale_chunks,
    find_stale_chunks,
    grant_bulk,
    mark_completion,
    mark_course,
    mark_learners,
    mark_never_aggregated,
    queue,
)
from tests.factories import COURSE_KEY, EnrollmentFactory, UserFactory, key, new_course_key, publish_course

pytestmark = pytest.mark.django_db


@pytest.fixture
def ids() -> list[int]:
    """Six learners of the small course, aggregated."""
    publish_course()
    user_ids = [EnrollmentFactory().user.pk for _ in range(6)]
    aggregate_stale()
    return user_ids


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The clock that the budget is given out by; it stands still until it is set forward."""

    class Clock:
        moment = timezone.now()

        def now(self) -> datetime:
            return self.moment

        def forward(self, seconds: float) -> None:
            self.moment += timedelta(seconds=seconds)

    clock = Clock()
    monkeypatch.setattr(budget, "timezone", clock)
    return clock


def chunk(*user_ids: int) -> Chunk:
    return Chunk(str(COURSE_KEY), list(user_ids))


def bulk_ids() -> list[int]:
    return sorted(StaleCompletion.objects.filter(bulk=True).values_list("user_id", flat=True))


def mark_all(user_ids: list[int]) -> None:
    """Leave what `mark_course` leaves, in this order; the database is free to write them in another."""
    markers = [StaleCompletion(user_id=user_id, course_key=str(COURSE_KEY), bulk=True) for user_id in user_ids]
    StaleCompletion.objects.bulk_create(markers)


# Which work is which


def test_what_marks_a_whole_course_is_bulk_work(ids: list[int]) -> None:
    mark_course(COURSE_KEY)

    assert bulk_ids() == ids


def test_whoever_was_never_aggregated_is_bulk_work(ids: list[int]) -> None:
    newcomer = EnrollmentFactory().user.pk
    StaleCompletion.objects.all().delete()
    mark_never_aggregated(COURSE_KEY)

    assert bulk_ids() == [newcomer]


def test_what_a_learner_does_is_not(ids: list[int]) -> None:
    mark_completion(ids[0], COURSE_KEY, key("html/h1"))
    EnrollmentFactory()

    assert StaleCompletion.objects.count() == 2
    assert bulk_ids() == []


def test_a_publication_leaves_what_is_in_a_hurry(ids: list[int], django_capture_on_commit_callbacks: Any) -> None:
    """Else a learner who has just enrolled would wait for everybody."""
    mark_learners(COURSE_KEY, ids[:1])

    with django_capture_on_commit_callbacks(execute=True):
        mark_course(COURSE_KEY)
        mark_course(COURSE_KEY)

    assert bulk_ids() == ids
    assert StaleCompletion.objects.values_list("user_id", flat=True).get(bulk=False) == ids[0]


def test_code_that_knows_nothing_of_it_writes_what_is_in_a_hurry(ids: list[int]) -> None:
    """While a deployment runs, older processes go on writing markers."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO completion_aggregator_stalecompletion (user_id, course_key, created, attempts, last_error)"
            " VALUES (%s, %s, '2025-01-01 00:00:00', 0, '')",
            [ids[0], str(COURSE_KEY)],
        )

    assert StaleCompletion.objects.get().bulk is False


# Which comes first


@pytest.mark.parametrize("find", [find_stale_chunks, claim_stale_chunks])
def test_what_learners_do_comes_before_bulk_work_however_old(ids: list[int], find: Any) -> None:
    elsewhere = new_course_key()
    mark_all(ids)
    mark_learners(elsewhere, [ids[5]])
    mark_completion(ids[4], COURSE_KEY, key("html/h1"))

    found = []
    for each in find(chunk_size=4):
        found.append(each)
        aggregate_chunk(each)

    # The learner with markers of both kinds came with the first.
    assert found == [Chunk(str(elsewhere), [ids[5]]), chunk(ids[4]), chunk(*ids[:4]), chunk(ids[5])]


@pytest.mark.parametrize("find", [find_stale_chunks, claim_stale_chunks])
def test_whoever_does_something_during_bulk_work_comes_next(ids: list[int], find: Any) -> None:
    mark_all(ids)
    found = []
    for each in find(chunk_size=2):
        found.append(each)
        aggregate_chunk(each)
        if len(found) == 1:
            mark_completion(ids[5], COURSE_KEY, key("html/h1"))

    assert found == [chunk(*ids[:2]), chunk(ids[5]), chunk(*ids[2:4]), chunk(ids[4])]


def test_bulk_work_has_its_turn_though_learners_never_pause(ids: list[int]) -> None:
    """After each chunk of it those are looked for who have done something: they are never looked for twice in a row."""
    mark_all(ids)
    found = []
    for each in find_stale_chunks(chunk_size=1):
        found.append(each.user_ids[0])
        aggregate_chunk(each)
        mark_completion(ids[0], COURSE_KEY, key("html/h1"))

    assert set(found) == set(ids)
    assert len(found) <= 2 * len(ids) + 1


def test_whoever_could_not_be_aggregated_is_not_tried_after_each_chunk(ids: list[int]) -> None:
    mark_learners(COURSE_KEY, ids[:1])
    mark_all(ids)

    # Nobody aggregates what is given here.
    assert list(find_stale_chunks(chunk_size=3)) == [chunk(ids[0]), chunk(*ids[:3]), chunk(*ids[3:])]


def test_chunks_of_bulk_work_are_small(ids: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "BULK_CHUNK_SIZE", 4)
    mark_all(ids)

    assert list(find_stale_chunks()) == [chunk(*ids[:4]), chunk(*ids[4:])]


def test_a_pass_takes_no_more_of_both_than_its_limits(ids: list[int]) -> None:
    mark_all(ids)
    mark_learners(COURSE_KEY, ids[:2])

    assert list(find_stale_chunks(limit=1)) == [chunk(ids[0])]
    assert list(find_stale_chunks(limit=3)) == [chunk(*ids[:2]), chunk(ids[0])]
    assert list(find_stale_chunks(bulk_limit=0)) == [chunk(*ids[:2])]
    assert list(find_stale_chunks(bulk_limit=5, limit=6)) == [chunk(*ids[:2]), chunk(*ids[:4])]


def test_finding_takes_three_queries_for_each_chunk_of_bulk_work(ids: list[int]) -> None:
    counts = []
    for size in (6, 3, 1):
        mark_all(ids)
        with CaptureQueriesContext(connection) as queries:
            found = len(list(find_stale_chunks(chunk_size=size)))
        counts.append(len(queries) - 3 * found)

    # The newest marker, the courses of what is in a hurry, those of bulk work.
    assert counts == [3, 3, 3]


# The budget


def test_the_first_grant_is_that_of_a_minute(clock: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_BULK_BUDGET = 20

    assert grant_bulk() == 20 / 0.05
    assert grant_bulk() == 0


def test_the_next_grant_is_as_much_as_time_has_passed_and_nothing_is_saved_up(clock: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_BULK_BUDGET = 30
    grant_bulk()

    granted = []
    for seconds in (6, 60, 3600, 86_400, -5, 5, 2):
        clock.forward(seconds)
        granted.append(grant_bulk())

    # A clock that goes backwards gives nothing twice.
    assert granted == [60, 600, 36_000, 36_000, 0, 0, 20]


def test_there_may_be_no_limit(clock: Any, settings: Any, ids: list[int]) -> None:
    for none in (None, 0):
        settings.COMPLETION_AGGREGATOR_BULK_BUDGET = none
        assert [grant_bulk(), grant_bulk()] == [None, None]
        budget.charge_bulk(1, 100.0)
    assert not BulkBudget.objects.exists()


def test_what_took_longer_than_granted_is_taken_from_the_next_grant(clock: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_BULK_BUDGET = 60
    assert grant_bulk() == 1200
    budget.charge_bulk(100, 15.0)

    # 10 seconds too many, and the estimate has grown from 50 ms to 60.
    clock.forward(16)
    assert grant_bulk() == 6 / 0.06


def test_what_took_less_than_granted_is_given_out_again(clock: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_BULK_BUDGET = 60
    grant_bulk()
    budget.charge_bulk(1000, 45.0)
    BulkBudget.objects.update(seconds_per_learner=0.05)

    clock.forward(1)
    assert grant_bulk() == 120
    # Never more than a minute's.
    budget.charge_bulk(100_000, 5.0)
    clock.forward(60)
    BulkBudget.objects.update(seconds_per_learner=0.05)
    assert grant_bulk() == 1200


def test_failures_that_take_no_time_do_not_open_the_door_to_all(clock: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_BULK_BUDGET = 60
    grant_bulk()
    for _ in range(100):
        budget.charge_bulk(1, 0.0)

    assert BulkBudget.objects.get().seconds_per_learner == 0.001


def test_a_learner_who_takes_longer_than_the_budget_has_a_turn(clock: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_BULK_BUDGET = 1
    BulkBudget.objects.create(pk=1, seconds_per_learner=10.0)

    granted = []
    for _ in range(21):
        granted.append(grant_bulk())
        clock.forward(60)

    # Ten minutes' worth each time.
    assert granted == ([1] + [0] * 9) * 2 + [1]


@given(
    steps=st.lists(st.tuples(st.floats(0, 90), st.floats(0.001, 1)), min_size=1, max_size=30),
    seconds=st.sampled_from([0.5, 30, 240]),
)
def test_over_time_bulk_work_takes_what_it_may(steps: list[tuple[float, float]], seconds: float) -> None:
    """Whatever a learner takes, and however often it is asked for: the sum is the budget of the time passed."""
    BulkBudget.objects.all().delete()
    with pytest.MonkeyPatch.context() as patch:
        moment = timezone.now()
        patch.setattr(budget.conf.__class__, "BULK_BUDGET", seconds)
        patch.setattr(budget.timezone, "now", lambda: moment)
        passed = taken = overrun = 0.0
        for pause, each in steps:
            learners = grant_bulk()
            assert learners is not None
            estimate = BulkBudget.objects.get().seconds_per_learner
            if learners:
                budget.charge_bulk(learners, learners * each)
            taken += learners * each
            # A grant is made before it is known what it takes, and rounded up.
            overrun = max(overrun, learners * (each - estimate) + max(each, estimate))
            assert taken <= seconds * (passed / 60 + 1) + overrun * 1.001 + 0.001
            moment += timedelta(seconds=pause)
            passed += pause


def test_only_bulk_work_is_charged(ids: list[int], clock: Any) -> None:
    grant_bulk()
    before = BulkBudget.objects.values().get()
    mark_all(ids)
    mark_completion(ids[0], COURSE_KEY, key("html/h1"))

    aggregate_chunk(chunk(ids[0]))
    assert BulkBudget.objects.values().get() == before

    aggregate_chunk(chunk(*ids[1:]))
    assert BulkBudget.objects.values().get() != before


# Who keeps to it


def run(name: str, *arguments: str) -> list[str]:
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue().splitlines()


@pytest.fixture
def spent(ids: list[int], clock: Any) -> list[int]:
    """Everybody is marked, the budget allows two learners, and one of the others has done something."""
    mark_all(ids)
    mark_completion(ids[5], COURSE_KEY, key("html/h1"))
    grant_bulk()
    BulkBudget.objects.update(debt=0.0, seconds_per_learner=0.01)
    clock.forward(0.04)
    return ids


def test_the_service_leaves_to_the_next_pass_what_the_budget_does_not_allow(spent: list[int]) -> None:
    run("run_aggregator_service", "--inline")

    assert bulk_ids() == spent[2:5]


def test_the_service_sends_no_more_than_the_budget_allows(spent: list[int]) -> None:
    assert run("run_aggregator_service")[-1] == "sent to the workers: 3 learners in 2 chunks"
    assert bulk_ids() == spent[2:5]


def test_the_task_sends_no_more_than_the_budget_allows(spent: list[int]) -> None:
    assert tasks.dispatch() == 3
    assert bulk_ids() == spent[2:5]


def test_a_rebuild_by_hand_leaves_the_rest_to_the_service(spent: list[int]) -> None:
    assert run("reaggregate_course", str(COURSE_KEY))[-2:] == [
        "sent to the workers: 3 learners in 2 chunks",
        "left to the next passes of the service, by BULK_BUDGET: 3 learners",
    ]


def test_a_rebuild_that_somebody_waits_for_is_not_held_back(spent: list[int]) -> None:
    run("reaggregate_course", str(COURSE_KEY), "--inline")

    assert StaleCompletion.objects.count() == 0


def test_all_is_done_in_the_end_within_the_budget(ids: list[int], clock: Any) -> None:
    mark_all(ids)
    grant_bulk()
    BulkBudget.objects.update(debt=0.0)
    left = []
    while bulk_ids():
        clock.forward(0.04)
        BulkBudget.objects.update(seconds_per_learner=0.01, debt=0.0)
        run("run_aggregator_service", "--inline")
        left.append(len(bulk_ids()))

    assert left == [4, 2, 0]


# What is told


def test_the_status_tells_what_is_bulk_work_and_how_long_it_takes(ids: list[int], settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_BULK_BUDGET = 15
    mark_all(ids)
    mark_learners(COURSE_KEY, ids[:2])
    BulkBudget.objects.create(pk=1, seconds_per_learner=20.0, debt=30.0)

    status = get_status()
    assert (status.due, status.bulk, status.bulk_budget, status.bulk_seconds_left) == (8, 6, 15, 600.0)
    assert "  of bulk work:      6, done in about 0:10:00 (15 seconds a minute)" in run("aggregator_status")

    settings.COMPLETION_AGGREGATOR_BULK_BUDGET = 0
    assert "  of bulk work:      6, done in about 0:02:30 (no limit)" in run("aggregator_status")


def test_the_status_of_a_site_without_bulk_work(ids: list[int]) -> None:
    BulkBudget.objects.create(pk=1, debt=30.0)
    mark_learners(COURSE_KEY, [UserFactory().pk])

    status = get_status()
    assert (status.bulk, status.bulk_budget, status.bulk_seconds_left) == (0, 30, 0.0)
