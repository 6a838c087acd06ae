"""What the processes of a race do; each runs in a process of its own, on the database of the test."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from mmap import mmap
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path
from typing import Any

Actor = Callable[[Event, int], None]
#: When something began and when it was over, in seconds of a clock that all processes share; and with whom.
Span = tuple[float, float, list[int]]
#: By the name of a version, by user id, by block key: earned and possible.
Truth = dict[str, dict[int, dict[str, tuple[float, float]]]]


def start(actor: Actor, database: str, ready: Semaphore, until: Event, seed: int) -> None:
    """Connect this process to the database of the test, say so, then act."""
    from django.conf import settings
    from django.db import connection

    assert connection.connection is None, "The process from which all are forked has a connection."
    settings.DATABASES["default"]["NAME"] = database
    ready.release()
    actor(until, seed)


def work(until: Event, seed: int) -> None:
    """Aggregate whoever is stale, in small chunks."""
    from completion_aggregator.services import aggregate_stale

    while not until.is_set():
        aggregate_stale(chunk_size=5)


def take_over(until: Event, seed: int) -> None:
    """Take over what 4.5 has left, in small batches."""
    from completion_aggregator.services.takeover import take_over_batch

    while not until.is_set():
        take_over_batch(3)
        time.sleep(0.002)


def work_and_die(until: Event, seed: int, *, kills: int, tally: str) -> None:
    """Have a worker killed so many times, after a random part of a chunk; write down how many had one in hand.

    The workers are forked: none spends the time of its life with starting.
    """
    dice = random.Random(seed)  # noqa: S311
    is_busy = mmap(-1, 1)
    hits = 0
    for _ in range(kills):
        is_busy[0] = 0
        worker = os.fork()
        if not worker:
            _work_in_sight(is_busy)
        while not is_busy[0] and not os.waitpid(worker, os.WNOHANG)[0]:
            time.sleep(0.001)
        time.sleep(dice.random() * 0.05)
        hits += is_busy[0]
        os.kill(worker, signal.SIGKILL)
        _, status = os.waitpid(worker, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
    Path(tally).write_text(str(hits))


def _work_in_sight(is_busy: mmap) -> None:
    """Aggregate for ever, and show when there is a chunk in hand; a worker that fails ends by itself."""
    from completion_aggregator.services import aggregate_chunk, find_stale_chunks

    try:
        while True:
            for chunk in find_stale_chunks(chunk_size=5):
                is_busy[0] = 1
                aggregate_chunk(chunk)
                is_busy[0] = 0
    finally:
        os._exit(1)


def listen(until: Event, seed: int, *, act: Actor) -> None:
    """Act, and write each threshold that is told into the database; now and then fail over it, once it is written."""
    from django.conf import settings
    from django.contrib.admin.models import LogEntry

    from completion_aggregator.signals import threshold_reached

    dice = random.Random(seed)  # noqa: S311

    def write_down(user_id: int, threshold: float, **kwargs: Any) -> None:
        LogEntry.objects.create(user_id=user_id, object_repr=str(threshold), action_flag=1)
        if dice.random() < 0.1:
            raise ZeroDivisionError("Now and then.")

    # What is left unsent is due at once: those who look for it meet those who are at it.
    settings.COMPLETION_AGGREGATOR_RETRY_DELAY = 0
    logging.getLogger("completion_aggregator.services.thresholds").disabled = True
    threshold_reached.connect(write_down, weak=False)
    act(until, seed)


def send(until: Event, seed: int) -> None:
    """Send what others have left unsent."""
    from completion_aggregator.services import send_reached_thresholds

    while not until.is_set():
        send_reached_thresholds()


def look(until: Event, seed: int) -> None:
    """Take a snapshot as soon as one is wanted; none may fail."""
    from django.conf import settings
    from django.utils import timezone

    from completion_aggregator.services import take_snapshots

    failures: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: failures.append(repr(record.exc_info and record.exc_info[1]))  # type: ignore[method-assign]
    logging.getLogger("completion_aggregator.services.snapshots").addHandler(handler)
    settings.COMPLETION_AGGREGATOR_SNAPSHOT_INTERVAL = 0
    while not until.is_set():
        take_snapshots(timezone.now())
        time.sleep(0.002)
    assert failures == [], failures[:5]


def die_at(until: Event, seed: int, *, name: str) -> None:
    """Aggregate everybody, and be killed by the first receiver of a signal."""
    from completion_aggregator import signals
    from completion_aggregator.services import aggregate_stale

    def die(**kwargs: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if not (worker := os.fork()):
        try:
            signals.threshold_reached.connect(write_group)
            getattr(signals, name).connect(die)
            aggregate_stale()
        finally:
            os._exit(1)
    _, status = os.waitpid(worker, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


def write_group(user_id: int, threshold: float, **kwargs: Any) -> None:
    from django.contrib.auth.models import Group

    Group.objects.create(name=f"{user_id} {threshold}")


def schedule(until: Event, seed: int, *, log: str) -> None:
    """Claim whoever is stale, and aggregate them a little later; write down when each of both was."""
    from completion_aggregator.services import aggregate_chunk, claim_stale_chunks

    dice = random.Random(seed)  # noqa: S311
    claims: list[Span] = []
    done: list[Span] = []
    while not until.is_set():
        began = time.monotonic()
        for chunk in claim_stale_chunks(chunk_size=5):
            claims.append((began, time.monotonic(), chunk.user_ids))
            time.sleep(dice.random() * 0.03)
            began = time.monotonic()
            aggregate_chunk(chunk)
            done.append((began, time.monotonic(), chunk.user_ids))
            began = time.monotonic()
    Path(log).write_text(json.dumps({"claims": claims, "done": done}))


def work_and_tell(until: Event, seed: int, *, log: str) -> None:
    """Aggregate whoever is stale, claimed or not; write down when."""
    from completion_aggregator.services import aggregation

    done: list[Span] = []
    aggregate_chunk = aggregation.aggregate_chunk

    def aggregate_and_tell(chunk: Any) -> Any:
        began = time.monotonic()
        report = aggregate_chunk(chunk)
        done.append((began, time.monotonic(), chunk.user_ids))
        return report

    aggregation.aggregate_chunk = aggregate_and_tell
    work(until, seed)
    Path(log).write_text(json.dumps({"claims": [], "done": done}))


def learn(until: Event, seed: int) -> None:
    """Complete, change and delete completions, now and then in a transaction that takes its time."""
    from completion.models import BlockCompletion
    from django.contrib.auth import get_user_model
    from django.db import DatabaseError, transaction

    from tests.factories import complete, usage_key

    dice = random.Random(seed)  # noqa: S311
    users = list(get_user_model().objects.all())
    names = ["html/h1", "html/h2", "html/h3", "html/h4", "problem/p1", "video/m1"]
    while not until.is_set():
        user, name = dice.choice(users), dice.choice(names)
        try:
            with transaction.atomic():
                if dice.random() < 0.3:
                    BlockCompletion.objects.filter(user=user, block_key=usage_key(name)).delete()
                else:
                    complete(user, name, value=dice.choice([0.0, 0.5, 1.0]))
                if dice.random() < 0.1:
                    time.sleep(0.03)
        except DatabaseError as error:
            # Another learner process has deleted the row that edx-completion was about to update.
            if "did not affect any rows" not in str(error):
                raise


def publish(until: Event, seed: int) -> None:
    """Publish versions in which blocks become optional, are hidden, and come back."""
    from tests.factories import SMALL_COURSE, publish_course

    dice = random.Random(seed)  # noqa: S311
    while not until.wait(0.2):
        blocks: list[Any] = [
            replace(block, optional=dice.random() < 0.2, staff_only=place > 0 and dice.random() < 0.1)
            for place, block in enumerate(SMALL_COURSE)
        ]
        publish_course(blocks)


def versions() -> dict[str, list[Any]]:
    """Return three versions of the small course: as it is, with a section hidden and a unit optional, and with more."""
    from tests.factories import SMALL_COURSE, block, key

    hidden, optional, parent = key("sequential/s2"), key("vertical/v2"), key("sequential/s3")
    less = [
        replace(each, staff_only=each.key == hidden, optional=each.key == optional or each.optional)
        for each in SMALL_COURSE
    ]
    more = [
        replace(each, children=(*each.children, key("vertical/v5"))) if each.key == parent else each
        for each in SMALL_COURSE
    ]
    return {"first": [*SMALL_COURSE], "less": less, "more": [*more, block("vertical/v5", "html/h5"), block("html/h5")]}


def publish_in_turns(until: Event, seed: int) -> None:
    """Publish one version after the other."""
    from tests.factories import publish_course

    while True:
        for blocks in versions().values():
            if until.wait(0.1):
                return
            publish_course(blocks)


def read(until: Event, seed: int, *, truth: Truth) -> None:
    """Ask for the own completion, as each learner, by each way; every answer must be that of one of the versions."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    from tests.factories import COURSE_KEY, key

    paths = [f"/api/completion/v1/course/{COURSE_KEY}/", "/api/completion/v1/course/"]
    clients = {user: Client() for user in get_user_model().objects.filter(is_staff=False)}
    for user, client in clients.items():
        client.force_login(user)
    dice = random.Random(seed)  # noqa: S311
    while not until.is_set():
        user, path = dice.choice([*clients]), dice.choice(paths)
        query = {"username": user.username, "requested_fields": "chapter,sequential,vertical"}
        response = clients[user].get(path, query)
        assert response.status_code == 200, response.content
        (result,) = response.json()["results"]
        answer = _by_key(result, key("course/course"))
        possible = [of_users[user.pk] for of_users in truth.values()]
        assert answer in possible, f"{path} of {user.pk}: {answer}, but not one of {possible}"


def read_everybody(until: Event, seed: int) -> None:
    """Ask for everybody's completion, as staff; what is stored of each may be of another version, but is possible."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    from tests.factories import COURSE_KEY, key

    client = Client()
    client.force_login(get_user_model().objects.get(is_staff=True))
    path = f"/api/completion/v1/course/{COURSE_KEY}/"
    while not until.is_set():
        response = client.get(path, {"requested_fields": "chapter,sequential,vertical,mean", "page_size": 100})
        assert response.status_code == 200, response.content
        for result in response.json()["results"]:
            for earned, possible in _by_key(result, key("course/course")).values():
                # Of somebody who was not aggregated yet, it is not known how much there is to do.
                assert (possible is None and not earned) or 0 <= earned <= possible, result


def _by_key(result: dict[str, Any], course_block: str) -> dict[str, tuple[float, Any]]:
    """Return what an answer tells of the course and of its blocks: earned and possible, by block key."""
    nested = [each for name in ("chapter", "sequential", "vertical") for each in result.get(name, ())]
    found = {each["block_key"]: each["completion"] for each in nested} | {course_block: result["completion"]}
    return {key: (values["earned"], values["possible"]) for key, values in found.items()}


def grant(until: Event, seed: int, *, grants: str) -> None:
    """Ask for bulk work again and again; write down of how many learners it was given."""
    from completion_aggregator.services import grant_bulk

    granted = 0
    while not until.is_set():
        granted += grant_bulk() or 0
    Path(grants).write_text(str(granted))


def claim_once(until: Event, seed: int, *, claims: str) -> None:
    """Claim what the budget allows; write down who that is."""
    from completion_aggregator.services import claim_stale_chunks, grant_bulk

    chunks = claim_stale_chunks(chunk_size=3, bulk_limit=grant_bulk())
    Path(claims).write_text(" ".join(str(user_id) for chunk in chunks for user_id in chunk.user_ids))


def serve(until: Event, seed: int) -> None:
    """Be the service, which aggregates by itself: pass after pass, in small chunks."""
    from completion_aggregator.services import aggregate_chunk, find_stale_chunks, grant_bulk

    while not until.is_set():
        for chunk in find_stale_chunks(chunk_size=5, bulk_limit=grant_bulk()):
            aggregate_chunk(chunk)


def complete_at_once(until: Event, seed: int, *, user_ids: list[int]) -> None:
    """Complete a block as each of the learners; who has to wait for a lock for a second fails."""
    from django.contrib.auth import get_user_model
    from django.db import connection

    from tests.factories import complete

    statement = {"mysql": "SET innodb_lock_wait_timeout = 1", "postgresql": "SET lock_timeout = '1s'"}
    with connection.cursor() as cursor:
        cursor.execute(statement[connection.vendor])
    for user in get_user_model().objects.filter(pk__in=user_ids):
        complete(user, "html/h1")
