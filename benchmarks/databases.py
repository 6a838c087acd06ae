"""The databases of the benchmark: made anew for each run, and dropped after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.errors import BenchmarkError

OURS = "completion_aggregator_bench"
PEER = "completion_aggregator_bench_peer"
SQLITE_FILE = Path(__file__).parent / ".bench.sqlite3"

#: The servers on loopback; the same variables name others as for the tests. The database in the address is ignored.
SERVERS = {
    "mariadb": os.environ.get("MARIADB_URL", "mysql://root@127.0.0.1:3306/"),
    "postgresql": os.environ.get("POSTGRESQL_URL", "postgres://postgres@127.0.0.1:5432/"),
}


def url(database: str, name: str) -> str:
    """Return the address of a database, as the sample LMS takes it."""
    if database == "sqlite":
        return f"sqlite:///{SQLITE_FILE}"
    return urlsplit(SERVERS[database])._replace(path=f"/{name}").geturl()


@contextmanager
def fresh(database: str, *names: str) -> Iterator[None]:
    """Make empty databases of these names, for as long as the block runs."""
    try:
        _remake(database, names, create=True)
        yield
    finally:
        _remake(database, names, create=False)


def _remake(database: str, names: tuple[str, ...], *, create: bool) -> None:
    if database == "sqlite":
        for path in SQLITE_FILE.parent.glob(f"{SQLITE_FILE.name}*"):
            path.unlink()
        return
    connection = _connect(database)
    try:
        cursor = connection.cursor()
        # Neither waits for, nor fails over, a process that is just ending.
        dropping, creating = ("", " CHARACTER SET utf8mb4") if database == "mariadb" else (" WITH (FORCE)", "")
        for name in names:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}{dropping}")
            if create:
                cursor.execute(f"CREATE DATABASE {name}{creating}")
    finally:
        connection.close()


def _connect(database: str) -> Any:
    server = urlsplit(SERVERS[database])
    host, user, password = server.hostname or "127.0.0.1", server.username or "", server.password or ""
    try:
        if database == "mariadb":
            import MySQLdb

            return MySQLdb.connect(host=host, port=server.port or 3306, user=user, password=password)
        import psycopg

        return psycopg.connect(
            host=host, port=server.port or 5432, user=user, password=password, dbname="postgres", autocommit=True
        )
    except Exception as error:
        raise BenchmarkError(f"{database} cannot be reached at {host}: {str(error).splitlines()[0]}") from error
