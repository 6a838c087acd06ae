"""What goes wrong, one after the other, and how long it takes until everything works again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.db import Error, connections

from completion_aggregator.models import AggregatedChunk
from tests.soak.driver import Browser
from tests.soak.records import Outage
from tests.soak.servers import Server, Servers
from tests.soak.site import Site

#: Nothing may take longer to recover: it would be said to hang, however busy the machine is. Seconds.
RECOVERY = 180.0
#: How long wrong clocks are at work, once both are. Seconds.
SKEWED = 3.0


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    excuses: bool
    #: Blocks until the fault is done; what was stopped is starting again.
    inject: Callable[[], None]


class Faults:
    """All faults of a site."""

    def __init__(self, site: Site, servers: Servers) -> None:
        self.site = site
        self.faults = [
            Fault("worker child killed", False, site.worker.kill_child),
            Fault("worker killed", False, site.worker.kill),
            Fault("service killed", False, site.service.kill),
            Fault("web worker killed", True, site.web.kill_child),
            Fault("broker killed", False, lambda: restart(servers.broker)),
            Fault("database killed", True, lambda: restart(servers.database)),
            Fault("connections cut", True, servers.database.cut_connections),
            Fault("cache emptied", False, lambda: servers.redis.flush(1)),
            # The switches of edx-completion are read from it.
            Fault("cache killed", True, lambda: restart(servers.redis)),
            Fault("clocks an hour off", False, self._skew),
        ]

    def _skew(self) -> None:
        """Let one worker whose clock is an hour ahead and one that is an hour behind do all the work for a while."""
        self.site.worker.stop()
        for worker in self.site.skewed:
            worker.start()
        deadline = time.monotonic() + RECOVERY
        try:
            while not all(worker.has_worked for worker in self.site.skewed) and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(SKEWED)
        finally:
            for worker in self.site.skewed:
                worker.stop()
            self.site.worker.start()

    async def run(self, dice: random.Random, until: float, outages: list[Outage], probe: Browser, path: str) -> None:
        """Let each happen at least once, in an order of the dice, and go on until the time is over."""
        first = True
        while first or time.monotonic() < until:
            for fault in dice.sample(self.faults, len(self.faults)):
                if not first and time.monotonic() >= until:
                    break
                await asyncio.sleep(dice.uniform(0.5, 2))
                outage = Outage(fault.name, fault.excuses, time.monotonic())
                outages.append(outage)
                await asyncio.to_thread(fault.inject)
                await asyncio.gather(self._await_answer(outage, probe, path), self._await_chunk(outage))
            first = False

    async def _await_answer(self, outage: Outage, probe: Browser, path: str) -> None:
        deadline = time.monotonic() + RECOVERY
        while time.monotonic() < deadline:
            answer = await probe.get("probe", path)
            if answer is not None and answer.status_code == 200:
                outage.answered = time.monotonic()
                return

    async def _await_chunk(self, outage: Outage) -> None:
        if await asyncio.to_thread(lambda: wait_for_chunk(last_chunk())):
            outage.aggregated = time.monotonic()


def restart(server: Server) -> None:
    server.crash()
    server.start()
    while not server.answers():
        time.sleep(0.1)


def last_chunk() -> int | None:
    """Return the id of the newest chunk that was aggregated; None: the database does not answer."""
    try:
        chunk = AggregatedChunk.objects.order_by("-pk").values_list("pk", flat=True).first()
    except Error:
        return None
    finally:
        connections.close_all()
    return chunk or 0


def wait_for_chunk(last: int | None) -> bool:
    """Wait until a newer one is aggregated; tell whether there was one in time."""
    deadline = time.monotonic() + RECOVERY
    while time.monotonic() < deadline:
        newest = last_chunk()
        if last is None:
            last = newest
        elif newest is not None and newest > last:
            return True
        time.sleep(0.1)
    return False
