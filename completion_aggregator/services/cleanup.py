"""Deleting what nobody will ask for again, in small statements that each follow an index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Exists, Model, OuterRef, Q
from django.utils import timezone

from completion_aggregator.conf import conf
from completion_aggregator.models import (
    AggregatedChunk,
    BlockAggregate,
    CourseAggregate,
    CourseBlock,
    CourseSnapshot,
    LearnerSnapshot,
    ReachedThreshold,
    StaleCompletion,
)

#: Rows or users looked at in one statement: locks are held for milliseconds.
BATCH_SIZE = 1_000
#: Users whose rows are deleted in one statement: each may have thousands.
USERS_PER_DELETE = 10
#: How long it is known what was aggregated.
KEEP_CHUNKS = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupReport:
    """What a cleanup deleted, in rows."""

    #: Of users who do not exist any more; of the course aggregates, those too that were locks and never computed.
    markers: int = 0
    course_aggregates: int = 0
    block_aggregates: int = 0
    reached_thresholds: int = 0
    learner_snapshots: int = 0
    #: Blocks that left their course and about which nothing is stored any more.
    blocks: int = 0
    #: What was aggregated more than a week ago.
    chunks: int = 0
    #: Of courses and of learners, of days longer ago than SNAPSHOT_DAYS.
    old_snapshots: int = 0


def clean_up() -> CleanupReport:
    """Delete rows of users who do not exist any more, blocks that nothing refers to, and what is too old to keep.

    Deleting a user through Django deletes these rows already; this is for users deleted otherwise, and for what
    a worker wrote at the same moment.
    Cost: for each table, two statements per BATCH_SIZE users or blocks in it, of the course aggregates four, and the
    deletions.
    """
    return CleanupReport(
        markers=_delete_of_vanished_users(StaleCompletion),
        course_aggregates=_delete_of_vanished_users(CourseAggregate) + _delete_idle_locks(),
        block_aggregates=_delete_of_vanished_users(BlockAggregate),
        reached_thresholds=_delete_of_vanished_users(ReachedThreshold),
        learner_snapshots=_delete_of_vanished_users(LearnerSnapshot),
        blocks=_delete_gone_blocks(),
        chunks=_delete_old_chunks(),
        old_snapshots=_delete_old(CourseSnapshot) + _delete_old(LearnerSnapshot),
    )


def _delete_of_vanished_users(model: type[Model]) -> int:
    rows = model._default_manager
    deleted = 0
    for user_ids in _walk(rows.values_list("user_id", flat=True).distinct(), "user_id"):
        existing = get_user_model()._default_manager.filter(pk__in=user_ids).values_list("pk", flat=True)
        vanished = sorted(set(user_ids).difference(existing))
        for start in range(0, len(vanished), USERS_PER_DELETE):
            deleted += rows.filter(user_id__in=vanished[start : start + USERS_PER_DELETE]).delete()[0]
    return deleted


def _delete_idle_locks() -> int:
    """Delete rows without values of learners who are not stale: a worker has made them, then they were forgotten."""
    is_free = Q(queued_until=None) | Q(queued_until__lte=timezone.now())
    unused = CourseAggregate.objects.filter(is_free, computed_at=None)
    deleted = 0
    for ids in _walk(CourseAggregate.objects.values_list("user_id", flat=True).distinct(), "user_id"):
        found = unused.filter(user_id__gte=ids[0], user_id__lte=ids[-1])
        rows = list(found.values_list("user_id", "course_id", "course__course_key"))
        markers = StaleCompletion.objects.filter(user_id__in={user_id for user_id, _, _ in rows})
        stale = set(markers.values_list("user_id", "course_key"))
        for user_id, course_id, course_key in rows:
            # One by one, and there are few: a deletion that looked at the others, too, would wait for workers.
            if (user_id, course_key) not in stale:
                deleted += unused.filter(user_id=user_id, course_id=course_id).delete()[0]
    return deleted


def _delete_gone_blocks() -> int:
    aggregates = BlockAggregate.objects.filter(block_id=OuterRef("pk"))
    unused = CourseBlock.objects.filter(~Exists(aggregates), position=None)
    gone = CourseBlock.objects.filter(position=None).values_list("id", flat=True)
    return sum(unused.filter(pk__in=ids).delete()[0] for ids in _walk(gone, "id"))


def _delete_old_chunks() -> int:
    old = AggregatedChunk.objects.filter(finished_at__lt=timezone.now() - KEEP_CHUNKS).values_list("id", flat=True)
    return sum(AggregatedChunk.objects.filter(pk__in=ids).delete()[0] for ids in _walk(old, "id"))


def _delete_old(model: type[CourseSnapshot | LearnerSnapshot]) -> int:
    old = model._default_manager.filter(
        day__lt=timezone.now().astimezone(UTC).date() - timedelta(days=conf.SNAPSHOT_DAYS)
    )
    deleted = 0
    while keys := list(old.order_by("day").values_list("pk", flat=True)[:BATCH_SIZE]):
        deleted += model._default_manager.filter(pk__in=keys).delete()[0]
    return deleted


def _walk(ids: Any, name: str) -> Iterator[list[int]]:
    """Give the ids that a query selects in batches, each found from the last one on."""
    last = 0
    while batch := list(ids.filter(**{f"{name}__gt": last}).order_by(name)[:BATCH_SIZE]):
        yield batch
        last = batch[-1]
