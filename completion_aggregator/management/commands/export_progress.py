"""`manage.py export_progress`: writes how far everybody in a course has come into a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.conf import conf
from completion_aggregator.exceptions import InvalidKeyError
from completion_aggregator.exports import EXPORT_FIELDS, Export, ExportType
from completion_aggregator.management.progress import progress, require
from completion_aggregator.selectors import ORDERINGS, LearnerFilter, Progress, count_roster
from completion_aggregator.utils import parse_course_key


class Command(BaseCommand):
    help = "Write how far everybody in a course has come, as it is stored, into a file: a line for each learner."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("course_key", metavar="COURSE_KEY")
        parser.add_argument("--type", choices=list(ExportType), default=ExportType.CSV, help="default: %(default)s")
        parser.add_argument("--output", metavar="FILE", default="-", help="default: standard output")
        parser.add_argument(
            "--fields",
            metavar="NAMES",
            default="",
            help=f"comma separated: block types, {', '.join(sorted(EXPORT_FIELDS))}",
        )
        parser.add_argument("--include-optional", action="store_true", help="tell optional blocks, too")
        parser.add_argument("--percent-min", type=float, metavar="SHARE", help="0.0 to 1.0")
        parser.add_argument("--percent-max", type=float, metavar="SHARE", help="0.0 to 1.0")
        parser.add_argument("--status", choices=list(Progress))
        parser.add_argument("--ordering", choices=ORDERINGS, default="user_id", help="default: %(default)s")

    def handle(self, *args: Any, **options: Any) -> None:
        export = self._export(options)
        total = count_roster(export.course_key, export.filters)
        is_stdout = options["output"] == "-"
        done = 0
        # What is written to standard output must stay what it is.
        with (
            _stdout(self.stdout) if is_stdout else _whole_file(Path(options["output"])) as file,
            progress(self.stderr if is_stdout else self.stdout, "Learners", total) as advance,
        ):
            file.write(export.head)
            for batch in export.batches():
                file.write(export.text(batch))
                done += len(batch)
                advance(len(batch))
        if not is_stdout:
            self.stdout.write(f"{options['output']}: {done} learners")

    def _export(self, options: dict[str, Any]) -> Export:
        fields = [name.strip() for name in options["fields"].split(",") if name.strip()]
        unknown = sorted(set(fields) - EXPORT_FIELDS - set(conf.BLOCK_TYPES))
        require(not unknown, f"--fields knows nothing of: {', '.join(unknown)}.")
        for name in ("percent_min", "percent_max"):
            value = options[name]
            require(value is None or 0 <= value <= 1, f"--{name.replace('_', '-')} must be from 0 to 1.")
        return Export(
            course_key=self._parse(options["course_key"]),
            type=ExportType(options["type"]),
            filters=LearnerFilter(
                percent_min=options["percent_min"],
                percent_max=options["percent_max"],
                status=None if options["status"] is None else Progress(options["status"]),
            ),
            ordering=options["ordering"],
            fields=fields,
            include_optional=options["include_optional"],
        )

    @staticmethod
    def _parse(text: str) -> CourseKey:
        try:
            course_key = parse_course_key(text)
        except InvalidKeyError:
            raise CommandError(f"{text!r} is not a course key.") from None
        require(course_key in get_lms().course_versions([course_key]), f"The LMS has no course {course_key}.")
        return course_key


@contextmanager
def _stdout(out: Any) -> Iterator[TextIO]:
    # Around Django's wrapper, which ends each text with a new line.
    yield getattr(out, "_out", sys.stdout)


@contextmanager
def _whole_file(path: Path) -> Iterator[TextIO]:
    """Give a file that gets its name when all is in it: nobody finds a half, and an old one stays until then."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("x", encoding="utf-8", newline="") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        part.unlink(missing_ok=True)
