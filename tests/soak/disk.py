"""A disk that is full, with SQLite: learners go on until nothing can be written, and again once there is space."""

from __future__ import annotations

import logging
import random
from io import StringIO
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import Error, connection
from django.test import Client

from completion_aggregator.models import StaleCompletion
from tests.soak.records import Ledger
from tests.soak.setup import Class, set_up
from tests.soak.verify import find_differences, find_losses, is_drained, verify

LEARNERS = 20
#: Pages that are left on the disk; each request may need one in the middle of its transaction.
SPACE = 12
REQUESTS = 300


def run(directory: Path, *, seed: int) -> dict[str, Any]:
    """Return what has happened; "violations" is a list of sentences, empty when all is well."""
    logging.basicConfig(filename=directory / "lms.log")
    # Here they are not a process of their own, and on stderr they would hide the result.
    logging.getLogger("django.request").handlers.clear()
    return Disk(set_up(LEARNERS, seed), random.Random(f"{seed} disk")).run()


class Disk:
    def __init__(self, everybody: Class, dice: random.Random) -> None:
        self.course_key, self.blocks, self.usernames = everybody
        self.dice = dice
        self.clients = {username: Client(raise_request_exception=False) for username in self.usernames}
        self.ledger = Ledger()
        self.violations: list[str] = []

    def run(self) -> dict[str, Any]:

        for username, client in self.clients.items():
            client.force_login(get_user_model().objects.get(username=username))
        self._aggregate()
        self._limit(SPACE)
        refused = self._work()
        if not refused:
            self.violations.append("The disk never was full.")
        self._check_markers()
        full = self._aggregate()
        self._limit(None)
        if again := self._work():
            self.violations.append(f"{again} requests were refused although there was space again.")
        self._check_markers()
        self._aggregate()
        if not is_drained():
            self.violations.append("Not drained although there is space again.")
        return {
            "acknowledged_completions": len(self.ledger.acknowledged),
            "requests_refused_while_full": refused,
            "aggregation_while_full": full,
            "losses": len(find_losses(self.ledger)),
            "markers_at_the_end": StaleCompletion.objects.count(),
            "violations": [*self.violations, *verify(self.ledger)],
        }

    def _limit(self, space: int | None) -> None:
        """Leave so many pages to this process' connection; None: as many as there are."""

        with connection.cursor() as cursor:
            cursor.execute("VACUUM")  # or pages that are free in the file would be taken first
            cursor.execute("PRAGMA page_count")
            (pages,) = cursor.fetchone()
            # SQLite takes numbers only here. The largest that it knows:
            cursor.execute(f"PRAGMA max_page_count = {2**32 - 2 if space is None else pages + space}")

    def _work(self) -> int:
        """Let learners do blocks at the site; return how many requests it could not do."""

        refused = 0
        for _ in range(REQUESTS):
            username, block = self.dice.choice(self.usernames), self.dice.choice(self.blocks)
            client = self.clients[username]
            answer = client.post(f"/courses/{self.course_key}/jump_to/{block}/")
            refused += answer.status_code >= 500
            if answer.status_code == 302:
                self.ledger.acknowledge(username, self.course_key, block)
        return refused

    def _aggregate(self) -> str:
        """Let the service make a pass; return its last line, or how it failed."""

        out = StringIO()
        try:
            call_command("run_aggregator_service", "--inline", stdout=out)
        except (CommandError, Error) as error:
            return repr(error)
        return out.getvalue().splitlines()[-1]

    def _check_markers(self) -> None:
        """Whoever has no marker must be right: a completion and its marker are written together, or neither is."""

        self.violations += find_differences(but_of_marked=True)
