"""A site for one test: worker processes on the database of the test and a queue of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from celery import Celery
from django.core.management import call_command
from django.db import connection

from tests.workers.brokers import Broker

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent.parent
TASK = "completion_aggregator.tasks.aggregate_learners"


def eventually(get: Callable[[], T], *, seconds: float = 30.0) -> T:
    """Ask again and again until the answer is true; return it."""
    deadline = time.monotonic() + seconds
    while not (answer := get()):
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.05)
    return answer


class Process:
    """A process of the site with all its children, and what it has said."""

    def __init__(self, site: Site, *command: str) -> None:
        self.log = site.directory / f"{uuid4().hex}.log"
        with self.log.open("w") as log:
            self.popen = subprocess.Popen(  # noqa: S603
                [sys.executable, *command],
                cwd=ROOT,
                env=site.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill it and its children at once, as when a machine fails."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def ask_to_stop(self) -> None:
        self.popen.terminate()

    def wait(self) -> int:
        """Wait until it has ended; return its exit status."""
        return self.popen.wait(timeout=60)

    def assert_is_running(self) -> None:
        assert self.popen.poll() is None, self.log.read_text()


class Worker(Process):
    """`celery -A sample_lms worker`."""

    def __init__(self, site: Site, *options: str, concurrency: int = 2) -> None:
        self.site = site
        self.name = f"{uuid4().hex}@localhost"
        super().__init__(
            site,
            *("-m", "celery", "-A", "sample_lms", "worker", "--pool", "prefork", "--concurrency", str(concurrency)),
            *("--hostname", self.name, "--loglevel", "INFO"),
            # What workers tell each other takes a second at the start.
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            *options,
        )

    def ask(self, question: str) -> Any:
        """Ask it by remote control; None: it does not answer yet."""
        self.assert_is_running()
        inspect = self.site.app.control.inspect(destination=[self.name], timeout=0.5, limit=1)
        return (getattr(inspect, question)() or {}).get(self.name)

    def wait_until_idle(self) -> None:
        """Wait until no chunk is queued and it has none in its hands."""
        # Asked twice: between the queue and the worker a chunk is to be seen nowhere.
        eventually(lambda: self._is_idle() and self._is_idle())

    def _is_idle(self) -> bool:
        return self.site.count() == 0 and self.ask("active") == self.ask("reserved") == []

    def children(self) -> list[int]:
        """Return the ids of the processes of its pool."""
        return list(eventually(lambda: self.ask("stats"))["pool"]["processes"])


class Site:
    """What runs, and how; change `settings` before a process is started that should know them."""

    def __init__(self, broker: Broker, directory: Path) -> None:
        self.broker = broker
        self.directory = directory
        self.gate = directory / "gate"
        self.gate.mkdir()
        self.processes: list[Process] = []
        self.settings: dict[str, Any] = {
            "CELERY_BROKER_URL": broker.url,
            "CELERY_BROKER_TRANSPORT_OPTIONS": broker.transport_options,
            "CELERY_TASK_ALWAYS_EAGER": False,
            "CELERY_TASK_DEFAULT_QUEUE": broker.queue,
            "CELERY_TASK_QUEUES": {broker.queue: {}, broker.other_queue: {}},
            # How long a worker waits for a word from a child that is gone, in seconds.
            "CELERY_WORKER_LOST_WAIT": 0.2,
            "COMPLETION_AGGREGATOR_LMS": "tests.workers.lms.TroubledLMS",
            "WORKERS_LMS": {},
        }
        self.app = Celery("tests", set_as_current=False)
        self.app.conf.update({name[7:].lower(): value for name, value in self.settings.items() if "CELERY_" in name})
        # Now what this process sends goes to the site.
        self.app.set_current()

    def environment(self) -> dict[str, str]:
        url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
        return os.environ | {
            "DATABASE_URL": url.geturl(),
            "DJANGO_SETTINGS_MODULE": "tests.workers.settings",
            "WORKER_SETTINGS": json.dumps(self.settings),
        }

    def start_worker(self, *options: str, concurrency: int = 2) -> Worker:
        """Start a worker; it may take a moment until it answers."""
        worker = Worker(self, *("--queues", self.broker.queue, *options), concurrency=concurrency)
        self.processes.append(worker)
        return worker

    def start(self, *command: str) -> Process:
        process = Process(self, *command)
        self.processes.append(process)
        return process

    def run_pass(self, *arguments: str) -> str:
        """Run the command in this process; return its last line."""
        out = StringIO()
        call_command("run_aggregator_service", *arguments, stdout=out)
        return out.getvalue().splitlines()[-1]

    def count(self) -> int:
        """Return how many chunks are queued; those that a worker has in its hands are none of them."""
        return self.broker.count(self.broker.queue)

    def close_gate(self) -> None:
        self.settings["WORKERS_LMS"] = {"gate": str(self.gate)}
        (self.gate / "closed").touch()

    def open_gate(self) -> None:
        (self.gate / "closed").unlink()

    def inside(self) -> list[int]:
        """Return the ids of the processes that wait at the gate, in the middle of a chunk."""
        return [int(path.name.split("-")[0]) for path in self.gate.iterdir() if path.name != "closed"]

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            sys.stdout.write(process.log.read_text())
        self.broker.remove()
        self.app.close()
