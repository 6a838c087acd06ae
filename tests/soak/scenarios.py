"""What is run, each in a new process: Django takes one database for good, and is set up only once it is there."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import django

from tests.soak.servers import DATABASES, Servers

SCENARIOS = (*DATABASES, "sqlite")


def run_scenario(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return what has happened on this database, made for it."""
    if options.keep:
        return _run_in(Path(tempfile.mkdtemp(prefix=f"{name}-", dir=options.keep)), name, options)
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        return _run_in(Path(directory), name, options)


def _run_in(directory: Path, name: str, options: argparse.Namespace) -> dict[str, Any]:
    directory.chmod(0o755)  # the servers have accounts of their own
    os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.soak.settings", "PYTHONUNBUFFERED": "1"}
    about = {"database": name, "seed": options.seed}
    if name == "sqlite":
        os.environ |= {"DATABASE_URL": f"sqlite:///{directory / 'soak.sqlite3'}"}
        django.setup()
        from tests.soak import disk

        return about | disk.run(directory, seed=options.seed)
    with Servers(directory, database=name, broker=options.broker) as servers:
        os.environ |= servers.environment
        django.setup()
        from tests.soak import run

        about |= {"learners": options.learners, "broker": options.broker}
        return about | run.run(
            servers, directory, minutes=options.minutes, learners=options.learners, seed=options.seed
        )
