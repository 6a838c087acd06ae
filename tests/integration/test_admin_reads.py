"""Pages of the admin read few rows of large tables; the database says how many."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from completion_aggregator import admin as pages
from completion_aggregator.models import AggregatedChunk, Course, CourseSnapshot, ReachedThreshold, StaleCompletion
from tests.factories import COURSE_KEY, UserFactory

pytestmark = [pytest.mark.services, pytest.mark.django_db]

ADMIN = "/admin/completion_aggregator"
ROWS = 6_000
#: Of a page, with all that is around it: a hundred rows, and those that are counted; or all 300 days of one course,
#: twice, each with the course.
FEW = 1_500
KEY = quote(str(COURSE_KEY))
PAGES = [
    "course/",
    "course/?p=2",
    f"course/?q={KEY}",
    "stalecompletion/",
    "stalecompletion/?p=3",
    "stalecompletion/?o=5",
    f"stalecompletion/?q={KEY}",
    "stalecompletion/?q=77",
    "aggregatedchunk/",
    "aggregatedchunk/?o=2",
    "reachedthreshold/",
    "reachedthreshold/?due_at__isempty=0",
    "reachedthreshold/?due_at__isempty=1",
    "reachedthreshold/?due_at__isempty=1&_facets=True",
    "reachedthreshold/?q=77",
    "coursesnapshot/",
    "coursesnapshot/?p=2",
    f"coursesnapshot/?q={KEY}",
]


@pytest.fixture
def admin(client: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client who may see everything, and tables with ROWS rows each."""
    monkeypatch.setattr(pages, "MAX_ROWS", 300)
    now = timezone.now()
    keys = [str(COURSE_KEY), *(f"course-v1:Org+Course+{number}" for number in range(ROWS - 1))]
    Course.objects.bulk_create(Course(course_key=key, version="1") for key in keys)
    courses = list(Course.objects.order_by("id")[:20])
    StaleCompletion.objects.bulk_create(StaleCompletion(user_id=n, course_key=keys[0]) for n in range(1, ROWS + 1))
    counts = dict.fromkeys(("seconds", "learners", "written", "deleted", "resolved", "failed", "skipped"), 1)
    AggregatedChunk.objects.bulk_create(
        AggregatedChunk(finished_at=now - timedelta(minutes=n), **counts) for n in range(ROWS)
    )
    ReachedThreshold.objects.bulk_create(
        # The oldest few are unsent.
        ReachedThreshold(
            course=courses[0], user_id=n, threshold=1.0, percent=1.0, reached_at=now, due_at=None if n > 5 else now
        )
        for n in range(1, ROWS + 1)
    )
    figures = dict.fromkeys(("enrolled", "started", "completed", "mean"), 1)
    CourseSnapshot.objects.bulk_create(
        CourseSnapshot(course=course, day=date(2026, 1, 1) + timedelta(days=n), computed_at=now, **figures)
        for course in courses
        for n in range(ROWS // 20)
    )
    if connection.vendor == "postgresql":
        # MariaDB estimates by itself, and would commit.
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def rows_read(act: Callable[[], Any]) -> int:
    """Return how many rows the database has looked at for what is done."""
    assert connection.vendor != "sqlite", "SQLite does not count what it reads: set DATABASE_URL."
    if connection.vendor == "mysql":
        before = _handler_reads()
        act()
        return _handler_reads() - before
    with CaptureQueriesContext(connection) as captured:
        act()
    selects = [each["sql"] for each in captured.captured_queries if each["sql"].startswith("SELECT")]
    return sum(sum(_scanned(_plan(sql))) for sql in selects)


def _handler_reads() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%%'")
        # Those of temporary tables too: what is sorted is read again.
        return sum(int(value) for _, value in cursor.fetchall())


def _plan(sql: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql.replace("%", "%%"), [])
        (found,) = cursor.fetchone()
    document = json.loads(found) if isinstance(found, str) else found
    plan: dict[str, Any] = document[0]["Plan"]
    return plan


def _scanned(plan: dict[str, Any]) -> Iterator[int]:
    rows = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    yield rows * plan["Actual Loops"] if "Scan" in plan["Node Type"] else 0
    for part in plan.get("Plans", ()):
        yield from _scanned(part)


def test_a_page_reads_few_rows(admin: Client) -> None:
    read = {}
    for page in PAGES:
        with CaptureQueriesContext(connection) as captured:
            read[page] = rows_read(lambda page=page: show(admin, page))
        assert len(captured.captured_queries) > 2

    assert {page: rows for page, rows in read.items() if rows > FEW} == {}


def show(admin: Client, page: str) -> None:
    response = admin.get(f"{ADMIN}/{page}")
    assert response.status_code == 200
    assert response.context["cl"].result_list


def test_deleting_a_marker_reads_few_rows(admin: Client) -> None:
    marker = StaleCompletion.objects.get(user_id=77)
    chosen = {"action": "delete_selected", "_selected_action": [str(marker.pk)]}

    asked = rows_read(lambda: admin.get(f"{ADMIN}/stalecompletion/{marker.pk}/delete/"))
    confirmed = rows_read(lambda: admin.post(f"{ADMIN}/stalecompletion/", chosen | {"post": "yes"}))

    assert asked <= FEW
    assert confirmed <= FEW
    assert not StaleCompletion.objects.filter(user_id=77).exists()


def test_a_whole_table_is_seen_to_be_read(admin: Client) -> None:
    # Or the other tests would measure nothing.
    assert rows_read(lambda: list(StaleCompletion.objects.filter(attempts=3))) >= ROWS
