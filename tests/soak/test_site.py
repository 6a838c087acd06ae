"""The supervisor of the soak can tell who was killed from who has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soak import site
from tests.soak.site import Process


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "RESTART_DELAY", 0.0)


@pytest.fixture
def process(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Process]:
    """A process that runs this code, started."""
    process = Process("example", ["-c", request.param], tmp_path)
    process.start()
    yield process
    process.stop()


def wait_for_restart(process: Process) -> None:
    while not process.restarts:
        process.supervise()
        time.sleep(0.01)


@pytest.mark.parametrize("process", ["import time; time.sleep(600)"], indirect=True)
def test_who_was_killed_has_not_ended_by_itself(process: Process) -> None:
    process.kill()
    wait_for_restart(process)

    assert not process.ended_by_itself


@pytest.mark.parametrize("process", ["pass"], indirect=True)
def test_who_has_ended_was_not_killed(process: Process) -> None:
    wait_for_restart(process)

    assert process.ended_by_itself


@pytest.mark.parametrize("process", ["import time; time.sleep(600)"], indirect=True)
def test_a_worker_has_worked_when_its_log_says_so(process: Process) -> None:
    assert not process.has_worked

    process.log.write_text("Task completion_aggregator.tasks.aggregate_learners[1-2] succeeded in 0.1s: {}")

    assert process.has_worked
