"""What learners notice of a rebuild of everybody: a worker and the service at work, as on a site."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from benchmarks.child import ROOT, Child

LEARNERS = 5_000
SECONDS = 40.0
BROKER = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/13")
SERVICE = ("manage.py", "run_aggregator_service", "--forever", "--interval", "2")
WORKER = ("-m", "celery", "-A", "sample_lms", "worker", "--concurrency", "1", "--without-gossip", "--without-mingle")


def run(start: Callable[[], Child], environment: Mapping[str, str], say: Callable[[str], None]) -> dict[str, Any]:
    """Measure learners' requests and how long they wait to be aggregated: at rest, then while all is rebuilt."""
    environment = {**environment, "CELERY_BROKER_URL": BROKER}
    with start() as child:
        say(f"pressure: {LEARNERS:,} learners")
        child.ask("prepare_pressure", learners=LEARNERS)
        with _running(WORKER, environment), _running(SERVICE, environment):
            say("pressure: warming up")
            child.ask("press", seconds=8, rebuild=False)
            say("pressure: at rest")
            at_rest = child.ask("press", seconds=SECONDS, rebuild=False)["answer"]
            say("pressure: while everybody is aggregated")
            pressed = child.ask("press", seconds=SECONDS, rebuild=True)["answer"]
    return {"at_rest": at_rest, "rebuild": pressed}


@contextmanager
def _running(command: tuple[str, ...], environment: Mapping[str, str]) -> Iterator[None]:
    process = subprocess.Popen(  # noqa: S603 - our own commands
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()
