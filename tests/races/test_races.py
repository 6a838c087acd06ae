"""Several processes at once on MariaDB and PostgreSQL: afterwards nobody is stale and everything stored is right."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections, transaction

from completion_aggregator.models import BlockAggregate, StaleCompletion
from completion_aggregator.services import aggregate_stale
from tests.factories import COURSE_KEY, EnrollmentFactory, complete, publish_course
from tests.races import actors
from tests.truth import assert_stored_is_computed

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

SECONDS = float(os.environ.get("RACE_SECONDS", "8"))
KILLS = int(os.environ.get("RACE_KILLS", "30"))
spawn = multiprocessing.get_context("spawn")


@pytest.fixture
def learners() -> list[Any]:
    """Forty learners in the small course."""
    publish_course()
    return [EnrollmentFactory().user for _ in range(40)]


@contextmanager
def running(*cast: actors.Actor) -> Iterator[list[Any]]:
    """Let the actors run in processes of their own; afterwards each must have ended by itself, without an error."""
    until = spawn.Event()
    name = connection.settings_dict["NAME"]
    processes = [spawn.Process(target=actors.start, args=(actor, name, until, seed)) for seed, actor in enumerate(cast)]
    for process in processes:
        process.start()
    try:
        yield processes
    finally:
        until.set()
        for process in processes:
            process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0] * len(cast)


def assert_all_is_right() -> None:
    aggregate_stale()
    assert list(StaleCompletion.objects.values_list("last_error", flat=True)) == []
    assert BlockAggregate.objects.exists()
    assert_stored_is_computed(COURSE_KEY)


def test_learners_work_while_four_workers_aggregate(learners: list[Any]) -> None:
    with running(actors.work, actors.work, actors.work, actors.work, actors.learn, actors.learn):
        time.sleep(SECONDS)

    assert_all_is_right()


def test_the_course_is_published_while_learners_work_and_workers_aggregate(learners: list[Any]) -> None:
    with running(actors.work, actors.work, actors.work, actors.learn, actors.learn, actors.publish):
        time.sleep(SECONDS)

    assert_all_is_right()


def test_workers_are_killed_in_the_middle_of_their_work(learners: list[Any]) -> None:
    with running(actors.learn, actors.publish):
        name = connection.settings_dict["NAME"]
        for kill in range(KILLS):
            worker = spawn.Process(target=actors.start, args=(actors.work, name, spawn.Event(), kill))
            worker.start()
            # It takes about a second to start; some are killed at their first statement, some later.
            time.sleep(0.8 + (kill % 10) / 10)
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
            worker.join()

    assert_all_is_right()


def in_thread(act: Any) -> threading.Thread:
    """Run something on a connection of its own."""

    def run() -> None:
        act()
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_completion_that_is_committed_late_is_counted(learners: list[Any]) -> None:
    aggregate_stale()
    written, may_commit = threading.Event(), threading.Event()

    def take_long() -> None:
        with transaction.atomic():
            complete(learners[0], "html/h1")
            written.set()
            may_commit.wait(30)

    late = in_thread(take_long)
    assert written.wait(30)
    # Its marker has the lower id, and is not to be seen yet.
    complete(learners[0], "html/h2")
    assert aggregate_stale().resolved == 1
    may_commit.set()
    late.join()

    assert aggregate_stale().resolved == 1
    assert_all_is_right()
    assert BlockAggregate.objects.get(user=learners[0], block__block_type="course").earned == 2.0


def test_a_worker_leaves_a_learner_alone_whom_another_one_has(learners: list[Any]) -> None:
    aggregate_stale()
    complete(learners[0], "html/h1")
    complete(learners[1], "html/h1")
    locked, may_commit = threading.Event(), threading.Event()

    def hold() -> None:
        from completion_aggregator.models import CourseAggregate

        with transaction.atomic():
            list(CourseAggregate.objects.select_for_update().filter(user=learners[0]))
            locked.set()
            may_commit.wait(30)

    other = in_thread(hold)
    assert locked.wait(30)
    report = aggregate_stale()
    may_commit.set()
    other.join()

    assert (report.learners, report.skipped, report.resolved) == (1, 1, 1)
    assert aggregate_stale().learners == 1
    assert_all_is_right()
