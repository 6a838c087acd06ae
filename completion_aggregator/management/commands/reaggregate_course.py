"""`manage.py reaggregate_course`: has everybody in some courses, or in all, aggregated anew."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.management import dispatch
from completion_aggregator.management.courses import read_course_keys
from completion_aggregator.management.progress import progress, require
from completion_aggregator.services import count_stale, grant_bulk, mark_course


class Command(BaseCommand):
    help = "Mark everybody in the courses as stale and send them to the workers, or aggregate them here (--inline)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("course_keys", nargs="*", metavar="COURSE_KEY")
        parser.add_argument("-a", "--all", action="store_true", help="every course with an active enrollment")
        parser.add_argument("--dry-run", action="store_true", help="only say how many learners it would be")
        dispatch.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        dispatch.check_arguments(options)
        course_keys = self._course_keys(options)
        if options["dry_run"]:
            for course_key in course_keys:
                learners = get_lms().enrollments().filter(course_id=course_key).count()
                self.stdout.write(f"{course_key}: {learners} learners would be aggregated")
            return
        total = 0
        for course_key in course_keys:
            marked = mark_course(course_key)
            total += marked
            self.stdout.write(f"{course_key}: {marked} learners")
        keys = list(map(str, course_keys))
        with progress(self.stdout, "Learners", total) as advance:
            # Somebody waits for the work in this process; what is sent would hold up what learners do meanwhile.
            bulk_limit = None if options["inline"] else grant_bulk()
            done = dispatch.dispatch(options, advance, bulk_limit=bulk_limit, course_keys=keys)
        self.stdout.write(done)
        if bulk_limit is not None and (waiting := count_stale(unclaimed=True, course_keys=keys)):
            self.stdout.write(f"left to the next passes of the service, by BULK_BUDGET: {waiting} learners")

    def _course_keys(self, options: dict[str, Any]) -> list[CourseKey]:
        texts, every = options["course_keys"], options["all"]
        require(bool(texts) != every, "Name one or more courses, or --all.")
        if every:
            courses = get_lms().enrollments().order_by("course_id").values_list("course_id", flat=True)
            return list(courses.distinct())
        return read_course_keys(texts)
