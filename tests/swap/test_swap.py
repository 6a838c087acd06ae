"""An operator of openedx-completion-aggregator 4.5.0 swaps the package, keeps the data, and could go back.

One story on one database of MariaDB or MySQL, told in order. 4.5.0 itself runs in an environment of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from benchmarks import databases
from benchmarks.child import ROOT, Child
from benchmarks.peer import environment
from tests.swap.story import LEARNERS, SQL, TABLE

pytestmark = pytest.mark.services

NAME = "completion_aggregator_swap"
MIGRATION = "0001_squashed_0007_aggregator_optional_completion"
OLD = f"{TABLE}_4_5"
#: What a row of 4.5.0 says, both as table and as view.
VALUES = "user_id, course_key, aggregation_name, block_key, earned, possible, percent, last_modified, modified"
TABLES_OF_4_5 = [
    f"completion_aggregator_{name}" for name in ("aggregator", "cachegroupinvalidation", "stalecompletion")
]


def old_site() -> Child:
    settings = {
        "PYTHONPATH": "",
        "DJANGO_SETTINGS_MODULE": "benchmarks.peer.settings",
        "DATABASE_URL": databases.url("mariadb", NAME),
    }
    return Child(environment.ensure(), "tests.swap.old_site", settings)


def settings_of_new_site() -> dict[str, str]:
    return {
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "sample_lms.settings",
        "DATABASE_URL": databases.url("mariadb", NAME),
        "CACHE_URL": "locmemcache://",
        "DEBUG": "0",
    }


def new_site() -> Child:
    return Child(sys.executable, "tests.swap.new_site", settings_of_new_site())


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start a command of ours, as an operator does."""
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **settings_of_new_site()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def manage(*arguments: str) -> str:
    process = start(*arguments)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return out


def query(sql: str) -> list[tuple[Any, ...]]:
    """Return the rows, sorted as Python does: databases sort texts by their collations."""
    with closing(databases._connect("mariadb")) as connection:
        connection.select_db(NAME)
        cursor = connection.cursor()
        cursor.execute(sql)
        return sorted(cursor.fetchall(), key=repr)


def tables() -> list[str]:
    return [name for name, kind in query("SHOW FULL TABLES LIKE 'completion\\_aggregator%'") if kind == "BASE TABLE"]


def wait_until_copied(rows: int) -> None:
    end = time.monotonic() + 60
    while query("SELECT copied FROM completion_aggregator_takeover")[0][0] < rows:
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def database() -> Iterator[None]:
    with databases.fresh("mariadb", NAME):
        yield


def test_the_swap_and_the_way_back(database: None) -> None:
    # 4.5.0 has run for years.
    with old_site() as site:
        site.ask("fill")
        right = site.ask("ask")["answer"]
        assert site.ask("litter")["answer"] >= 50_000
        assert site.ask("mark")["answer"] == 20_000
        as_4_5_says = site.ask("ask")["answer"]
    before = query(f"SELECT {VALUES} FROM {TABLE}")
    answers = {name: query(sql) for name, sql in SQL.items()}
    markers = query("SELECT * FROM completion_aggregator_stalecompletion")

    # The package is swapped. The tables are set aside with all that they hold.
    out = manage("migrate")
    assert "Take them over with: manage.py migrate_aggregates" in out
    assert query(f"SELECT {VALUES} FROM {OLD}") == before
    assert "completion_aggregator.W001" in manage("check", "--database", "default")
    with new_site() as site:
        site.ask("publish")
        meanwhile = site.ask("ask_meanwhile")["answer"]
        assert meanwhile == {"learner": right["a learner"], "migration": {"copied": 0, "total": None}}

        # The copy is killed in the middle; who asks is told how far it is, and a learner's own answer is right.
        copy = start("migrate_aggregates", "--batch-size", "400", "--delay-between-batches", "0.01")
        wait_until_copied(20_000)
        copy.send_signal(signal.SIGKILL)
        copy.communicate()
        meanwhile = site.ask("ask_meanwhile")["answer"]
        copied, total = meanwhile["migration"]["copied"], meanwhile["migration"]["total"]
        assert 20_000 <= copied < total == len(before)
        assert meanwhile["learner"] == right["a learner"]
        assert f"copied from 4.5:     {copied} of {total} rows" in manage("aggregator_status")

        # It goes on where it was: nothing is lost, nothing is there twice.
        out = manage("migrate_aggregates")
        assert out.splitlines()[-1] == (
            f"taken over: {len(before)} aggregates, 19500 markers; "
            "left out: 500 markers of users who do not exist any more"
        )
        assert query(f"SELECT {VALUES} FROM {TABLE}") == before
        assert {name: query(sql) for name, sql in SQL.items()} == answers
        assert "completion_aggregator.W001" not in manage("check", "--database", "default")
        meanwhile = site.ask("ask_meanwhile")["answer"]
        assert meanwhile == {"learner": right["a learner"], "migration": None}

        # The service counts the markers; then everything is answered as 4.5.0 answered where it was right.
        manage("run_aggregator_service", "--inline")
        assert query("SELECT * FROM completion_aggregator_stalecompletion") == []
        assert site.ask("ask")["answer"] == right
    del answers["a learner"]  # a block is gone, and its sum with it
    assert {name: query(sql) for name, sql in SQL.items() if name in answers} == answers

    # The operator goes back, and finds everything as it was.
    manage("migrate", "completion_aggregator", MIGRATION)
    assert tables() == TABLES_OF_4_5
    assert query(f"SELECT {VALUES} FROM {TABLE}") == before
    assert query("SELECT * FROM completion_aggregator_stalecompletion") == markers
    with old_site() as site:
        assert "No migrations to apply" in site.ask("run", command="migrate", arguments=[])["answer"]
        assert site.ask("ask")["answer"] == as_4_5_says
        site.ask("run", command="run_aggregator_service", arguments=[])
        site.ask("run", command="run_aggregator_cleanup", arguments=[])

    # And swaps once more, for good.
    manage("migrate")
    manage("migrate_aggregates")
    assert query(f"SELECT COUNT(*) FROM {TABLE} WHERE user_id = {LEARNERS}") == [(265,)]
    manage("migrate_aggregates", "--drop-old")
    assert [name for name in tables() if name.endswith("_4_5")] == []


def test_a_site_older_than_4_5_is_sent_there_first(database: None) -> None:
    manage("migrate")
    with closing(databases._connect("mariadb")) as connection:
        connection.select_db(NAME)
        # As 4.4 leaves it: six of the seven migrations.
        connection.cursor().execute(
            "DELETE FROM django_migrations WHERE app = 'completion_aggregator' AND name > '0007'"
            " OR name LIKE '0001_squashed_0007%'"
        )
        connection.commit()

    for command in (["migrate"], ["check", "--database", "default"]):
        process = start(*command)
        out, _ = process.communicate()
        assert process.returncode == 1
        assert "(completion_aggregator.E004) The tables of openedx-completion-aggregator are older than" in out
        assert "the last migration is 0006_rename_index_together_to_indexes" in out
        assert "Install openedx-completion-aggregator 4.5.0 first, run migrate, then come back" in out
        assert "Traceback" not in out
