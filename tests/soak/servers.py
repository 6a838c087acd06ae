"""Servers of the soak's own: their data in a new folder, on free ports, so that nobody else's are broken.

Each is one process group, which ends as when the machine fails: killed, and PostgreSQL told to stop at once.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

#: Where Debian puts what is not meant for everybody's PATH.
ELSEWHERE = ["/usr/sbin", "/usr/lib/rabbitmq/bin", *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))]


#: Nothing takes longer to start or to make its data, on the busiest machine. Seconds.
START = 180.0


def find_program(name: str) -> str:
    """Return its path. Behind /usr/sbin/rabbitmq-server is a script that insists on being root."""
    found = shutil.which(name, path=os.pathsep.join([*reversed(ELSEWHERE), os.environ["PATH"]]))
    if found is None:
        raise SystemExit(f"{name} is not installed; the soak starts servers of its own.")
    return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Server:
    """A server that is not running yet.

    Subclasses say how its data is made, how it is started, and how to ask whether it answers.
    """

    account: str
    crash_signal = signal.SIGKILL

    def __init__(self, directory: Path) -> None:
        self.directory = directory / type(self).__name__.lower()
        self.directory.mkdir()
        self.port = free_port()
        self.popen: subprocess.Popen[bytes] | None = None
        # PostgreSQL and the others do not run as root; whoever is not root is the one who owns the data.
        self.is_root = os.getuid() == 0
        if self.is_root:
            shutil.chown(self.directory, self.account, self.account)
        self.prepare()

    @property
    def url(self) -> str:
        raise NotImplementedError

    def prepare(self) -> None:
        """Make its data."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def connect(self) -> None:
        """Connect and ask something; raises whatever the client raises while it does not answer."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def _spawn(self, command: list[str], output: int | IO[bytes]) -> subprocess.Popen[bytes]:
        account = pwd.getpwnam(self.account) if self.is_root else None
        return subprocess.Popen(  # noqa: S603
            command,
            cwd=self.directory,
            env=os.environ | {"HOME": str(self.directory), "LC_ALL": "C"} | self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=account and account.pw_uid,
            group=account and account.pw_gid,
            extra_groups=[] if account else None,
        )

    def run(self, *command: str) -> None:
        with (self.directory.parent / f"{self.directory.name}.log").open("ab") as log:
            if self._spawn(list(command), log).wait(timeout=START):
                raise SystemExit(f"{command[0]} failed: {log.name}")

    def start(self) -> None:
        with (self.directory.parent / f"{self.directory.name}.log").open("ab") as log:
            self.popen = self._spawn(self.command(), log)

    def answers(self) -> bool:
        if self.popen is None or self.popen.poll() is not None:
            return False
        try:
            self.connect()
        except Exception:  # noqa: BLE001 - each client has its own
            return False
        return True

    def crash(self) -> None:
        if self.popen is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, self.crash_signal)
        try:
            self.popen.wait(timeout=20)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)


class Postgresql(Server):
    account = "postgres"
    #: Immediate shutdown: recovers from its log at the next start.
    crash_signal = signal.SIGQUIT

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/soak"

    def prepare(self) -> None:
        self.run(find_program("initdb"), "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")

    def command(self) -> list[str]:
        listen = ["listen_addresses=127.0.0.1", f"unix_socket_directories={self.directory}"]
        return [find_program("postgres"), "-D", "data", "-p", str(self.port), "-c", listen[0], "-c", listen[1]]

    def connect(self) -> None:
        self.execute("SELECT 1")

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        import psycopg

        where = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(where, autocommit=True, connect_timeout=2) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def cut_connections(self) -> None:
        self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'soak'")


class Mariadb(Server):
    account = "mysql"

    @property
    def url(self) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/soak"

    def prepare(self) -> None:
        self.run(
            *(find_program("mariadb-install-db"), "--no-defaults", f"--datadir={self.directory / 'data'}"),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        )

    def command(self) -> list[str]:
        return [
            *(find_program("mariadbd"), "--no-defaults", f"--datadir={self.directory / 'data'}"),
            *(f"--port={self.port}", f"--socket={self.directory / 'socket'}", "--bind-address=127.0.0.1"),
            *(f"--pid-file={self.directory / 'pid'}", "--skip-name-resolve", "--character-set-server=utf8mb4"),
        ]

    def connect(self) -> None:
        self.execute("SELECT 1")

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        import MySQLdb

        connection = MySQLdb.connect(host="127.0.0.1", port=self.port, user="root", connect_timeout=2)
        try:
            cursor = connection.cursor()
            cursor.execute(statement)
            return list(cursor.fetchall())
        finally:
            connection.close()

    def cut_connections(self) -> None:
        for (number,) in self.execute("SELECT id FROM information_schema.processlist WHERE db = 'soak'"):
            with suppress(Exception):  # it has ended by itself
                self.execute(f"KILL {number}")


class Redis(Server):
    account = "redis"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        # Written to disk at each change, so that a broker that is killed keeps what it has taken.
        keep = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        where = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.directory)]
        return [find_program("redis-server"), *where, *keep]

    def connect(self) -> None:
        from redis import Redis as Client

        with Client(port=self.port, socket_timeout=2) as client:
            client.ping()

    def flush(self, number: int) -> None:
        """Empty one of its databases."""
        from redis import Redis as Client

        with Client(port=self.port, db=number) as client:
            client.flushdb()


class RedisBroker(Redis):
    """One of its own: a broker that is killed is not a cache that is killed."""


class Rabbitmq(Server):
    account = "rabbitmq"

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def prepare(self) -> None:
        self.distribution_port = free_port()

    def environment(self) -> dict[str, str]:
        return {
            "RABBITMQ_NODENAME": f"soak{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "data"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "env"),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq"),
        }

    def command(self) -> list[str]:
        return [find_program("rabbitmq-server")]

    def connect(self) -> None:
        from kombu import Connection

        with Connection(self.url, connect_timeout=2) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)


DATABASES: dict[str, type[Postgresql | Mariadb]] = {"postgresql": Postgresql, "mariadb": Mariadb}


class Servers:
    """The servers of one run: `with` starts and ends them."""

    def __init__(self, directory: Path, *, database: str, broker: str) -> None:
        self.database = DATABASES[database](directory)
        self.redis = Redis(directory)
        self.broker: Server = Rabbitmq(directory) if broker == "rabbitmq" else RedisBroker(directory)
        self.all: set[Server] = {self.database, self.redis, self.broker}

    @property
    def environment(self) -> dict[str, str]:
        """What the sample LMS finds them by."""
        return {
            # Connections are kept, and looked at before they are used again, as an LMS should.
            "DATABASE_URL": f"{self.database.url}?CONN_MAX_AGE=60&CONN_HEALTH_CHECKS=true",
            "CACHE_URL": f"{self.redis.url.replace('redis:', 'rediscache:')}/1",
            "CELERY_BROKER_URL": self.broker.url,
        }

    def __enter__(self) -> Servers:
        for server in self.all:
            server.start()
        deadline = time.monotonic() + START
        while not all(server.answers() for server in self.all):
            if time.monotonic() > deadline:
                self.__exit__()
                raise SystemExit(f"The servers do not start: {[str(server.directory) for server in self.all]}")
            time.sleep(0.1)
        self.database.execute("CREATE DATABASE soak")
        return self

    def __exit__(self, *error: object) -> None:
        for server in self.all:
            server.crash()
