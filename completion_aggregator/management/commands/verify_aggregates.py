"""`manage.py verify_aggregates`: compares what is stored with what it is made from."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.management.courses import read_course_keys
from completion_aggregator.management.progress import progress, require
from completion_aggregator.models import Course
from completion_aggregator.selectors import LearnerDrift, find_learners
from completion_aggregator.services import CourseVerification, keep_verification, verify_course
from completion_aggregator.utils import parse_course_key

#: The exit status when something is wrong that no marker explains; 1 stays for what cannot be compared.
DRIFT = 3


class Command(BaseCommand):
    help = (
        "Compare what is stored of learners with what it is made from, and tell the differences by cause. "
        f"Exit status: 0 none, {DRIFT} some, 1 a course could not be compared."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("course_keys", nargs="*", metavar="COURSE_KEY")
        parser.add_argument("-a", "--all", action="store_true", help="every course with an aggregate or an enrollment")
        parser.add_argument("--sample", type=int, metavar="N", help="only N learners of each course (default: all)")
        parser.add_argument(
            "--repair",
            action="store_true",
            help="mark who differs, for the next pass; delete the rows of vanished users",
        )
        parser.add_argument("--json", action="store_true", help="for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        require(options["sample"] is None or options["sample"] > 0, "--sample must be above 0.")
        results = [self._verify(course_key, options) for course_key in self._course_keys(options)]
        if options["all"]:
            keep_verification(results)
        if options["json"]:
            self.stdout.write(json.dumps(_document(results), indent=2))
        else:
            self.stdout.write("\n".join(line for result in results for line in _lines(result, options["repair"])))
        if drifted := sum(result.drifted for result in results):
            raise CommandError(f"Learners who differ: {drifted}", returncode=DRIFT)
        if failed := sum(bool(result.error) for result in results):
            raise CommandError(f"Courses that could not be compared: {failed}")

    def _verify(self, course_key: CourseKey, options: dict[str, Any]) -> CourseVerification:
        user_ids = find_learners(course_key, sample=options["sample"])
        # Standard output is for the result.
        with progress(self.stderr, str(course_key), len(user_ids)) as advance:
            return verify_course(course_key, user_ids, repair=options["repair"], progress=advance)

    def _course_keys(self, options: dict[str, Any]) -> list[CourseKey]:
        texts, every = options["course_keys"], options["all"]
        require(bool(texts) != every, "Name one or more courses, or --all.")
        if every:
            enrolled = get_lms().enrollments().order_by().values_list("course_id", flat=True).distinct()
            stored = Course.objects.values_list("course_key", flat=True)
            # Aggregates may outlive their course, and so may enrollments.
            return sorted(get_lms().course_versions(list({*enrolled, *map(parse_course_key, stored)})))
        return read_course_keys(texts)


def _document(results: list[CourseVerification]) -> dict[str, Any]:
    return {
        "drifted": sum(result.drifted for result in results),
        "courses": [
            {
                "course_key": str(result.course_key),
                "learners": result.learners,
                "stale": result.stale,
                "given_up": result.given_up,
                "drifted": result.drifted,
                "causes": result.causes,
                "found": [
                    {
                        "user_id": each.user_id,
                        "cause": each.cause,
                        "blocks": [block._asdict() for block in each.blocks],
                    }
                    for each in result.found
                ],
                "marked": result.marked,
                "forgotten": result.forgotten,
                "error": result.error or None,
            }
            for result in results
        ],
    }


def _lines(result: CourseVerification, repair: bool) -> list[str]:
    compared = f"{result.learners} learners compared, {result.drifted} differ"
    lines = [f"{result.course_key}: {compared}; {result.stale} stale, {result.given_up} of them given up"]
    if result.error:
        lines += [f"  could not be compared: {result.error}"]
    lines += [f"  {cause}: {count}" for cause, count in sorted(result.causes.items())]
    lines += [line for each in result.found for line in _learner(each)]
    if repair and result.drifted:
        lines += [f"  marked: {result.marked} learners; rows deleted of {result.forgotten} vanished users"]
    return lines


def _learner(drift: LearnerDrift) -> list[str]:
    lines = [f"    learner {drift.user_id}: {drift.cause}"]
    lines += [
        f"      {block.block_key}: stored {_values(block.stored)}, computed {_values(block.computed)}"
        for block in drift.blocks
    ]
    return lines


def _values(values: tuple[Any, ...] | None) -> str:
    if values is None:
        return "nothing"
    earned, possible, optional_earned, optional_possible, last_modified = values
    optional = f" (optional {optional_earned}/{optional_possible})" if optional_possible or optional_earned else ""
    return f"{earned}/{possible}{optional}, {last_modified or 'never'}"
