"""Thresholds told by several processes at once on MariaDB and PostgreSQL, some of which are killed over it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db import connections
from django.utils import timezone

from completion_aggregator.models import CourseAggregate, ReachedThreshold
from completion_aggregator.services import aggregate_stale, send_reached_thresholds
from completion_aggregator.signals import threshold_reached
from tests.factories import EnrollmentFactory, complete, publish_course
from tests.listening import listening
from tests.races import actors
from tests.races.test_races import KILLS, SECONDS, in_thread, running

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def learners() -> list[Any]:
    """Forty learners in the small course, of whom nothing is known yet."""
    publish_course()
    return [EnrollmentFactory().user for _ in range(40)]


def write_down(user_id: int, threshold: float, **kwargs: Any) -> None:
    LogEntry.objects.create(user_id=user_id, object_repr=str(threshold), action_flag=1)


def assert_everything_was_told_once() -> None:
    with listening(threshold_reached, write_down):
        ReachedThreshold.objects.exclude(due_at=None).update(due_at=timezone.now())
        send_reached_thresholds()
    assert not ReachedThreshold.objects.exclude(due_at=None).exists()
    told = Counter(LogEntry.objects.values_list("user_id", "object_repr"))
    sent = ReachedThreshold.objects.exclude(sent_at=None).values_list("user_id", "threshold")
    assert told == Counter((user_id, str(threshold)) for user_id, threshold in sent)
    # Whoever is above a threshold now has reached it.
    for user_id, percent in CourseAggregate.objects.filter(possible__gt=0).values_list("user_id", "percent"):
        reached = set(ReachedThreshold.objects.filter(user_id=user_id).values_list("threshold", flat=True))
        assert {each for each in (0.25, 0.5, 0.75, 1.0) if each <= percent} <= reached


def test_workers_and_passes_meet_over_the_same_thresholds(learners: list[Any]) -> None:
    worker, sender = partial(actors.listen, act=actors.work), partial(actors.listen, act=actors.send)
    with running(worker, worker, sender, sender, actors.learn, actors.publish):
        time.sleep(SECONDS)

    assert LogEntry.objects.exists()
    assert_everything_was_told_once()


def test_workers_are_killed_while_they_tell(learners: list[Any], tmp_path: Path) -> None:
    tallies = [tmp_path / "one", tmp_path / "other"]
    killers = [
        partial(actors.listen, act=partial(actors.work_and_die, kills=KILLS // 2, tally=str(tally)))
        for tally in tallies
    ]
    with running(actors.learn), running(*killers) as processes:
        for process in processes:
            process.join(timeout=120)

    assert sum(int(tally.read_text()) for tally in tallies) > KILLS // 2
    assert_everything_was_told_once()


@pytest.mark.parametrize("name", ["progress_changed", "threshold_reached"], ids=["before it tells", "while it tells"])
def test_a_worker_is_killed_between_the_commit_and_the_signal(learners: list[Any], name: str) -> None:
    for learner in learners:
        complete(learner, "html/h1", "html/h2", "problem/p1")
    with running(partial(actors.die_at, name=name)):
        pass

    # The aggregation is there, and nothing of what the receivers have begun.
    assert set(CourseAggregate.objects.values_list("percent", flat=True)) == {0.5}
    assert (ReachedThreshold.objects.exclude(due_at=None).count(), Group.objects.count()) == (80, 0)
    with listening(threshold_reached, actors.write_group) as heard:
        assert send_reached_thresholds() == 0
        ReachedThreshold.objects.update(due_at=timezone.now() - timedelta(seconds=1))
        assert [send_reached_thresholds() for _ in range(2)] == [80, 0]

    expected = {(learner.pk, threshold, 0.5) for learner in learners for threshold in (0.25, 0.5)}
    assert {(each["user_id"], each["threshold"], each["percent"]) for each in heard} == expected
    assert Group.objects.count() == len(heard) == 80


def test_a_worker_waits_for_no_receiver(learners: list[Any]) -> None:
    """Not even for that of the same learner, who falls and comes back meanwhile, nor for that of a neighbour."""
    slow, *others = learners[:3]
    begun, may_end = threading.Event(), threading.Event()

    def take_long(user_id: int, **kwargs: Any) -> None:
        if threading.current_thread() is sender:
            begun.set()
            may_end.wait(60)

    def work() -> None:
        for user in (slow, *others):
            complete(user, "html/h1", "html/h2", value=0.0)
        aggregate_stale()
        for user in (slow, *others):
            complete(user, "html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")
        aggregate_stale()

    complete(slow, "html/h1", "html/h2")
    sender = threading.Thread(target=lambda: (aggregate_stale(), connections.close_all()))
    with listening(threshold_reached, take_long):
        sender.start()
        assert begun.wait(30)
        worker = in_thread(work)
        worker.join(timeout=30)
        is_stuck = worker.is_alive()
        may_end.set()
        for thread in (worker, sender):
            thread.join()

    assert not is_stuck
    assert ReachedThreshold.objects.exclude(sent_at=None).count() == 12
