"""Learners who go on while everybody in their course is aggregated anew."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from completion.models import BlockCompletion
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max
from django.test import Client
from opaque_keys.edx.keys import UsageKey

from benchmarks.course import Course
from benchmarks.measure import Measure
from benchmarks.ours import data
from completion_aggregator import services
from completion_aggregator.models import StaleCompletion

COURSE = Course("Pressure")
#: Those who do something while it is measured; the rest of the class does nothing.
ACTIVE = 200
#: From one completion to the next. Unit: seconds.
PAUSE = 0.25
#: How long it is waited for the last of them.
PATIENCE = 600


def prepare_pressure(measure: Measure, *, learners: int) -> None:
    """Make the course and aggregate everybody in it."""
    data.add_course(COURSE, learners)
    services.mark_course(data.key_of(COURSE))
    services.aggregate_stale(limit=ACTIVE)
    data.forget_markers()


def press(measure: Measure, *, seconds: float, rebuild: bool) -> None:
    """Let learners complete blocks and look at what they have done, for so long; tell what each of it took."""
    if rebuild:
        services.mark_course(data.key_of(COURSE))
    times = _Times()
    end, turns = time.perf_counter() + seconds, count(int(time.time()) % ACTIVE)
    while time.perf_counter() < end:
        begin = time.perf_counter()
        times.act(User.objects.get(pk=next(turns) % ACTIVE + 1))
        while time.perf_counter() - begin < PAUSE:
            times.look()
    deadline = time.perf_counter() + PATIENCE
    while times.open and time.perf_counter() < deadline:
        times.look()
    measure.answer = {
        "hook": _quantiles(times.hooks),
        "lag": _quantiles(times.lags + [PATIENCE] * len(times.open)),
        "stale_read": _quantiles(times.reads),
        "left_of_the_rebuild": StaleCompletion.objects.filter(block_key=None).count(),
    }


class _Times:
    def __init__(self) -> None:
        self.hooks: list[float] = []
        self.lags: list[float] = []
        self.reads: list[float] = []
        #: By id of the marker: when its completion was committed.
        self.open: dict[int, float] = {}
        self._clients: dict[int, Client] = {}

    def act(self, user: User) -> None:
        """Complete another block, then ask how far that is."""
        key = UsageKey.from_string(COURSE.choice((user.pk + 1) % 5)[int(time.time()) % 200])
        begin = time.perf_counter()
        with transaction.atomic():
            BlockCompletion.objects.submit_completion(user, key, 0.25 + (begin % 1) / 2)
        committed = time.perf_counter()
        self.hooks.append(committed - begin)
        newest = StaleCompletion.objects.filter(user_id=user.pk).exclude(block_key=None).aggregate(id=Max("id"))["id"]
        if newest is None:
            self.lags.append(time.perf_counter() - committed)
        else:
            self.open[newest] = committed
        if user.pk not in self._clients:
            self._clients[user.pk] = Client()
            self._clients[user.pk].force_login(user)
        path, begin = f"/api/completion/v1/course/{COURSE.key}/", time.perf_counter()
        response = self._clients[user.pk].get(path, {"username": user.username, "requested_fields": "chapter"})
        if response.status_code != 200:
            raise RuntimeError(response.content)
        self.reads.append(time.perf_counter() - begin)

    def look(self) -> None:
        """Note who has been aggregated."""
        time.sleep(0.02)
        there = set(StaleCompletion.objects.filter(id__in=list(self.open)).values_list("id", flat=True))
        now = time.perf_counter()
        self.lags += [now - self.open.pop(marker) for marker in set(self.open) - there]


def _quantiles(times: list[float]) -> dict[str, Any]:
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "number": len(times)}


STEPS: dict[str, Callable[..., None]] = {step.__name__: step for step in (prepare_pressure, press)}
