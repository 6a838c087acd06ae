"""`manage.py migrate_aggregates`: takes over what openedx-completion-aggregator 4.5 has left."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from completion_aggregator.management.progress import progress, require
from completion_aggregator.models import Takeover
from completion_aggregator.services.takeover import (
    BATCH_SIZE,
    TakeoverUnfinishedError,
    begin_takeover,
    drop_old_tables,
    take_over_batch,
)


class Command(BaseCommand):
    help = (
        "Take over what openedx-completion-aggregator 4.5 has left, while the site runs. "
        "Interrupted and started again, it goes on where it was."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--batch-size", type=int, default=BATCH_SIZE, help="rows per transaction (default: %(default)s)"
        )
        parser.add_argument(
            "--delay-between-batches", type=float, default=0.0, help="pause between them, in seconds (default: none)"
        )
        parser.add_argument(
            "--drop-old", action="store_true", help="drop the tables of 4.5, once all is taken over; no way back then"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        require(options["batch_size"] > 0, "--batch-size must be above 0.")
        require(options["delay_between_batches"] >= 0, "--delay-between-batches must not be negative.")
        if options["drop_old"]:
            self._drop_old()
            return
        with progress(self.stdout, "Rows taken over", sum(begin_takeover())) as advance:
            while done := take_over_batch(options["batch_size"]):
                advance(done)
                time.sleep(options["delay_between_batches"])
        takeover = Takeover.objects.first()
        if takeover is None:
            self.stdout.write("openedx-completion-aggregator 4.5 has left nothing.")
            return
        self.stdout.write(
            f"taken over: {takeover.copied} aggregates, {takeover.markers} markers; "
            f"left out: {takeover.markers_of_nobody} markers of users who do not exist any more"
        )

    def _drop_old(self) -> None:
        try:
            drop_old_tables()
        except TakeoverUnfinishedError as error:
            raise CommandError(f"{error} Run migrate_aggregates without --drop-old first.") from None
        self.stdout.write("The tables of openedx-completion-aggregator 4.5 are gone.")
