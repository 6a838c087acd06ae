"""`manage.py aggregator_doctor`: looks whether all is set up and running as it should, and says what to do."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from completion_aggregator.management.doctor import Level, examine

#: The exit status when something is wrong; warnings alone are none.
FAULT = 3


class Command(BaseCommand):
    help = (
        "Look at settings, database, cache, queue, clock and what waits, and say what to do. "
        f"Exit status: 0 well, or warnings only; {FAULT} errors."
    )
    #: The doctor says more about it.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(examine())
        if options["json"]:
            self.stdout.write(json.dumps([finding._asdict() for finding in findings], indent=2))
        else:
            for level, check, message in findings:
                self.stdout.write(f"{level:<8} {check:<13} {message}")
        if errors := sum(finding.level == Level.ERROR for finding in findings):
            raise CommandError(f"Errors: {errors}", returncode=FAULT)
