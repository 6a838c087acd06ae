"""`python -m benchmarks.pages`: how long the pages of staff take with 100,000 learners in a course.

Through all of Django, from the request to the last byte, in a database of its own on MariaDB.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from datetime import timedelta
from typing import Any

from benchmarks import databases
from benchmarks.course import STAFF, Course

LEARNERS = 100_000
#: More courses with as many days of snapshots, for the list.
COURSES = 1_000
DAYS = 60
ROUNDS = 20
DATABASE = "completion_aggregator_bench_pages"
COURSE = Course("Pages")


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.pages", description=__doc__)
    parser.add_argument("--database", choices=["mariadb", "postgresql", "sqlite"], default="mariadb")
    database = parser.parse_args().database
    with databases.fresh(database, DATABASE):
        os.environ["DATABASE_URL"] = databases.url(database, DATABASE)
        os.environ["DJANGO_SETTINGS_MODULE"] = "sample_lms.settings"
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        seed()
        measure()


def seed() -> None:
    from django.db import connection
    from django.db.models import F, FloatField
    from django.db.models.functions import Cast
    from django.utils import timezone

    from benchmarks.ours import data
    from benchmarks.seed import add_users, insert_for_learners, settle
    from completion_aggregator import services
    from completion_aggregator.models import Course as AggregatedCourse
    from completion_aggregator.models import CourseAggregate
    from completion_aggregator.services.snapshots import take_snapshots, want_snapshot

    add_users(LEARNERS)
    data.publish_course(COURSE)
    data.enroll(COURSE, 1, LEARNERS)
    # One learner the long way: so the course has blocks, and a version.
    services.aggregate(data.key_of(COURSE), [1])
    course = AggregatedCourse.objects.get()
    now = timezone.now()
    insert_for_learners(
        CourseAggregate,
        2,
        LEARNERS,
        course=course.pk,
        earned=Cast(F("id") % 1001, FloatField()),
        possible=1000,
        percent=Cast(F("id") % 1001, FloatField()) / 1000,
        last_modified=now - timedelta(days=3),
        computed_at=now,
    )
    want_snapshot(course.pk)
    take_snapshots(timezone.now())
    add_history(course, now)
    settle()
    if connection.vendor == "mysql":
        # The server does so by itself a while after so many rows were written.
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE TABLE completion_aggregator_courseaggregate")


def add_history(course: Any, now: Any) -> None:
    from completion_aggregator.models import Course as AggregatedCourse
    from completion_aggregator.models import CourseSnapshot

    newest = CourseSnapshot.objects.get()

    def snapshot(of: Any, days: int) -> CourseSnapshot:
        values = {name: getattr(newest, name) for name in ("enrolled", "started", "completed", "mean", "details")}
        return CourseSnapshot(course=of, day=newest.day - timedelta(days=days), computed_at=now, **values)

    others = [
        AggregatedCourse(course_key=f"course-v1:Bench+Other{number:04}+1", version=course.version)
        for number in range(COURSES)
    ]
    AggregatedCourse.objects.bulk_create(others)
    CourseSnapshot.objects.bulk_create([snapshot(course, day) for day in range(1, DAYS)])
    for each in AggregatedCourse.objects.exclude(pk=course.pk):
        CourseSnapshot.objects.bulk_create([snapshot(each, day) for day in range(DAYS)])


def measure() -> None:
    from django.contrib.auth import get_user_model
    from django.test import Client

    root = "/api/completion/dashboard/"
    course = f"{root}{COURSE.key}/"
    client = Client(headers={"host": "localhost"})
    client.force_login(get_user_model().objects.get(pk=STAFF))
    for name, path in {
        "courses": root,
        "courses, searched": f"{root}?search=other09",
        "course": course,
        "course, by percent": f"{course}?ordering=-percent",
        "course, by username": f"{course}?ordering=username",
        "course, at risk": f"{course}?at_risk=on",
        "course, searched": f"{course}?search=learner77",
        "learner": f"{course}learners/500/",
    }.items():
        show(client, name, path)


def show(client: Any, name: str, path: str) -> None:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        response = client.get(path)
        times.append(1000 * (time.perf_counter() - start))
        if response.status_code != 200:
            raise RuntimeError(f"{path} answers {response.status_code}")
    size = len(response.content) / 1024
    sys.stdout.write(f"{name:20} {statistics.median(times):7.0f} ms, worst {max(times):5.0f} ms, {size:4.0f} KB\n")


if __name__ == "__main__":
    main()
