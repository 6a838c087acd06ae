"""The sample LMS as it runs in production: a web server, workers and the service, each started again when it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
#: What a supervisor waits before it starts again what has ended. Seconds.
RESTART_DELAY = 1.0


class Process:
    """A command with all its children, in a process group of its own."""

    def __init__(self, name: str, command: list[str], directory: Path) -> None:
        self.name = name
        self.command = command
        self.log = directory / f"{name}.log"
        self.popen: subprocess.Popen[bytes] | None = None
        #: When it has ended without being asked to; `time.monotonic`.
        self.ended_at: float | None = None
        self.kills = self.restarts = 0

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(  # noqa: S603
                [sys.executable, *self.command],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.ended_at = None

    def supervise(self) -> None:
        """Start it again once it has been gone for a moment, as systemd does (docs/howto/install-native.rst)."""
        if self.popen is None or self.popen.poll() is None:
            return
        now = time.monotonic()
        if self.ended_at is None:
            self.ended_at = now
            self._kill_group()  # the children of one that was killed
        elif now - self.ended_at >= RESTART_DELAY:
            self.restarts += 1
            self.start()

    @property
    def ended_by_itself(self) -> bool:
        """Tell whether it was started again more often than it was killed."""
        return self.restarts > self.kills

    @property
    def has_worked(self) -> bool:
        """Tell whether it is a worker that has done a chunk, as its log says."""
        return bool(re.search(r"aggregate_learners\[.*\] succeeded in", self.log.read_text()))

    def children(self) -> list[int]:
        if self.popen is None:
            return []
        pid = self.popen.pid
        with suppress(FileNotFoundError):
            return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def kill(self) -> None:
        """Kill it with all its children, as when a machine fails; the supervisor will find it gone."""
        self.kills += 1
        self._kill_group()

    def kill_child(self) -> None:
        """Kill one of the processes that it has forked."""
        for pid in self.children()[-1:]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        if self.popen is None:
            return
        self.popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout=15)
        self._kill_group()
        self.popen.wait()
        self.popen = None

    def _kill_group(self) -> None:
        if self.popen is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)


class Site:
    """All processes of the LMS; the environment of this process says which servers they use."""

    def __init__(self, directory: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        gunicorn = ["--workers", "2", "--threads", "4", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
        gunicorn += ["--timeout", "120"]  # or a busy machine is taken for a process that hangs
        self.web = Process("web", ["-m", "gunicorn", "django.core.wsgi:get_wsgi_application()", *gunicorn], directory)
        self.worker = Process("worker", _worker("worker", 2), directory)
        skew = ["-m", "tests.soak.skew"]
        self.skewed = [
            Process(name, [*skew, seconds, *_worker(name, 1)[1:]], directory)
            for name, seconds in (("worker-ahead", "3600"), ("worker-behind", "-3600"))
        ]
        service = ["run_aggregator_service", "--forever", "--interval", "1", "--batch-size", "20"]
        self.service = Process("service", ["-m", "django", *service], directory)
        self.processes = [self.web, self.worker, self.service, *self.skewed]

    def start(self) -> None:
        for process in (self.web, self.worker, self.service):
            process.start()

    def supervise(self) -> None:
        for process in self.processes:
            process.supervise()

    def stop(self) -> None:
        for process in self.processes:
            process.stop()


def _worker(name: str, concurrency: int) -> list[str]:
    options = ["--pool", "prefork", "--concurrency", str(concurrency), "--hostname", f"{name}@%h"]
    quick = ["--without-gossip", "--without-mingle"]
    return ["-m", "celery", "-A", "sample_lms", "worker", "--loglevel", "INFO", *options, *quick]
