"""Chunks get to the workers, once, where they belong, and again when they were lost."""

from __future__ import annotations

import re
import socket
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from celery.schedules import crontab
from django.db.models import Sum

from completion_aggregator.models import AggregatedChunk, BlockAggregate, CourseAggregate, StaleCompletion
from completion_aggregator.services import Chunk
from completion_aggregator.tasks import send
from tests.factories import COURSE_KEY, complete
from tests.workers.brokers import RabbitMQBroker, RedisBroker
from tests.workers.checks import assert_all_is_right, chunks_done, nobody_is_stale
from tests.workers.site import ROOT, Site, eventually

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

NOTHING_SENT = "sent to the workers: 0 learners in 0 chunks"
ALL_SENT = "sent to the workers: 12 learners in 3 chunks"


def test_a_pass_is_worked_off(site: Site, learners: list[Any]) -> None:
    site.start_worker()
    complete(learners[0], "html/h1")

    command = site.start("manage.py", "run_aggregator_service", "--batch-size", "5")

    assert command.wait() == 0
    assert ALL_SENT in command.log.read_text()
    eventually(nobody_is_stale)
    eventually(lambda: chunks_done() == 3)
    assert_all_is_right(learners)
    assert AggregatedChunk.objects.aggregate(Sum("learners"), Sum("resolved"), Sum("failed"), Sum("skipped")) == {
        "learners__sum": 12,
        "resolved__sum": 13,
        "failed__sum": 0,
        "skipped__sum": 0,
    }


def test_what_is_queued_is_not_sent_again(site: Site, learners: list[Any]) -> None:
    assert site.run_pass("--batch-size", "5") == ALL_SENT
    complete(learners[0], "html/h1")
    assert site.run_pass("--batch-size", "5") == NOTHING_SENT
    eventually(lambda: site.count() == 3)

    site.start_worker()
    eventually(nobody_is_stale)
    assert site.run_pass() == NOTHING_SENT
    complete(learners[0], "html/h2")
    complete(learners[7], "html/h2")
    assert site.run_pass() == "sent to the workers: 2 learners in 1 chunks"

    eventually(nobody_is_stale)
    assert_all_is_right(learners)


def test_what_the_broker_has_lost_is_sent_again(site: Site, learners: list[Any], settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_QUEUE_TIMEOUT = 3
    site.run_pass("--batch-size", "5")
    eventually(lambda: site.count() == 3)
    site.broker.purge(site.broker.queue)
    assert site.run_pass("--batch-size", "5") == NOTHING_SENT

    eventually(lambda: site.run_pass("--batch-size", "5") and site.count() == 3)
    site.start_worker()

    eventually(nobody_is_stale)
    assert_all_is_right(learners)


def test_a_chunk_that_two_workers_get_at_once_is_written_once(site: Site, learners: list[Any]) -> None:
    site.close_gate()
    workers = [site.start_worker(concurrency=1) for _ in range(2)]
    chunk = Chunk(str(COURSE_KEY), [learner.pk for learner in learners])
    send(chunk)
    send(chunk)

    # One of them has the learners; the other one leaves them to it.
    eventually(site.inside)
    eventually(lambda: AggregatedChunk.objects.filter(skipped=12, learners=0).exists())
    assert len(site.inside()) == 1
    site.open_gate()
    eventually(nobody_is_stale)
    send(chunk)
    for worker in workers:
        worker.wait_until_idle()

    assert_all_is_right(learners)
    # The third had nothing to do, and did not even say so.
    assert chunks_done() == 2
    rows = BlockAggregate.objects.count() + CourseAggregate.objects.count()
    assert AggregatedChunk.objects.aggregate(rows=Sum("written"))["rows"] == rows


@pytest.mark.parametrize("way", ["option", "setting"])
def test_a_routing_key_leads_to_its_queue_only(site: Site, learners: list[Any], settings: Any, way: str) -> None:
    other = site.broker.other_queue
    if way == "option":
        site.run_pass("--batch-size", "5", "--routing-key", other)
    else:
        settings.COMPLETION_AGGREGATOR_ROUTING_KEY = other
        site.run_pass("--batch-size", "5")

    eventually(lambda: site.broker.count(other) == 3)
    assert site.count() == 0
    site.start_worker("--queues", other)
    eventually(nobody_is_stale)
    assert_all_is_right(learners)


@pytest.mark.parametrize(
    "make",
    [lambda url: RedisBroker(f"redis://{url}"), lambda url: RabbitMQBroker(f"amqp://{url}")],
    ids=["redis", "rabbitmq"],
)
@pytest.mark.parametrize("is_silent", [False, True], ids=["refused", "silent"])
def test_a_broker_that_cannot_be_reached_is_told_in_one_line(
    learners: list[Any], tmp_path: Path, make: Any, is_silent: bool
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if is_silent:
            server.listen()
        site = Site(make(f"127.0.0.1:{server.getsockname()[1]}/"), tmp_path)
        started = time.monotonic()
        command = site.start("manage.py", "run_aggregator_service")

        assert command.wait() == 1
    assert time.monotonic() - started < 30
    assert re.fullmatch(r"CommandError: The broker cannot be reached: .*\n", command.log.read_text())
    assert not CourseAggregate.objects.exclude(queued_until=None).exists()
    assert StaleCompletion.objects.count() == 12


def documented_schedule() -> dict[str, Any]:
    """Return the beat schedule of the documentation, with a second instead of minutes and days."""
    text = (ROOT / "docs/howto/run.rst").read_text()
    (code,) = re.findall(r"^    CELERY_BEAT_SCHEDULE = \{\n.*?^    \}\n", text, flags=re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {"crontab": crontab}
    exec(textwrap.dedent(code), names)  # noqa: S102
    return {name: entry | {"schedule": 1.0} for name, entry in names["CELERY_BEAT_SCHEDULE"].items()}


def test_the_documented_beat_schedule_has_everybody_aggregated(site: Site, learners: list[Any]) -> None:
    site.settings["CELERY_BEAT_SCHEDULE"] = documented_schedule()
    gone = StaleCompletion.objects.create(user_id=2_000_000_000, course_key="course-v1:No+Such+Course")
    worker = site.start_worker()
    schedule = str(site.directory / "schedule")
    beat = site.start("-m", "celery", "-A", "sample_lms", "beat", "--schedule", schedule, "--pidfile=")

    eventually(nobody_is_stale)
    complete(learners[0], "html/h1")
    eventually(nobody_is_stale)

    for process in (beat, worker):
        process.assert_is_running()
    # The cleanup ran too.
    assert not StaleCompletion.objects.filter(pk=gone.pk).exists()
    beat.ask_to_stop()
    beat.wait()
    worker.wait_until_idle()
    assert_all_is_right(learners)
