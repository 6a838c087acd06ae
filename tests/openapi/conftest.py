"""The demo as a process of its own, as `make demo` starts it, and as who wants to ask it over HTTP finds it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--minutes", type=float, help="ask random questions for so long, others each time")


def _manage(database: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    settings = {"DATABASE_URL": f"sqlite:///{database}", "DJANGO_SETTINGS_MODULE": "tests.openapi.settings"}
    return [sys.executable, "manage.py", *arguments], os.environ | settings


@pytest.fixture(scope="session")
def demo_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of the demo; nobody writes into this file."""
    database = tmp_path_factory.mktemp("demo") / "demo.sqlite3"
    command, environment = _manage(database, "demo", "--no-serve")
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return database


@pytest.fixture(scope="module")
def demo(demo_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the demo, with data of its own."""
    directory = tmp_path_factory.mktemp("site")
    database = shutil.copy(demo_database, directory)
    address = f"127.0.0.1:{_free_port()}"
    command, environment = _manage(database, "runserver", "--noreload", "--insecure", "--skip-checks", address)
    log = directory / "log"
    with log.open("w") as output:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)  # noqa: S603
    try:
        _wait_for(f"http://{address}", server, log)
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait()
    assert "Traceback" not in log.read_text(), log.read_text()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _wait_for(site: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert server.poll() is None, log.read_text()
        try:
            urlopen(f"{site}/api/completion/v1/course/")  # noqa: S310
        except HTTPError:
            return  # 401: it answers
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
