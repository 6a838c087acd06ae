"""What the limit does in each scenario: the same reads and writes, in chunks of the same size, and nothing computed.

Left out are the locks, the markers and the course aggregates, three rows in three hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any

from django.db import connection
from django.utils import timezone

from benchmarks.course import LEARNERS, MAIN, STATS
from benchmarks.hook import save_again_and_again, without_the_app
from benchmarks.limit import statements
from benchmarks.limit.statements import Row
from benchmarks.measure import Measure
from benchmarks.seed import empty, settle
from completion_aggregator.models import BlockAggregate, CourseBlock
from completion_aggregator.services import CHUNK_SIZE


def rebuild_new(measure: Measure) -> None:
    chunks = _read_chunks()
    empty(BlockAggregate)
    _move(measure, chunks)


def rebuild_changed(measure: Measure) -> None:
    """Write other values: half of what was earned, so that the next rebuild has to change every row back."""
    _move(measure, [[(*row[:2], row[2] / 2, *row[3:]) for row in chunk] for chunk in _read_chunks()])


def rebuild_same(measure: Measure) -> None:
    _move(measure, [[] for _ in _read_chunks()])


def hook(measure: Measure) -> None:
    with without_the_app():
        save_again_and_again(measure)


def stats(measure: Measure) -> None:
    _ask(measure, statements.read_stats(without_staff=False), [STATS.key] * 2)


def stats_filtered(measure: Measure) -> None:
    _ask(measure, statements.read_stats(without_staff=True), [STATS.key] * 3)


def _chunks() -> Iterator[tuple[int, int]]:
    """Give the first and the last learner of each chunk."""
    for first in range(1, LEARNERS + 1, CHUNK_SIZE):
        yield first, min(first + CHUNK_SIZE - 1, LEARNERS)


def _block_range() -> tuple[int, int]:
    ids = CourseBlock.objects.filter(course__course_key=MAIN.key).values_list("id", flat=True)
    return min(ids), max(ids)


def _read_chunks() -> list[list[Row]]:
    """Return what is stored now."""
    with connection.cursor() as cursor:
        cursor.execute(statements.read_stored(), [1, LEARNERS, *_block_range()])
        rows = cursor.fetchall()
    return [list(chunk) for _, chunk in groupby(rows, key=lambda row: (row[0] - 1) // CHUNK_SIZE)]


def _move(measure: Measure, chunks: list[list[Row]]) -> None:
    documents = [statements.document(chunk) for chunk in chunks]
    block_range, upsert = _block_range(), statements.upsert()
    read_completions, read_stored = _raw(statements.read_completions()), _raw(statements.read_stored())
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    settle()
    cursor = _cursor()

    def move() -> None:
        for (first, last), document in zip(_chunks(), documents, strict=True):
            cursor.execute("BEGIN")
            cursor.execute(read_completions, (MAIN.key, first, last))
            cursor.fetchall()
            cursor.execute(read_stored, (first, last, *block_range))
            cursor.fetchall()
            if not document:
                pass
            elif connection.vendor == "sqlite":
                cursor.executemany(upsert, ((now, *row) for row in document))
            else:
                cursor.execute(upsert, (now, *document))
            cursor.execute("COMMIT")

    measure.time(move)
    measure.units = LEARNERS
    measure.rows = sum(map(len, chunks))


def _cursor() -> Any:
    """Go past Django's cursor, which looks at every statement and every value."""
    connection.ensure_connection()
    return connection.connection.cursor()


def _raw(sql: str) -> str:
    return sql.replace("%s", "?") if connection.vendor == "sqlite" else sql


def _ask(measure: Measure, sql: str, parameters: list[Any]) -> None:
    cursor = _cursor()

    def ask() -> None:
        cursor.execute(_raw(sql), parameters)
        cursor.fetchall()

    measure.repeat(ask)


STEPS: Mapping[str, Callable[[Measure], None]] = {
    step.__name__: step for step in (rebuild_new, rebuild_changed, rebuild_same, hook, stats, stats_filtered)
}
