"""The outbox of the signal `threshold_reached`: noted with the aggregation, sent after it, once for ever.

A row is written in the aggregation's transaction, so it is there exactly if the percent is. Whoever has written it
sends it after the commit. What is still unsent when `due_at` has passed is sent by the next pass: the writer has died,
or a receiver has failed. See docs/decisions/0016-outbox-of-thresholds.rst.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import connections, router, transaction
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.conf import conf
from completion_aggregator.models import ReachedThreshold
from completion_aggregator.selectors.migration import find_migration
from completion_aggregator.services.changes import Changes
from completion_aggregator.signals import threshold_reached
from completion_aggregator.utils import parse_course_key

log = logging.getLogger(__name__)

#: Rows that one pass looks at; what is left is for the next one.
_MAX_IN_A_PASS = 10_000
_MAX_DELAY = timedelta(days=1)
_WHAT = "A threshold that was reached"


def note_reached(changes: Changes) -> list[int]:
    """Write down who has reached which threshold, in the transaction of the aggregation.

    Returns: the ids of learners of whom something is to be sent.
    Cost: nothing, unless somebody crosses a threshold; then one query and one INSERT, however many they are.
    """
    crossed = list(_crossings(changes))
    if not crossed:
        return []
    # Asked for, not left to the INSERT: at a duplicate, MySQL locks the gap before it, and others wait there.
    known = set(
        ReachedThreshold.objects.filter(
            course_id=changes.course.id, user_id__in={row.user_id for row in crossed}
        ).values_list("user_id", "threshold")
    )
    new = [row for row in crossed if (row.user_id, row.threshold) not in known]
    ReachedThreshold.objects.bulk_create(new, ignore_conflicts=True)
    return sorted({row.user_id for row in new if row.due_at})


def _crossings(changes: Changes) -> Iterator[ReachedThreshold]:
    """Give a row for each threshold between a learner's percent as it was stored and as it is now."""
    thresholds = sorted(set(conf.THRESHOLDS))
    # To whom nobody listens, it is sent by writing it.
    is_heard = threshold_reached.has_listeners(ReachedThreshold)
    is_copying = find_migration() is not None
    for user_id, _, possible, percent, *_ in sorted(changes.courses):
        _, possible_before, percent_before, *_ = changes.stored[user_id].values
        # Where there is nothing to do, nothing is reached, although all of it is done.
        before, after = percent_before if possible_before else 0.0, percent if possible else 0.0
        place_before, place = bisect_right(thresholds, before), bisect_right(thresholds, after)
        row: dict[str, Any] = {"course_id": changes.course.id, "user_id": user_id, "reached_at": changes.now}
        for threshold in thresholds[place_before:place]:
            if is_copying and changes.stored[user_id].computed_at is None:
                # Maybe 4.5 has known it for long, and it is not copied yet.
                yield ReachedThreshold(**row, threshold=threshold, percent=after)
            else:
                told = {"due_at": changes.now + _pause(0)} if is_heard else {"sent_at": changes.now}
                yield ReachedThreshold(**row, **told, threshold=threshold, percent=after, attempts=1)
        for threshold in thresholds[place:place_before]:
            # Mostly it is known. If not, it was reached before this threshold was looked for: it is not news.
            yield ReachedThreshold(**row, threshold=threshold, percent=before)


def send_noted(course_key: CourseKey, changes: Changes, user_ids: Collection[int]) -> None:
    """Send what `note_reached` has just noted of these learners; after the commit.

    Raises:
        SoftTimeLimitExceeded: a Celery worker's time is over; the next pass sends what is left.
    Cost: one query, and 4 short statements for each signal.
    """
    with logged(_WHAT, course_key):
        noted = ReachedThreshold.objects.filter(
            course_id=changes.course.id, user_id__in=user_ids, reached_at=changes.now
        ).exclude(due_at=None)
        for row_id in list(noted.order_by("user_id", "threshold").values_list("id", flat=True)):
            _send(row_id, course_key)


def send_reached_thresholds() -> int:
    """Send `threshold_reached` for what others have left unsent: they have died, or a receiver has failed.

    Every pass of the service calls it. It may run anywhere and any number of times at once.

    Returns: how many signals were sent.
    Raises:
        SoftTimeLimitExceeded: as for `aggregate`.
    Cost: one query, and 8 short statements for each signal, at most 10,000 signals.
    """
    now = timezone.now()
    due = ReachedThreshold.objects.filter(due_at__lte=now).order_by("due_at")
    rows = list(due.values_list("id", "course__course_key")[:_MAX_IN_A_PASS])
    return sum(_send_late(row_id, key, now) for row_id, key in rows)


def _send_late(row_id: int, course_key: str, now: datetime) -> bool:
    with logged(_WHAT, course_key):
        # Noted before it is tried, so that one over which processes die is not the first thing that all others try.
        with transaction.atomic():
            row = _lock(row_id)
            if row is None or row.due_at is None or row.due_at > now:
                return False
            row.due_at, row.attempts = now + _pause(row.attempts), row.attempts + 1
            row.save(update_fields=["due_at", "attempts"])
        return _send(row_id, parse_course_key(course_key))
    return False


def _send(row_id: int, course_key: CourseKey) -> bool:
    """Send one signal, in a transaction with the note that it was sent; tell whether it was."""
    with logged(_WHAT, course_key), transaction.atomic():
        row = _lock(row_id)
        if row is None or row.due_at is None:
            return False  # Somebody else is at it, or it was sent meanwhile, or the learner is gone.
        row.due_at, row.sent_at = None, timezone.now()
        row.save(update_fields=["due_at", "sent_at"])
        # Not robustly: what one receiver raises must undo what the others have written, or they would do it twice.
        threshold_reached.send(
            sender=ReachedThreshold,
            user_id=row.user_id,
            course_key=course_key,
            threshold=row.threshold,
            percent=row.percent,
        )
        return True
    return False


def _lock(row_id: int) -> ReachedThreshold | None:
    """Lock one row, by its primary key alone: whoever inserts others must not wait for a receiver."""
    skip_locked = connections[router.db_for_write(ReachedThreshold)].features.has_select_for_update_skip_locked
    return ReachedThreshold.objects.select_for_update(skip_locked=skip_locked).filter(pk=row_id).first()


def _pause(attempts: int) -> timedelta:
    delay: timedelta = timedelta(seconds=conf.RETRY_DELAY) * 2 ** min(attempts, 16)
    return min(delay, _MAX_DELAY)


@contextmanager
def logged(what: str, course_key: CourseKey | str) -> Iterator[None]:
    """Log what goes wrong while others are told, and go on.

    Raises:
        SoftTimeLimitExceeded: a Celery worker's time is over; nobody knows in the middle of what.
    """
    try:
        yield
    except SoftTimeLimitExceeded:
        raise
    except Exception:
        log.exception("%s in %s could not be told", what, course_key)
