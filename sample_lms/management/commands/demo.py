"""`manage.py demo`: a small LMS with two courses and 300 learners, ready to be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

import sample_lms
from completion_aggregator.management.progress import progress, require
from completion_aggregator.models import CourseAggregate, CourseSnapshot
from completion_aggregator.services import aggregate_stale, count_stale, take_snapshots
from sample_lms.history import write_history
from sample_lms.models import Course, Enrollment
from sample_lms.simulation import simulate

COURSES = Path(sample_lms.__file__).parent / "courses"
COURSE = COURSES / "night_sky"
COURSE_KEY = CourseKey.from_string("course-v1:Sample+SKY101+2026")
SECOND_COURSE = COURSES / "between_tides"
SECOND_COURSE_KEY = CourseKey.from_string("course-v1:Sample+TID101+2026")
LEARNERS = 300
#: How many of them are in the second course too; the one with an account is.
LEARNERS_IN_BOTH = 240
SEED = 1
DAYS = 60


class Command(BaseCommand):
    help = "Set the demo up, as far as it is not yet, and serve it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="on 127.0.0.1 (default: %(default)s)")
        parser.add_argument("--no-serve", action="store_true", help="only set it up")

    def handle(self, *args: Any, **options: Any) -> None:
        require(0 < options["port"] < 65536, "--port must be from 1 to 65535.")
        call_command("migrate", verbosity=0)
        self._create_course(COURSE_KEY, COURSE, LEARNERS)
        self._create_course(SECOND_COURSE_KEY, SECOND_COURSE, LEARNERS_IN_BOTH)
        with progress(self.stdout, "Aggregating", count_stale()) as advance:
            aggregate_stale(chunk_size=50, progress=advance)
        if not CourseSnapshot.objects.exists():
            for course_key in (COURSE_KEY, SECOND_COURSE_KEY):
                write_history(course_key, days=DAYS)
        take_snapshots(timezone.now())
        self._create_accounts()
        self._describe(f"http://127.0.0.1:{options['port']}")
        if not options["no_serve"]:
            address = f"127.0.0.1:{options['port']}"
            call_command("runserver", address, use_reloader=False, insecure_serving=True, skip_checks=True)

    def _create_course(self, course_key: CourseKey, olx: Path, learners: int) -> None:
        if not Course.objects.filter(course_key=course_key).exists():
            call_command("import_olx", olx, stdout=self.stdout)
        if Enrollment.objects.filter(course_id=course_key).count() < learners:
            with progress(self.stdout, "Learners at work", learners) as advance:
                simulate(course_key, learners=learners, seed=SEED, days=DAYS, advance=advance)

    def _create_accounts(self) -> None:
        users = get_user_model().objects
        if not users.filter(username="staff").exists():
            users.create_superuser("staff", password="staff")  # noqa: S106 - of the demo only
        if not users.filter(username="learner").exists():
            # One of those who are half way gets a name that is easy to remember.
            aggregates = CourseAggregate.objects.filter(course__course_key=COURSE_KEY, percent__gte=0.5)
            learner = aggregates.select_related("user").order_by("percent", "user_id")[0].user
            learner.username = "learner"
            learner.set_password("learner")
            learner.save()

    def _describe(self, site: str) -> None:
        api = f"{site}/api/completion/v1"
        self.stdout.write(
            f"""
Start here                {site}/

One learner's courses     {api}/course/?username=me
One learner's course      {api}/course/{COURSE_KEY}/?username=me&requested_fields=chapter
Everybody in the course   {api}/course/{COURSE_KEY}/?requested_fields=chapter,mean
The course's mean         {api}/stats/{COURSE_KEY}/
Admin                     {site}/admin/

Accounts: staff / staff and learner / learner (log in, or HTTP basic)
"""
        )
