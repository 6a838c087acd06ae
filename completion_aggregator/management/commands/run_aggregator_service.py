"""`manage.py run_aggregator_service`: has everybody aggregated who is stale."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, close_old_connections, connections
from django.utils import timezone

from completion_aggregator.logs import log_event
from completion_aggregator.management import dispatch
from completion_aggregator.management.progress import progress, require
from completion_aggregator.management.stopping import Stop, stopping
from completion_aggregator.services import (
    count_stale,
    grant_bulk,
    mark_due_changes,
    send_reached_thresholds,
    take_snapshots,
    verify_sample,
)

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Send stale learners to the Celery workers in chunks, or aggregate them here (--inline)."

    def add_arguments(self, parser: CommandParser) -> None:
        dispatch.add_arguments(parser)
        parser.add_argument("--limit", type=int, help="at most so many learners in a pass (default: all)")
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument("--once", action="store_true", help="one pass (the default)")
        mode.add_argument("--forever", action="store_true", help="a pass every --interval seconds, until asked to stop")
        parser.add_argument(
            "--interval", type=float, default=60.0, help="with --forever: seconds between passes (default: %(default)s)"
        )
        parser.add_argument(
            "--cleanup-hour",
            type=int,
            help="with --forever: clean up and verify a sample once a day, in this hour of the site's time zone, "
            "0 to 23 (default: never)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        dispatch.check_arguments(options)
        hour = options["cleanup_hour"]
        require(options["limit"] is None or options["limit"] > 0, "--limit must be above 0.")
        require(options["interval"] > 0, "--interval must be above 0.")
        require(hour is None or 0 <= hour < 24, "--cleanup-hour must be 0 to 23.")
        require(hour is None or options["forever"], "--cleanup-hour goes with --forever.")
        try:
            if options["forever"]:
                self._run(options)
            else:
                with _told_in_a_line():
                    self._pass(options)
        except KeyboardInterrupt:
            self.stdout.write("stopped")

    def _run(self, options: dict[str, Any]) -> None:
        cleanup = Daily(options["cleanup_hour"])
        with stopping() as stop:
            while not stop.asked:
                # As between two requests: the database may have been restarted meanwhile.
                close_old_connections()
                try:
                    with _told_in_a_line():
                        if cleanup.is_due(_now()):
                            call_command("run_aggregator_cleanup", stdout=self.stdout)
                            verify_sample()
                        self._pass(options, stop)
                except CommandError as error:
                    log_event(log, logging.WARNING, "pass_failed", cause=str(error), next_try_in=options["interval"])
                    connections.close_all()
                stop.sleep(options["interval"])
        self.stdout.write("stopped")

    def _pass(self, options: dict[str, Any], stop: Stop | None = None) -> None:
        mark_due_changes(timezone.now())
        stale, limit = count_stale(unclaimed=not options["inline"]), options["limit"]
        total = stale if limit is None else min(stale, limit)
        with progress(self.stdout, "Stale learners", total) as advance:
            done = dispatch.dispatch(options, advance, limit=limit, bulk_limit=grant_bulk(), stop=stop)
        send_reached_thresholds()
        take_snapshots(timezone.now())
        self.stdout.write(done)
        # Or a log would show it hours later.
        self.stdout.flush()


@contextmanager
def _told_in_a_line() -> Iterator[None]:
    """Tell of a database that has failed as of a broker: in one line, with exit status 1."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise CommandError(f"The database has failed: {' '.join(str(error).split())}") from None


class Daily:
    """Something to be done once a day, in a given hour; missed, it waits for the next day."""

    def __init__(self, hour: int | None) -> None:
        self.hour = hour
        self.last: date | None = None

    def is_due(self, now: datetime) -> bool:
        """Tell whether it is to be done now; said once a day."""
        if now.hour != self.hour or now.date() == self.last:
            return False
        self.last = now.date()
        return True


def _now() -> datetime:
    return datetime.now(timezone.get_current_timezone())
