"""Workers end in the middle of their work; nothing is lost, and nobody waits longer than is said."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from completion_aggregator.models import AggregatedChunk, CourseAggregate, StaleCompletion
from tests.workers.checks import assert_all_is_right, nobody_is_stale
from tests.workers.site import Site, Worker, eventually

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def start_in_the_middle(site: Site) -> Worker:
    """Start a worker and let it stop in the middle of two of three chunks."""
    site.close_gate()
    worker = site.start_worker()
    site.run_pass("--batch-size", "4")
    eventually(lambda: len(site.inside()) == 2)
    return worker


def test_a_machine_fails(site: Site, learners: list[Any]) -> None:
    # Of Redis: how long a worker may have a chunk before it goes to another one, in seconds.
    if "redis" in site.broker.url:
        site.broker.transport_options["visibility_timeout"] = 1
    worker = start_in_the_middle(site)

    worker.kill()
    assert StaleCompletion.objects.count() == 12
    site.open_gate()
    site.start_worker()

    # No other pass is needed: the broker gives the chunks to the new worker.
    eventually(nobody_is_stale)
    assert_all_is_right(learners)


def test_a_machine_fails_and_the_broker_does_not_notice(site: Site, learners: list[Any], settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_QUEUE_TIMEOUT = 3
    worker = start_in_the_middle(site)

    worker.kill()
    site.broker.purge(site.broker.queue)
    site.open_gate()
    eventually(lambda: site.run_pass("--batch-size", "4") and site.count() == 3)
    site.start_worker()

    eventually(nobody_is_stale)
    assert_all_is_right(learners)


def test_one_process_of_a_worker_is_killed(site: Site, learners: list[Any]) -> None:
    worker = start_in_the_middle(site)

    for process in site.inside():
        os.kill(process, signal.SIGKILL)
    site.open_gate()

    # The worker gives the chunks back and goes on with new processes.
    eventually(nobody_is_stale)
    worker.assert_is_running()
    assert_all_is_right(learners)


def test_a_learner_of_whom_workers_die_is_given_up_alone(site: Site, learners: list[Any]) -> None:
    site.settings |= {"COMPLETION_AGGREGATOR_MAX_ATTEMPTS": 2, "WORKERS_LMS": {"poison": learners[0].pk}}
    worker = site.start_worker()
    site.run_pass("--batch-size", "2")

    # In a chunk of two it takes a process, alone another one, and a third one when it is tried again.
    poison = learners[0].pk
    eventually(lambda: list(StaleCompletion.objects.values_list("user_id", "attempts")) == [(poison, 2)], seconds=40)
    eventually(lambda: not CourseAggregate.objects.exclude(queued_until=None).exists())

    worker.assert_is_running()
    failed = StaleCompletion.objects.get()
    assert failed.last_error.startswith("WorkerLostError: ")
    assert worker.log.read_text().count("exited with 'signal 9 (SIGKILL)'") == 3
    failed.delete()
    assert_all_is_right(learners[1:])


def test_a_worker_that_is_asked_to_stop_finishes_its_chunks(site: Site, learners: list[Any]) -> None:
    worker = start_in_the_middle(site)

    worker.ask_to_stop()
    site.open_gate()
    assert worker.wait() == 0

    # What it had begun is done; the rest is for another one. A learner whose row was locked just then, as MariaDB may
    # do in so small a table while the other chunk is being read, was skipped, and sent again.
    skipped = list(AggregatedChunk.objects.filter(skipped__gt=0).values_list("skipped", flat=True))
    assert StaleCompletion.objects.count() == 4 + sum(skipped)
    eventually(lambda: site.count() == 1 + len(skipped))
    site.start_worker()
    eventually(nobody_is_stale)
    assert_all_is_right(learners)


def test_a_chunk_that_was_revoked_is_sent_again(site: Site, learners: list[Any], settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_QUEUE_TIMEOUT = 5
    worker = start_in_the_middle(site)

    eventually(lambda: len(worker.ask("active") or []) == 2)
    for task in worker.ask("active"):
        site.app.control.revoke(task["id"], terminate=True, signal="SIGKILL", destination=[worker.name])
    eventually(lambda: len(set(worker.children()).intersection(site.inside())) == 0)
    site.open_gate()

    eventually(lambda: site.run_pass() and nobody_is_stale())
    worker.assert_is_running()
    worker.wait_until_idle()
    assert_all_is_right(learners)
