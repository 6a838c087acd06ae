"""Telling others what an aggregation has changed: tracking events and the signal `progress_changed`.

All of it is told after the commit, in the process that has aggregated, and nothing of it can harm the aggregation.
What must not get lost is written in its transaction: see `thresholds`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from eventtracking.tracker import get_tracker
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.conf import TRACKING_EVENT_PREFIX, conf
from completion_aggregator.engine import percent
from completion_aggregator.models import CourseAggregate
from completion_aggregator.services.changes import Changes
from completion_aggregator.services.thresholds import logged, note_reached, send_noted
from completion_aggregator.signals import progress_changed
from completion_aggregator.tracing import span


def announce(course_key: CourseKey, changes: Changes) -> None:
    """Have saved changes told to others once they are committed; called in their transaction.

    Cost: see `note_reached`; after the commit, one query for the names of all learners of whom events are sent.
    """
    user_ids = note_reached(changes)

    @span("announce")
    def tell() -> None:
        with logged("Values that have changed", course_key):
            _emit_events(course_key, changes)
        with logged("Progress", course_key):
            _send_progress(course_key, changes)
        # The last one: a receiver may take all the time that there is, and what is left then is not lost.
        if user_ids:
            send_noted(course_key, changes, user_ids)

    transaction.on_commit(tell)


def _send_progress(course_key: CourseKey, changes: Changes) -> None:
    if not progress_changed.has_listeners(CourseAggregate):
        return
    for user_id, earned, possible, done, *_ in changes.courses:
        before = changes.stored[user_id]
        if before.computed_at is None or before.values[:2] != (earned, possible):
            progress_changed.send_robust(
                sender=CourseAggregate,
                user_id=user_id,
                course_key=course_key,
                earned=earned,
                possible=possible,
                percent=done,
                previous_percent=None if before.computed_at is None else before.values[2],
            )


def _emit_events(course_key: CourseKey, changes: Changes) -> None:
    """Emit a tracking event for each block aggregate whose values have changed."""
    tracker = _find_tracker()
    if tracker is None or not conf.TRACKING_EVENT_TYPES:
        return
    blocks = _blocks(changes)
    rows = list(_changed_rows(changes, blocks))
    if not rows:
        return
    users = get_user_model()
    found = users._default_manager.filter(pk__in={row[0] for row in rows})
    names = dict(found.values_list("pk", users.USERNAME_FIELD))
    course_id = str(course_key)
    for user_id, rows_of_one in groupby(rows, key=itemgetter(0)):
        if user_id not in names:
            continue  # Deleted meanwhile.
        # There is no request that would tell whose and which course's events these are.
        context = {"user_id": user_id, "course_id": course_id, "org": course_key.org}
        with tracker.context("completion_aggregator", context):
            for _, block_id, earned, possible, optional_earned, optional_possible, *_ in rows_of_one:
                block_key, block_type = blocks[block_id]
                data = {
                    "user_id": user_id,
                    "username": names[user_id],
                    "course_id": course_id,
                    "block_id": block_key,
                    "modified": changes.now,
                    # A row is not dated twice.
                    "created": changes.now,
                    "earned": earned,
                    "possible": float(possible),
                    "percent": percent(earned, possible),
                    "type": block_type,
                    "optional_earned": optional_earned,
                    "optional_possible": float(optional_possible),
                    "optional_percent": percent(optional_earned, optional_possible),
                }
                tracker.emit(TRACKING_EVENT_PREFIX + block_type, data)


def _find_tracker() -> Any:
    """Return the tracker if there is one, and anybody behind it: it copies every event before it looks."""
    try:
        tracker = get_tracker()
    except KeyError:
        return None  # The app eventtracking.django is not installed.
    return tracker if tracker.backends or tracker.processors else None


def _blocks(changes: Changes) -> dict[int, tuple[str, str]]:
    """Return key and type of the blocks of which events tell, by id."""
    structure = changes.course.structure
    return {
        structure.block_ids[block.key]: (block.key, block.block_type)
        for block in structure.outline.blocks
        if block.block_type in (conf.TRACKING_EVENT_TYPES or ())
    }


def _changed_rows(changes: Changes, block_ids: Container[int]) -> Iterator[tuple[Any, ...]]:
    """Give the written rows of these blocks, without those where only a moment is another; sorted by user."""
    for user_id, rows in groupby(changes.written, key=itemgetter(0)):
        # All values but the moment, which is the last one.
        before = {row[:-1] for row in changes.before.get(user_id, ())}
        yield from (row for row in rows if row[1] in block_ids and row[:-1] not in before)
