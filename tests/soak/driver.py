"""People at the site, over HTTP: learners who work and look how far they are, and staff who look at everybody.

Every request is recorded; every completion that the site has acknowledged goes into the ledger.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from tests.soak.records import Ledger, Log, Request, World

API = "/api/completion/v1"
#: A user who gets no answer for so long goes away. Seconds.
PATIENCE = 60.0
#: The web server closes a connection that is idle for 2 seconds: a request that is sent just then is nobody's fault.
LIMITS = httpx.Limits(keepalive_expiry=1.0)
PASSWORD = "only-for-the-soak"  # noqa: S105 - of this run only


class Browser:
    """One user's session."""

    def __init__(self, site: str, username: str, log: Log) -> None:
        self.username = username
        self.log = log
        # Only http on loopback: making a context of certificates takes longer than the requests.
        self.client = httpx.AsyncClient(base_url=site, timeout=PATIENCE, verify=False, limits=LIMITS)  # noqa: S501
        self.is_in = False

    async def request(self, kind: str, method: str, path: str, **options: Any) -> httpx.Response | None:
        """Ask, and read the answer to its end; None: there was none."""
        started = time.monotonic()
        response, error = None, ""
        try:
            response = await self.client.request(method, path, **options)
        except httpx.HTTPError as raised:
            error = repr(raised)
        status = response.status_code if response is not None else 0
        self.log.requests.append(Request(kind, started, time.monotonic(), status, error))
        if status == 0 or status >= 500:
            await asyncio.sleep(0.5)
            return None
        return response

    async def get(self, kind: str, path: str, **parameters: str) -> httpx.Response | None:
        return await self.request(kind, "GET", path, params=parameters)

    async def log_in(self) -> bool:
        if not self.is_in:
            await self.get("log in", "/login/")
            form = {"username": self.username, "password": PASSWORD, "csrfmiddlewaretoken": self.token}
            response = await self.request("log in", "POST", "/login/", data=form)
            self.is_in = response is not None and response.status_code == 302
        return self.is_in

    @property
    def token(self) -> str:
        return self.client.cookies.get("csrftoken") or ""


class Learner:
    """Does blocks, looks at once whether they count, and looks at the pages in between."""

    def __init__(self, browser: Browser, course_key: str, blocks: list[str], ledger: Ledger, world: World) -> None:
        self.browser = browser
        self.course_key = course_key
        self.blocks = blocks
        self.ledger = ledger
        self.world = world

    async def act(self, dice: random.Random) -> None:
        if not await self.browser.log_in():
            return
        actions = [self.work, self.look_at_list, self.look_at_pages]
        (action,) = dice.choices(actions, weights=[6, 2, 2])
        await action(dice)

    async def look_at_list(self, dice: random.Random) -> None:
        await self.browser.get("own courses", f"{API}/course/", username="me", requested_fields="chapter,sequential")

    async def look_at_pages(self, dice: random.Random) -> None:
        page = dice.choice(["my/", f"my/{self.course_key}/", f"widget/bar/{self.course_key}/"])
        await self.browser.get("own pages", f"/api/completion/{page}")

    async def work(self, dice: random.Random) -> None:
        block = dice.choice(self.blocks)
        path = f"/courses/{self.course_key}/jump_to/{block}/"
        changes, stood_still = self.world.begun, self.world.stands_still
        before = await self._earned()
        page = await self.browser.get("block page", path)
        if page is None or "Mark as done" not in page.text:
            return
        form = {"csrfmiddlewaretoken": self.browser.token}
        answer = await self.browser.request("mark as done", "POST", path, data=form)
        if answer is None or answer.status_code != 302:
            return
        self.ledger.acknowledge(self.browser.username, self.course_key, block)
        after = await self._earned()
        await asyncio.sleep(0.05)  # what the world has begun meanwhile has been heard of now
        if before is None or after is None or not stood_still or self.world.begun != changes:
            return
        self.browser.log.own_writes_read += 1
        # Of 1, or of a half where it was half done before.
        if not 0.5 <= after - before <= 1:
            self._contradict(f"{self.browser.username} has done {block}: earned was {before}, and is {after}")

    async def _earned(self) -> float | None:
        """Ask how many blocks count as done, optional ones too."""
        path = f"{API}/course/{self.course_key}/"
        answer = await self.browser.get("own course", path, username="me", include_optional="true")
        if answer is None or answer.status_code != 200:
            return None
        (body,) = answer.json()["results"]
        for name in ("completion", "optional_completion"):
            if not 0 <= body[name]["earned"] <= body[name]["possible"]:
                self._contradict(f"{self.browser.username}: {body}")
        return float(body["completion"]["earned"] + body["optional_completion"]["earned"])

    def _contradict(self, sentence: str) -> None:
        self.browser.log.contradictions.append(sentence)


class Staff:
    """Looks at the whole class."""

    def __init__(self, browser: Browser, course_key: str, usernames: list[str]) -> None:
        self.browser = browser
        self.course_key = course_key
        self.usernames = usernames

    async def act(self, dice: random.Random) -> None:
        if not await self.browser.log_in():
            return
        key, get = self.course_key, self.browser.get
        action: Callable[[], Awaitable[object]] = dice.choice(
            [
                lambda: get("class", f"{API}/course/{key}/", page_size="50", requested_fields="chapter"),
                lambda: get("class", f"{API}/course/{key}/", page_size="50", page="2", requested_fields="mean"),
                lambda: get("stats", f"{API}/stats/{key}/", requested_fields="mean"),
                lambda: get("summary", f"{API}/summary/{key}/"),
                lambda: get("export", f"{API}/export/{key}/", type="csv"),
                lambda: get("dashboard", f"/api/completion/dashboard/{key}/"),
                lambda: self._bulk(dice),
            ]
        )
        await action()

    async def _bulk(self, dice: random.Random) -> None:
        body = {"course_keys": [self.course_key], "users": dice.sample(self.usernames, 20)}
        headers = {"X-CSRFToken": self.browser.token}
        await self.browser.request("bulk", "POST", f"{API}/bulk/", json=body, headers=headers)


async def keep_acting(people: list[Learner] | list[Staff], dice: random.Random, over: asyncio.Event) -> None:
    """Let one of them act after the other, until it is over."""
    while not over.is_set():
        await dice.choice(people).act(dice)
        await asyncio.sleep(dice.uniform(0.02, 0.2))


async def listen(stdout: asyncio.StreamReader, world: World) -> None:
    """Note what the world says."""
    async for line in stdout:
        if line.startswith(b"begin"):
            world.begun += 1
        else:
            world.ended += 1
