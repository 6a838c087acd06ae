"""A sample LMS in which things go wrong as the setting WORKERS_LMS says; read by the processes of the workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import connection
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.lms.base import CourseView
from sample_lms.lms import SampleLMS

#: One statement or sleep, in seconds.
SLICE = 0.05


class TroubledLMS(SampleLMS):
    """Tells what learners see as the sample LMS does, in the time that it likes to take."""

    def course_views(self, course_key: CourseKey, user_ids: Collection[int], *, now: datetime) -> Iterator[CourseView]:
        if user_ids:
            trouble: dict[str, Any] = settings.WORKERS_LMS
            if "gate" in trouble:
                wait_at_gate(Path(trouble["gate"]))
            if trouble.get("poison") in user_ids:
                os.kill(os.getpid(), signal.SIGKILL)
            seconds = sum(trouble.get("seconds", {}).get(str(user_id), 0.0) for user_id in user_ids)
            sleep = sleep_in_database if trouble.get("in_database") else time.sleep
            for _ in range(round(seconds / SLICE)):
                sleep(SLICE)
        return super().course_views(course_key, user_ids, now=now)


def wait_at_gate(gate: Path) -> None:
    """Say that somebody is here, in the middle of a transaction, and wait until the gate is open."""
    here = gate / f"{os.getpid()}-{uuid4().hex}"
    here.touch()
    while (gate / "closed").exists():
        time.sleep(0.02)
    here.unlink()


def sleep_in_database(seconds: float) -> None:
    function = "pg_sleep" if connection.vendor == "postgresql" else "SLEEP"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [seconds])
