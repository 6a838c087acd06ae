"""The demo in a process of its own, as a browser meets it."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

from django.urls import reverse

ROOT = Path(__file__).resolve().parent.parent.parent
COURSE = "course-v1:Sample+SKY101+2026"
#: Setting the demo up takes half a minute on an idle machine of today.
PATIENCE = 600.0  # seconds


class Site:
    """`manage.py demo` on a database of its own."""

    def __init__(self, directory: Path) -> None:
        self.database, self.log = directory / "demo.sqlite3", directory / "demo.log"
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "manage.py", "demo", "--port", str(port)],
                cwd=ROOT,
                env={**os.environ, "DATABASE_URL": f"sqlite:///{self.database}"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait()

    def address(self, name: str, **keys: object) -> str:
        """Return the whole address of the page with this name; the learner's page is that of the account."""
        if name.endswith("course") or "widget" in name or name == "completion-dashboard-learner":
            keys.setdefault("course_key", COURSE)
        if name == "completion-dashboard-learner":
            keys.setdefault("user_id", self.learner_id)
        return self.url + reverse(name, kwargs=keys)

    @property
    def learner_id(self) -> int:
        with closing(sqlite3.connect(self.database)) as database:
            return int(database.execute("SELECT id FROM auth_user WHERE username = 'learner'").fetchone()[0])

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/login/").close()  # noqa: S310
            except urllib.error.URLError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, f"no answer within {PATIENCE} seconds"
                time.sleep(0.2)
            else:
                return


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
