"""`manage.py simulate COURSE_KEY`: learners who work through a course."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from completion_aggregator.exceptions import InvalidKeyError
from completion_aggregator.management.progress import progress, require
from completion_aggregator.utils import parse_course_key
from sample_lms.models import Course
from sample_lms.simulation import simulate


class Command(BaseCommand):
    help = "Create learners, enroll them in a course and let them work through it; the same for the same seed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("course_key", metavar="COURSE_KEY")
        parser.add_argument("--learners", type=int, required=True, help="how many")
        parser.add_argument("--seed", type=int, default=1, help="another seed, other learners (default: %(default)s)")
        parser.add_argument("--days", type=int, default=60, help="days that their work is spread over (default: 60)")

    def handle(self, *args: Any, **options: Any) -> None:
        learners, days = options["learners"], options["days"]
        try:
            course_key = parse_course_key(options["course_key"])
        except InvalidKeyError:
            raise CommandError(f"{options['course_key']!r} is not a course key.") from None
        require(Course.objects.filter(course_key=course_key).exists(), f"There is no course {course_key}.")
        require(learners > 0, "--learners must be above 0.")
        require(days > 0, "--days must be above 0.")
        with progress(self.stdout, "Learners", learners) as advance:
            done = simulate(course_key, learners=learners, seed=options["seed"], days=days, advance=advance)
        self.stdout.write(f"{learners} learners have {done} completions in {course_key}")
