"""The service stays up while the database or the broker is away, and goes on when it is there again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.factories import complete
from tests.workers.checks import assert_all_is_right, nobody_is_stale
from tests.workers.forwarder import Forwarder
from tests.workers.site import Process, Site, eventually

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

SERVICE = ("manage.py", "run_aggregator_service", "--forever", "--interval", "0.2")


@pytest.fixture
def redirect() -> Iterator[Callable[[str], tuple[str, Forwarder]]]:
    """A function that puts a forwarder, closed, before the server of a URL; it returns the URL to use instead, too."""
    forwarders = []

    def redirect(url: str) -> tuple[str, Forwarder]:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        forwarder = Forwarder(parts.hostname, parts.port)
        forwarders.append(forwarder)
        before, _, after = parts.netloc.rpartition(f"{parts.hostname}:{parts.port}")
        return parts._replace(netloc=f"{before}127.0.0.1:{forwarder.port}{after}").geturl(), forwarder

    yield redirect
    for forwarder in forwarders:
        forwarder.close()


def count_failures(service: Process) -> int:
    return service.log.read_text().count("pass_failed")


def assert_has_stayed_up(service: Process, cause: str) -> None:
    """It runs, and has told each pass that failed in a line."""
    service.assert_is_running()
    told = re.compile(rf'pass_failed cause="{cause}: .*" next_try_in=0\.200')
    lines = [line for line in service.log.read_text().splitlines() if "pass_failed" in line]
    assert [line for line in lines if not told.fullmatch(line)] == []
    service.ask_to_stop()
    assert service.wait() == 0


@pytest.mark.parametrize("site", ["redis"], indirect=True)
def test_the_database_goes_and_comes_back(
    site: Site, learners: list[Any], redirect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, database = redirect(site.environment()["DATABASE_URL"])
    environment = site.environment() | {"DATABASE_URL": url}
    monkeypatch.setattr(site, "environment", lambda: environment)
    service = site.start(*SERVICE, "--inline")
    eventually(lambda: count_failures(service))
    assert "Traceback" not in service.log.read_text()
    database.open()
    eventually(nobody_is_stale)

    database.close()
    failed = count_failures(service)
    eventually(lambda: count_failures(service) > failed + 1)
    for learner in learners:
        complete(learner, "html/h1")
    database.open()

    eventually(nobody_is_stale)
    assert_all_is_right(learners)
    assert_has_stayed_up(service, "The database has failed")


def test_the_broker_goes_and_comes_back(site: Site, learners: list[Any], redirect: Any) -> None:
    site.start_worker()
    site.settings["CELERY_BROKER_URL"], broker = redirect(site.broker.url)
    service = site.start(*SERVICE)
    eventually(lambda: count_failures(service))
    assert "Traceback" not in service.log.read_text()
    broker.open()
    eventually(nobody_is_stale)

    broker.close()
    for learner in learners:
        complete(learner, "html/h1")
    failed = count_failures(service)
    eventually(lambda: count_failures(service) > failed + 1)
    broker.open()

    eventually(nobody_is_stale)
    assert_all_is_right(learners)
    assert_has_stayed_up(service, "The broker cannot be reached")


@pytest.mark.parametrize("site", ["redis"], indirect=True)
def test_a_single_pass_ends_with_a_line_when_the_database_is_away(
    site: Site, redirect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = redirect(site.environment()["DATABASE_URL"])
    environment = site.environment() | {"DATABASE_URL": url}
    monkeypatch.setattr(site, "environment", lambda: environment)
    command = site.start("manage.py", "run_aggregator_service")

    assert command.wait() == 1
    assert re.fullmatch(r"CommandError: The database has failed: .*\n", command.log.read_text())
