"""`python -m benchmarks.takeover`: how fast the rows of openedx-completion-aggregator 4.5 are taken over, on MariaDB.

Measured is what `migrate_aggregates` does, batch by batch; nothing else goes on meanwhile. The table of 4.5 has its own
indexes, and rows in the order in which it writes them: learner after learner.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from benchmarks import databases
from benchmarks.course import MAIN, Course

T = TypeVar("T")
NAME = "completion_aggregator_bench_takeover"
APP = "completion_aggregator"
COURSES = tuple(Course(f"Takeover{number}") for number in range(4))
OF_A_LEARNER = sum(bool(block.children) for block in MAIN.blocks())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="aggregates, about (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, help="rows per transaction (default: that of the command)")
    options = parser.parse_args()
    os.environ["DATABASE_URL"] = databases.url("mariadb", NAME)
    os.environ["DJANGO_SETTINGS_MODULE"] = "sample_lms.settings"
    with databases.fresh("mariadb", NAME):
        measure(options.rows, options.batch_size)


def measure(rows: int, batch_size: int | None) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    from benchmarks.ours.data import publish_course
    from completion_aggregator.services import takeover

    call_command("migrate", verbosity=0)
    for course in COURSES:
        publish_course(course)
    call_command("migrate", APP, "0001", verbosity=0)
    fill(rows)
    say("migrate takes", lambda: call_command("migrate", verbosity=0))
    remaining = say("counting takes", takeover.begin_takeover)
    times = []
    start = time.perf_counter()
    while takeover.take_over_batch(batch_size or takeover.BATCH_SIZE):
        times.append(time.perf_counter() - start - sum(times))
    seconds = time.perf_counter() - start
    rate = remaining.aggregates / seconds
    quarter = len(times) // 4
    tell(f"{remaining.aggregates} rows in {seconds:.1f} s: {rate:,.0f} rows a second")
    tell(f"a batch takes {statistics.median(times):.3f} s, the longest {max(times):.3f} s")
    tell(f"the first quarter takes {sum(times[:quarter]):.1f} s, the last {sum(times[-quarter:]):.1f} s")


def say(what: str, work: Callable[[], T]) -> T:
    """Do the work, and tell how long it takes."""
    start = time.perf_counter()
    result = work()
    tell(f"{what}: {time.perf_counter() - start:.2f} s")
    return result


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def fill(rows: int) -> None:
    """Write rows as 4.5 has them: every learner is in one course."""
    from django.db import connection

    from benchmarks.seed import add_users

    learners = rows // OF_A_LEARNER
    add_users(learners)
    blocks = [(place, course.key, block) for place, course in enumerate(COURSES) for block in course.blocks()]
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE block (number INTEGER AUTO_INCREMENT PRIMARY KEY, place INTEGER,"
            " course_key VARCHAR(255), block_type VARCHAR(255), block_key VARCHAR(255), INDEX (place))"
        )
        cursor.executemany(
            "INSERT INTO block (place, course_key, block_type, block_key) VALUES (%s, %s, %s, %s)",
            [(place, key, block.block_type, block.key) for place, key, block in blocks if block.children],
        )
        for first in range(1, learners + 1, 500):
            cursor.execute(
                "INSERT INTO completion_aggregator_aggregator (user_id, course_key, aggregation_name, block_key,"
                " earned, possible, percent, optional_earned, optional_possible, optional_percent, last_modified,"
                " created, modified)"
                " SELECT u.id, b.course_key, b.block_type, b.block_key, 1, 5, 0.2, 0, 0, 1, NOW(6), NOW(6), NOW(6)"
                " FROM auth_user u STRAIGHT_JOIN block b ON b.place = u.id MOD %s"
                " WHERE u.id BETWEEN %s AND %s ORDER BY u.id, b.number",
                [len(COURSES), first, min(first + 499, learners)],
            )


if __name__ == "__main__":
    main()
