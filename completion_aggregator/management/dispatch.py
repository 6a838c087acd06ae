"""Having stale learners aggregated: by the workers, or here."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import Any

from celery.exceptions import QueueNotFound
from django.core.management.base import CommandError, CommandParser
from kombu.exceptions import OperationalError

from completion_aggregator.logs import log_event
from completion_aggregator.management.progress import Advance, require
from completion_aggregator.management.stopping import Stop
from completion_aggregator.services import CHUNK_SIZE, Report, aggregate_chunk, claim_stale_chunks, find_stale_chunks
from completion_aggregator.tasks import send

log = logging.getLogger(__name__)


def add_arguments(parser: CommandParser) -> None:
    """Add the options of every command that has learners aggregated."""
    parser.add_argument(
        "--batch-size", type=int, default=CHUNK_SIZE, help="learners per chunk of work (default: %(default)s)"
    )
    parser.add_argument(
        "--delay-between-batches", type=float, default=0.0, help="pause between chunks, in seconds (default: none)"
    )
    parser.add_argument("--routing-key", help="Celery routing key of the chunks (default: the setting ROUTING_KEY)")
    parser.add_argument("--inline", action="store_true", help="aggregate in this process; no worker is needed")


def check_arguments(options: dict[str, Any]) -> None:
    require(options["batch_size"] > 0, "--batch-size must be above 0.")
    require(options["delay_between_batches"] >= 0, "--delay-between-batches must not be negative.")
    require(not (options["inline"] and options["routing_key"]), "--inline and --routing-key exclude each other.")


def dispatch(
    options: dict[str, Any],
    advance: Advance,
    *,
    limit: int | None = None,
    bulk_limit: int | None = None,
    course_keys: Collection[str] | None = None,
    stop: Stop | None = None,
) -> str:
    """Send whoever is stale to the workers, or aggregate them here; return a line that says what was done.

    Args:
        limit: at most so many learners; None: all.
        bulk_limit: at most so many of bulk work, as `grant_bulk` allows; None: all.
        course_keys: only of these courses; None: of all.
        stop: looked at after each chunk; None: go on to the end.
    Raises:
        CommandError: the broker cannot be reached, or the routing key leads to no queue; whoever was not sent is not
            claimed.
    """
    start = time.monotonic()
    find = find_stale_chunks if options["inline"] else claim_stale_chunks
    report = Report()
    sent = learners = 0
    for chunk in find(chunk_size=options["batch_size"], limit=limit, bulk_limit=bulk_limit, course_keys=course_keys):
        if sent and options["delay_between_batches"]:
            time.sleep(options["delay_between_batches"])
        if options["inline"]:
            report += aggregate_chunk(chunk)
        else:
            try:
                send(chunk, options["routing_key"])
            except OperationalError as error:
                raise CommandError(f"The broker cannot be reached: {error}") from None
            except QueueNotFound as error:
                raise CommandError(f"There is no such queue: {error}") from None
        sent += 1
        learners += len(chunk.user_ids)
        advance(len(chunk.user_ids))
        if stop and stop.asked:
            break
    event = "pass_finished" if options["inline"] else "chunks_sent"
    log_event(log, logging.INFO, event, learners=learners, chunks=sent, seconds=time.monotonic() - start)
    if options["inline"]:
        return _summary(report)
    return f"sent to the workers: {learners} learners in {sent} chunks"


def _summary(report: Report) -> str:
    return (
        f"learners: {report.learners}, rows written: {report.written}, rows deleted: {report.deleted}, "
        f"markers resolved: {report.resolved}, failed: {report.failed}, skipped: {report.skipped}"
    )
