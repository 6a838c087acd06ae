"""`manage.py run_aggregator_cleanup`: deletes what nobody will ask for again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from completion_aggregator.services import clean_up


class Command(BaseCommand):
    help = "Delete rows of users who do not exist any more, blocks that left their course, and what is too old to keep."

    def handle(self, *args: Any, **options: Any) -> None:
        report = clean_up()
        self.stdout.write(
            f"deleted: {report.markers} markers, {report.course_aggregates} course aggregates, "
            f"{report.block_aggregates} block aggregates, {report.reached_thresholds} reached thresholds, "
            f"{report.blocks} blocks, {report.chunks} notes of chunks, "
            f"{report.learner_snapshots} learner snapshots, {report.old_snapshots} old snapshots"
        )
