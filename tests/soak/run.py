"""One run on servers that are up: everything is started, loaded, broken, drained and looked at."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from django.db import connections

from completion_aggregator.models import StaleCompletion
from tests.soak import driver, report
from tests.soak.faults import Faults
from tests.soak.records import Ledger, Log, Outage, World
from tests.soak.servers import START, Servers, free_port
from tests.soak.setup import Class, set_up
from tests.soak.site import Site
from tests.soak.verify import find_losses, is_drained, verify

#: How many people are at the site at once.
LEARNERS_AT_ONCE, STAFF_AT_ONCE = 6, 1
#: Pause between two changes of the world. Seconds.
WORLD_PAUSE = 1.5
#: How long it may take until nothing waits any more, once the load is over. Seconds.
DRAIN = 180.0


def run(servers: Servers, directory: Path, *, minutes: float, learners: int, seed: int) -> dict[str, Any]:
    """Return what has happened; "violations" is a list of sentences, empty when all is well."""
    everybody = set_up(learners, seed)
    site = Site(directory, free_port())
    try:
        site.start()
        return asyncio.run(Run(servers, directory, site, seed).run(minutes, everybody))
    finally:
        site.stop()


class Run:
    def __init__(self, servers: Servers, directory: Path, site: Site, seed: int) -> None:
        self.directory, self.site, self.seed = directory, site, seed
        self.faults = Faults(site, servers)
        self.log, self.world, self.ledger = Log(), World(), Ledger()
        self.outages: list[Outage] = []

    async def run(self, minutes: float, everybody: Class) -> dict[str, Any]:
        beginning = time.monotonic()
        supervisor = asyncio.create_task(self._supervise())
        await self._await_site()
        staff = driver.Browser(self.site.url, "staff", self.log)
        await staff.log_in()
        await self._load(staff, everybody, until=beginning + 60 * minutes)
        loaded = time.monotonic()
        in_time = await asyncio.to_thread(self._drain)
        drained = time.monotonic()
        supervisor.cancel()
        times = {"seconds_under_load": round(loaded - beginning), "drain_seconds": round(drained - loaded, 1)}
        return await asyncio.to_thread(self._judge, beginning, times, in_time)

    async def _load(self, staff: driver.Browser, everybody: Class, until: float) -> None:
        """Let people act and the world change while faults happen."""
        course_key, blocks, usernames = everybody
        learners = [
            driver.Learner(driver.Browser(self.site.url, name, self.log), course_key, blocks, self.ledger, self.world)
            for name in usernames
        ]
        people: list[Any] = [learners[place::LEARNERS_AT_ONCE] for place in range(LEARNERS_AT_ONCE)]
        people += [[driver.Staff(staff, course_key, usernames)]] * STAFF_AT_ONCE
        over = asyncio.Event()
        world = await self._start_world()
        acting = [
            asyncio.create_task(driver.keep_acting(group, random.Random(f"{self.seed} {place}"), over))
            for place, group in enumerate(people)
        ]
        listening = asyncio.create_task(driver.listen(world.stdout, self.world))
        probe = f"{driver.API}/stats/{course_key}/"
        await self.faults.run(random.Random(f"{self.seed} faults"), until, self.outages, staff, probe)
        over.set()
        await asyncio.gather(*acting)
        world.terminate()
        await listening
        await world.wait()

    async def _supervise(self) -> None:
        while True:
            self.site.supervise()
            await asyncio.sleep(0.2)

    async def _await_site(self) -> None:
        async with httpx.AsyncClient(base_url=self.site.url) as client:
            deadline = time.monotonic() + START
            while time.monotonic() < deadline:
                try:
                    if (await client.get("/login/")).status_code == 200:
                        return
                except httpx.HTTPError:
                    await asyncio.sleep(0.2)
        raise SystemExit(f"The site does not start:\n{self.site.web.log.read_text()}")

    async def _start_world(self) -> Any:
        with (self.directory / "world.log").open("ab") as errors:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.soak.world", str(self.seed), str(WORLD_PAUSE)),
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def _drain(self) -> bool:
        """Wait until nothing waits; tell whether that was in time."""
        deadline = time.monotonic() + DRAIN
        try:
            while not is_drained():
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.2)
            return True
        finally:
            connections.close_all()

    def _judge(self, beginning: float, times: dict[str, Any], in_time: bool) -> dict[str, Any]:
        violations = [] if in_time else [f"Not drained within {DRAIN:.0f} s."]
        violations += [
            f"{each.kind}: {each.status or each.error}, {each.started - beginning:.1f} s after the start, in no outage."
            for each in self.log.requests
            if each.failed and not report.is_excused(each, self.outages)
        ]
        violations += [f"Contradiction: {sentence}" for sentence in self.log.contradictions]
        violations += [
            f"Not recovered: {each.name}." for each in self.outages if each.answered is None or each.aggregated is None
        ]
        violations += [f"{each.name} has ended by itself." for each in self.site.processes if each.ended_by_itself]
        violations += [f"{each.name} has done nothing." for each in self.site.skewed if not each.has_worked]
        restarts = [f"{each.name} {each.restarts}" for each in self.site.processes if each.restarts]
        return times | {
            "changes_of_the_world": self.world.ended,
            "acknowledged_completions": len(self.ledger.acknowledged),
            "losses": len(find_losses(self.ledger)),
            "own_writes_read_back": self.log.own_writes_read,
            "contradictions": len(self.log.contradictions),
            "markers_at_the_end": StaleCompletion.objects.count(),
            "restarts": ", ".join(restarts),
            "requests": report.describe_requests(self.log.requests, self.outages),
            "faults": report.describe_outages(self.outages, beginning),
            "violations": [*violations, *verify(self.ledger)],
        }
