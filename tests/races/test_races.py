"""Several processes at once on MariaDB and PostgreSQL: afterwards nobody is stale and everything stored is right."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test import Client
from django.utils import timezone

from completion_aggregator.models import BlockAggregate, CourseAggregate, OldAggregate, StaleCompletion, Takeover
from completion_aggregator.services import aggregate_stale, mark_course
from completion_aggregator.services.takeover import take_over_batch
from tests.acceptance.helpers import REFRESH
from tests.factories import COURSE_KEY, EnrollmentFactory, UserFactory, complete, key, publish_course
from tests.races import actors
from tests.truth import assert_stored_is_computed, computed

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

SECONDS = float(os.environ.get("RACE_SECONDS", "6"))
KILLS = int(os.environ.get("RACE_KILLS", "100"))
#: Nothing of the connections and threads of this process is in the others, and none takes seconds to start.
forked = multiprocessing.get_context("forkserver")
forked.set_forkserver_preload(["tests.races.preloaded"])


@pytest.fixture
def learners() -> list[Any]:
    """Forty learners in the small course."""
    publish_course()
    return [EnrollmentFactory().user for _ in range(40)]


@contextmanager
def running(*cast: actors.Actor) -> Iterator[list[Any]]:
    """Let the actors run in processes of their own; afterwards each must have ended by itself, without an error."""
    ready, until = forked.Semaphore(0), forked.Event()
    name = connection.settings_dict["NAME"]
    processes = [
        forked.Process(target=actors.start, args=(actor, name, ready, until, seed)) for seed, actor in enumerate(cast)
    ]
    for process in processes:
        process.start()
    try:
        # The race begins when all are there.
        assert all(ready.acquire(timeout=60) for _ in processes)
        yield processes
    finally:
        until.set()
        for process in processes:
            process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0] * len(cast)


def assert_all_is_right() -> None:
    # The first may meet a new version of the course, and mark those who were not stale.
    aggregate_stale()
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


@pytest.fixture
def old_rows(learners: list[Any]) -> Iterator[None]:
    """Wrong rows that 4.5 has left of all the learners, some of them of a block that is gone."""
    with connection.schema_editor() as editor:
        editor.create_model(OldAggregate)
    Takeover.objects.create()
    values = dict.fromkeys(("earned", "possible", "percent", "optional_earned", "optional_possible"), 1.0)
    now = timezone.now()
    blocks = [key(name) for name in ("course/course", "chapter/c1", "vertical/v1", "vertical/gone")] * 20
    OldAggregate.objects.bulk_create(
        OldAggregate(
            user_id=user.pk,
            course_key=COURSE_KEY,
            block_key=f"{block}{number // 4 or ''}",
            aggregation_name=block.split("@")[1].split("+")[0],
            last_modified=now,
            modified=now,
            **values,
        )
        for number, block in enumerate(blocks)
        for user in learners
    )
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(OldAggregate)


@pytest.mark.usefixtures("old_rows")
def test_rows_of_4_5_are_taken_over_while_workers_aggregate(learners: list[Any]) -> None:
    with running(actors.take_over, actors.take_over, actors.work, actors.work, actors.learn):
        time.sleep(SECONDS)
    while take_over_batch():
        pass

    assert Takeover.objects.values_list("copied", flat=True).get() == OldAggregate.objects.count()
    assert_all_is_right()
    assert not BlockAggregate.objects.filter(block__block_key__contains="gone").exists()


def test_workers_are_killed_in_the_middle_of_their_work(learners: list[Any], tmp_path: Path) -> None:
    tallies = [tmp_path / "one", tmp_path / "other"]
    killers = [partial(actors.work_and_die, kills=KILLS // 2, tally=str(tally)) for tally in tallies]
    with running(actors.learn, actors.publish), running(*killers) as processes:
        for process in processes:
            process.join(timeout=120)

    # Most of them had a chunk in hand.
    assert sum(int(tally.read_text()) for tally in tallies) > KILLS // 2
    assert_all_is_right()


@pytest.mark.parametrize("others", [(), (actors.work_and_tell, actors.work_and_tell)], ids=["alone", "and others"])
def test_two_schedulers_at_once_claim_nobody_twice(learners: list[Any], tmp_path: Path, others: Any) -> None:
    cast = [
        partial(actor, log=str(tmp_path / str(place)))
        for place, actor in enumerate((actors.schedule, actors.schedule, *others))
    ]
    with running(*cast, actors.learn, actors.publish):
        time.sleep(SECONDS)

    logs = [json.loads((tmp_path / str(place)).read_text()) for place in range(len(cast))]
    claims, done = (of_each_learner(logs, what) for what in ("claims", "done"))
    assert len(claims) > len(learners) // 4
    for user_id, spans in claims.items():
        for (first, _), (_, second) in pairwise(spans):
            # The second claim is right if the first may have ended before it: with an aggregation in between.
            assert any(began < second and ended > first for began, ended in done[user_id])
    # A claim never outlives the work.
    stale = StaleCompletion.objects.values("user_id")
    assert not CourseAggregate.objects.exclude(queued_until=None).exclude(user_id__in=stale).exists()
    assert_all_is_right()
    assert not CourseAggregate.objects.exclude(queued_until=None).exists()


def of_each_learner(logs: list[Any], what: str) -> dict[int, list[tuple[float, float]]]:
    """Return when something was done with each learner, in order."""
    found: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for began, ended, user_ids in sorted(span for log in logs for span in log[what]):
        for user_id in user_ids:
            found[user_id].append((began, ended))
    return found


def test_the_structure_changes_while_it_is_read(learners: list[Any]) -> None:
    UserFactory(is_staff=True)
    for place, learner in enumerate(learners):
        complete(learner, *["html/h1", "problem/p1", "html/h3", "video/m1"][: place % 5])
    truth: actors.Truth = {}
    for name, blocks in actors.versions().items():
        publish_course(blocks)
        truth[name] = {
            user_id: {key: (values[0], values[1]) for key, values in rows.items()}
            for user_id, rows in computed(COURSE_KEY).items()
        }
    assert len({json.dumps(of_users) for of_users in truth.values()}) == len(truth)
    reader = partial(actors.read, truth=truth)

    with running(reader, reader, actors.read_everybody, actors.publish_in_turns, actors.work):
        time.sleep(SECONDS)

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


def test_a_marker_that_is_committed_late_survives_a_publication(learners: list[Any]) -> None:
    """Somebody enrolls in a long transaction: the marker has a lower id than those of the publication meanwhile."""
    written, may_commit = threading.Event(), threading.Event()

    def enroll() -> None:
        with transaction.atomic():
            EnrollmentFactory(user=newcomer)
            written.set()
            may_commit.wait(30)

    newcomer = UserFactory()
    # A publication replaces the markers of another one alone.
    StaleCompletion.objects.all().delete()
    mark_course(COURSE_KEY)
    newest = StaleCompletion.objects.latest("id").pk
    late = in_thread(enroll)
    assert written.wait(30)
    # The publication does not see the newcomer, removes the markers that it replaces, and waits for nobody.
    publication = in_thread(lambda: mark_course(COURSE_KEY))
    publication.join(timeout=20)
    assert not publication.is_alive()
    new = StaleCompletion.objects.filter(id__gt=newest)
    assert new.count() == len(learners)
    lowest = new.earliest("id").pk
    may_commit.set()
    late.join()

    marker = StaleCompletion.objects.get(user=newcomer)
    assert marker.pk < lowest
    assert StaleCompletion.objects.count() == len(learners) + 1
    assert_all_is_right()
    assert BlockAggregate.objects.filter(user=newcomer).exists()


def test_a_worker_leaves_a_learner_alone_whom_another_one_has(learners: list[Any]) -> None:
    aggregate_stale()
    complete(learners[0], "html/h1")
    complete(learners[1], "html/h1")
    locked, may_commit = threading.Event(), threading.Event()

    def hold() -> None:
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


def test_a_refresh_leaves_a_learner_alone_whom_a_worker_has(learners: list[Any]) -> None:
    aggregate_stale()
    learner = learners[0]
    complete(learner, "html/h1")
    locked, may_commit = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            list(CourseAggregate.objects.select_for_update().filter(user=learner))
            locked.set()
            may_commit.wait(30)

    worker = in_thread(hold)
    assert locked.wait(30)
    client = Client()
    client.force_login(learner)
    answers = [client.post(REFRESH, {"username": "me"}, content_type="application/json")]
    may_commit.set()
    worker.join()
    answers.append(client.post(REFRESH, {"username": "me"}, content_type="application/json"))

    assert [answer.status_code for answer in answers] == [202, 200]
    assert answers[0].json() == {"queued": 1}
    assert answers[1].json()["completion"]["earned"] == 1.0
    assert_all_is_right()
