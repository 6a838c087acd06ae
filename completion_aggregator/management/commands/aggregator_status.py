"""`manage.py aggregator_status`: what waits, what fails, how fast it is worked off."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from completion_aggregator.exceptions import InvalidKeyError
from completion_aggregator.selectors import Status, get_status
from completion_aggregator.services import retry_failed
from completion_aggregator.utils import parse_course_key


class Command(BaseCommand):
    help = "Show what waits to be aggregated, what fails and why, and how fast it is worked off."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for machines")
        parser.add_argument(
            "--retry-failed",
            nargs="*",
            metavar="COURSE_KEY",
            help="before, make due what waits after a failure or was given up; of these courses, or of all",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        course_keys = options["retry_failed"]
        retried = None if course_keys is None else retry_failed(self._parse(course_keys) or None)
        status = get_status()
        if options["json"]:
            self.stdout.write(json.dumps(_document(status, retried), default=datetime.isoformat, indent=2))
            return
        if retried is not None:
            self.stdout.write(f"made due again: {retried} markers")
        self.stdout.write(_text(status))

    @staticmethod
    def _parse(texts: list[str]) -> list[str]:
        try:
            return [str(parse_course_key(text)) for text in texts]
        except InvalidKeyError:
            raise CommandError(f"One of these is not a course key: {', '.join(texts)}") from None


def _document(status: Status, retried: int | None) -> dict[str, Any]:
    document = asdict(status) | {
        "courses": [backlog._asdict() for backlog in status.courses],
        "failures": [failure._asdict() for failure in status.failures],
        "oldest_age": None if status.oldest is None else (timezone.now() - status.oldest).total_seconds(),
        "rate": status.rate,
        "migration": None if status.migration is None else status.migration._asdict(),
    }
    return document if retried is None else document | {"retried": retried}


def _text(status: Status) -> str:
    done = f"{status.learners_last_hour} learners, {status.rows_last_hour} rows written"
    budget = "no limit" if status.bulk_budget is None else f"{status.bulk_budget:g} seconds a minute"
    lines = [
        f"stale learners:      {status.learners}",
        f"open markers:        {status.markers}",
        f"  due:               {status.due}",
        f"  queued:            {status.queued}",
        f"  of bulk work:      {status.bulk}, done in about {_duration(status.bulk_seconds_left)} ({budget})",
        f"  after a failure:   {status.waiting} waiting, {status.given_up} given up",
        f"oldest marker:       {_age(status.oldest)}",
        f"in the last hour:    {done} in {status.seconds_last_hour:.1f} seconds of work",
        f"rate:                {status.rate:.2f} learners a second",
        f"last chunk finished: {_age(status.last_finished_at)}",
    ]
    if status.migration is not None:
        copied, total = status.migration
        lines += [f"copied from 4.5:     {copied} of {'?' if total is None else total} rows (migrate_aggregates)"]
    if status.courses:
        lines += ["courses by stale learners:"]
        lines += [f"  {each.learners:>8}  {each.course_key}, oldest {_age(each.oldest)}" for each in status.courses]
    if status.failures:
        lines += ["failures by cause, in markers:"]
        lines += [f"  {each.markers:>8}  {each.cause} ({each.given_up} given up)" for each in status.failures]
    return "\n".join(lines)


def _age(moment: datetime | None) -> str:
    if moment is None:
        return "none"
    return f"{_duration((timezone.now() - moment).total_seconds())} ago"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
