"""Who is to be aggregated next, and who is already in the hands of the workers.

The open markers are the queue. Whoever has done something comes before bulk work, as publications and rebuilds leave
it. Every course gets its turn, the one that has waited longest first, and in a course whoever has waited longest.
Learners sent to the workers are claimed in their course aggregates, where no learner's request ever writes; the claim
ends with their aggregation, or by itself when that got lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import connections, router, transaction
from django.db.models import Count, Max, Min, QuerySet
from django.utils import timezone

from completion_aggregator.conf import conf
from completion_aggregator.models import Course, CourseAggregate, StaleCompletion
from completion_aggregator.selectors.status import is_claimed
from completion_aggregator.services.staleness import in_batches

#: Learners in a chunk: their rows fit into a few statements, and nobody is locked for long.
CHUNK_SIZE = 500
#: The same for bulk work: no worker is busy with it for long, when something comes that is in a hurry.
BULK_CHUNK_SIZE = 100


class Chunk(NamedTuple):
    """Some learners of one course: the unit of work."""

    course_key: str
    user_ids: list[int]


def find_stale_chunks(
    *,
    chunk_size: int = CHUNK_SIZE,
    limit: int | None = None,
    bulk_limit: int | None = None,
    course_keys: Collection[str] | None = None,
) -> Iterator[Chunk]:
    """Give every learner who has a due marker now, claimed or not, in chunks: one of each course in turn.

    Bulk work comes last, and after each chunk of it whoever has done something meanwhile. A learner with markers of
    both kinds is given for the first of them, and only once if aggregated then.

    Args:
        limit: at most so many learners; None: all.
        bulk_limit: at most so many of bulk work, as `grant_bulk` allows; None: all.
        course_keys: only of these courses; None: of all.
    Cost: three queries and one for each chunk, two more for each chunk of bulk work.
    """
    return _ordinary_first(_due(course_keys), chunk_size, limit, bulk_limit)


def claim_stale_chunks(
    *,
    chunk_size: int = CHUNK_SIZE,
    limit: int | None = None,
    bulk_limit: int | None = None,
    course_keys: Collection[str] | None = None,
) -> Iterator[Chunk]:
    """Give chunks as `find_stale_chunks` does, of learners whom nobody has claimed, and claim them.

    A claim lasts until the learner is aggregated, at most for the setting QUEUE_TIMEOUT. Whoever cannot send a
    chunk after all must `release` it.

    Cost: see `find_stale_chunks`; for each chunk 5 short statements more, and one that creates missing rows.
    """
    for chunk in _ordinary_first(_unclaimed(_due(course_keys)), chunk_size, limit, bulk_limit):
        user_ids = _claim(chunk)
        if user_ids:
            yield Chunk(chunk.course_key, user_ids)


def release(chunk: Chunk) -> None:
    """End the claim on these learners, aggregated or not; whoever aggregates one of them just now ends it anyway."""
    for course_id in Course.objects.filter(course_key=chunk.course_key).values_list("id", flat=True):
        with transaction.atomic():
            claimed = select_and_lock(course_id, chunk.user_ids).exclude(queued_until=None)
            user_ids = list(claimed.values_list("user_id", flat=True))
            CourseAggregate.objects.filter(course_id=course_id, user_id__in=user_ids).update(queued_until=None)


def count_stale(*, unclaimed: bool = False, course_keys: Collection[str] | None = None) -> int:
    """Return how many learners have a due marker, once for each of their courses.

    Args:
        unclaimed: leave out those who are in the hands of the workers.
        course_keys: only of these courses; None: of all.
    """
    due = _due(course_keys)
    due = _unclaimed(due) if unclaimed else due
    counts = due.values("course_key").annotate(learners=Count("user_id", distinct=True))
    return sum(counts.values_list("learners", flat=True))


def retry_failed(course_keys: Collection[str] | None = None) -> int:
    """Make every marker due that waits after a failure or was given up; return how many that is.

    Args:
        course_keys: only of these courses; None: of all.
    Cost: one query, and one statement for every 5,000 such markers.
    """
    failed = StaleCompletion.objects.filter(attempts__gt=0)
    if course_keys is not None:
        failed = failed.filter(course_key__in=course_keys)
    ids = list(failed.values_list("id", flat=True))
    return sum(
        StaleCompletion.objects.filter(id__in=batch).update(attempts=0, not_before=None, last_error="")
        for batch in in_batches(ids)
    )


def ensure_rows(course_id: int, user_ids: Sequence[int]) -> None:
    """Create the rows that serve as locks, in a transaction of their own: it is over before anybody waits for it."""
    rows = CourseAggregate.objects.filter(course_id=course_id, user_id__in=user_ids)
    missing = set(user_ids).difference(rows.values_list("user_id", flat=True))
    if missing:
        CourseAggregate.objects.bulk_create(
            [CourseAggregate(course_id=course_id, user_id=user_id) for user_id in sorted(missing)],
            ignore_conflicts=True,
        )


def select_and_lock(course_id: int, user_ids: Sequence[int]) -> QuerySet[CourseAggregate]:
    """Select the course aggregates of the learners and lock them; those that somebody else holds are left out."""
    skip_locked = connections[router.db_for_write(CourseAggregate)].features.has_select_for_update_skip_locked
    rows = CourseAggregate.objects.filter(course_id=course_id, user_id__in=user_ids).order_by("user_id")
    return rows.select_for_update(skip_locked=skip_locked)


def _due(course_keys: Collection[str] | None) -> QuerySet[StaleCompletion]:
    due = StaleCompletion.objects.due(timezone.now(), conf.MAX_ATTEMPTS)
    return due if course_keys is None else due.filter(course_key__in=course_keys)


def _unclaimed(markers: QuerySet[StaleCompletion]) -> QuerySet[StaleCompletion]:
    return markers.filter(~is_claimed(timezone.now()))


def _ordinary_first(
    due: QuerySet[StaleCompletion], chunk_size: int, limit: int | None, bulk_limit: int | None
) -> Iterator[Chunk]:
    ordinary = due.filter(bulk=False)
    bulk = _up_to(bulk_limit, _take_turns(due.filter(bulk=True), min(chunk_size, BULK_CHUNK_SIZE)))

    def chunks() -> Iterator[Chunk]:
        seen, bulk_chunk = 0, None
        while True:
            # Read before: who comes while they are gone through is found the next time.
            newest = StaleCompletion.objects.aggregate(newest=Max("id"))["newest"] or 0
            yield from _take_turns(ordinary.filter(id__gt=seen), chunk_size)
            seen, bulk_chunk = newest, next(bulk, None)
            if bulk_chunk is None:
                return
            yield bulk_chunk

    return _up_to(limit, chunks())


def _up_to(limit: int | None, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Pass chunks on, of so many learners at most; None: all."""
    if limit is None:
        yield from chunks
        return
    while limit > 0 and (chunk := next(chunks, None)):
        user_ids = chunk.user_ids[:limit]
        yield Chunk(chunk.course_key, user_ids)
        limit -= len(user_ids)


def _take_turns(due: QuerySet[StaleCompletion], chunk_size: int) -> Iterator[Chunk]:
    courses = due.values("course_key").annotate(oldest=Min("id"), learners=Count("user_id", distinct=True))
    walks = deque(
        _walk(due.filter(course_key=key), key, chunk_size, learners)
        for key, learners in list(courses.order_by("oldest").values_list("course_key", "learners"))
    )
    while walks:
        walk = walks.popleft()
        chunk = next(walk, None)
        if chunk is not None:
            yield chunk
            walks.append(walk)


def _walk(due: QuerySet[StaleCompletion], course_key: str, chunk_size: int, learners: int) -> Iterator[Chunk]:
    """Go through the learners of one course, the longest waiting first, as it is when each chunk is asked for.

    Args:
        learners: how many there are at the beginning; no more are given, or it might never end. It is not the newest
            marker that ends it: that everybody is marked again, when a new version is met, must not.
    """
    # Not told apart by the database: without statistics of new rows, PostgreSQL compares each with each.
    markers: Any = due.order_by("id").values_list("id", "user_id")
    given: set[int] = set()
    user_ids: list[int] = []
    last = 0
    while len(given) < learners and (found := list(markers.filter(id__gt=last)[:chunk_size])):
        last = found[-1][0]
        for _, user_id in found:
            if user_id not in given and len(given) < learners:
                given.add(user_id)
                user_ids.append(user_id)
        while len(user_ids) >= chunk_size:
            yield Chunk(course_key, user_ids[:chunk_size])
            user_ids = user_ids[chunk_size:]
    if user_ids:
        yield Chunk(course_key, user_ids)


def _claim(chunk: Chunk) -> list[int]:
    """Claim the learners whom nobody else has claimed or is aggregating just now; return their ids."""
    course, _ = Course.objects.get_or_create(course_key=chunk.course_key)
    ensure_rows(course.id, chunk.user_ids)
    now = timezone.now()
    with transaction.atomic():
        free = select_and_lock(course.id, chunk.user_ids).exclude(queued_until__gt=now)
        # Under the lock: whoever was aggregated since the chunk was found would keep the claim for nothing.
        markers = StaleCompletion.objects.of(chunk.course_key, list(free.values_list("user_id", flat=True)))
        user_ids = sorted(set(markers.values_list("user_id", flat=True)))
        rows = CourseAggregate.objects.filter(course_id=course.id, user_id__in=user_ids)
        rows.update(queued_until=now + timedelta(seconds=conf.QUEUE_TIMEOUT))
    return user_ids
