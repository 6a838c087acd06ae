"""Having stale learners aggregated: by the workers, or here."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandParser

from completion_aggregator.management.progress import Advance, require
from completion_aggregator.services import CHUNK_SIZE, Chunk, Report, aggregate_chunk
from completion_aggregator.tasks import aggregate_learners


def add_arguments(parser: CommandParser) -> None:
    """Add the options of every command that has learners aggregated."""
    parser.add_argument(
        "--batch-size", type=int, default=CHUNK_SIZE, help="learners per chunk of work (default: %(default)s)"
    )
    parser.add_argument(
        "--delay-between-batches", type=float, default=0.0, help="pause between chunks, in seconds (default: none)"
    )
    parser.add_argument("--routing-key", help="Celery routing key of the chunks")
    parser.add_argument("--inline", action="store_true", help="aggregate in this process; no worker is needed")


def check_arguments(options: dict[str, Any]) -> None:
    require(options["batch_size"] > 0, "--batch-size must be above 0.")
    require(options["delay_between_batches"] >= 0, "--delay-between-batches must not be negative.")
    require(not (options["inline"] and options["routing_key"]), "--inline and --routing-key exclude each other.")


def dispatch(chunks: Iterable[Chunk], options: dict[str, Any], advance: Advance) -> str:
    """Send the chunks to the workers, or aggregate them here; return a line that says what was done."""
    report = Report()
    sent = learners = 0
    for chunk in chunks:
        if sent and options["delay_between_batches"]:
            time.sleep(options["delay_between_batches"])
        if options["inline"]:
            report += aggregate_chunk(chunk)
        else:
            aggregate_learners.apply_async((chunk.course_key, chunk.user_ids), routing_key=options["routing_key"])
        sent += 1
        learners += len(chunk.user_ids)
        advance(len(chunk.user_ids))
    if options["inline"]:
        return _summary(report)
    return f"sent to the workers: {learners} learners in {sent} chunks"


def _summary(report: Report) -> str:
    return (
        f"learners: {report.learners}, rows written: {report.written}, rows deleted: {report.deleted}, "
        f"markers resolved: {report.resolved}, failed: {report.failed}, skipped: {report.skipped}"
    )
