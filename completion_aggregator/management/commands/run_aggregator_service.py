"""`manage.py run_aggregator_service`: has everybody aggregated who is stale."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from completion_aggregator.management import dispatch
from completion_aggregator.management.progress import progress, require
from completion_aggregator.services import count_stale, mark_due_changes, send_reached_thresholds


class Command(BaseCommand):
    help = "Send stale learners to the Celery workers in chunks, or aggregate them here (--inline)."

    def add_arguments(self, parser: CommandParser) -> None:
        dispatch.add_arguments(parser)
        parser.add_argument("--limit", type=int, help="at most so many learners in a pass (default: all)")
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument("--once", action="store_true", help="one pass (the default)")
        mode.add_argument("--forever", action="store_true", help="a pass every --interval seconds, until interrupted")
        parser.add_argument(
            "--interval", type=float, default=60.0, help="with --forever: seconds between passes (default: %(default)s)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        dispatch.check_arguments(options)
        require(options["limit"] is None or options["limit"] > 0, "--limit must be above 0.")
        require(options["interval"] > 0, "--interval must be above 0.")
        try:
            self._pass(options)
            while options["forever"]:
                time.sleep(options["interval"])
                self._pass(options)
        except KeyboardInterrupt:
            self.stdout.write("stopped")

    def _pass(self, options: dict[str, Any]) -> None:
        mark_due_changes(timezone.now())
        stale, limit = count_stale(unclaimed=not options["inline"]), options["limit"]
        total = stale if limit is None else min(stale, limit)
        with progress(self.stdout, "Stale learners", total) as advance:
            done = dispatch.dispatch(options, advance, limit=limit)
        send_reached_thresholds()
        self.stdout.write(done)
