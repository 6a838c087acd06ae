"""`manage.py import_olx PATH`: publishes the course of an OLX folder or archive."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sample_lms.olx import OlxError, read_course
from sample_lms.publishing import publish


class Command(BaseCommand):
    help = "Publish the course of an OLX folder or .tar.gz archive, in place of what the course held before."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, metavar="PATH", help="the folder or the archive")
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            olx = read_course(options["path"])
        except OlxError as error:
            raise CommandError(str(error)) from error
        course = publish(olx)
        counts = Counter(block.block_type for block in olx.blocks)
        if options["json"]:
            blocks = dict(sorted(counts.items()))
            result = {"course_key": str(course.course_key), "version": course.version, "blocks": blocks}
            self.stdout.write(json.dumps(result))
            return
        del counts["course"]
        summary = ", ".join(f"{number} {name}{'s' * (number > 1)}" for name, number in counts.items())
        self.stdout.write(f"Published {course.course_key} (version {course.version}): {summary or 'no chapters'}")
