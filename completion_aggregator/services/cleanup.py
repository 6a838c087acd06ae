"""Deleting what nobody will ask for again."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.db.models import Exists, Model, OuterRef, QuerySet

from completion_aggregator.models import BlockAggregate, CourseAggregate, CourseBlock, StaleCompletion

#: Rows deleted in one statement: locks are held for milliseconds.
BATCH_SIZE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupReport:
    """What a cleanup deleted, in rows."""

    #: Of users who do not exist any more.
    markers: int = 0
    course_aggregates: int = 0
    block_aggregates: int = 0
    #: Blocks that left their course and about which nothing is stored any more.
    blocks: int = 0


def clean_up() -> CleanupReport:
    """Delete rows of users who do not exist any more, and blocks that nothing refers to.

    Deleting a user through Django deletes these rows already; this is for users deleted otherwise, and for what
    a worker wrote at the same moment.
    Cost: a pass over each table, and one statement per BATCH_SIZE deleted rows.
    """
    return CleanupReport(
        markers=_delete_of_vanished_users(StaleCompletion),
        course_aggregates=_delete_of_vanished_users(CourseAggregate),
        block_aggregates=_delete_of_vanished_users(BlockAggregate),
        blocks=_delete_gone_blocks(),
    )


def _delete_of_vanished_users(model: type[Model]) -> int:
    users = get_user_model().objects.filter(pk=OuterRef("user_id"))
    rows = model._default_manager.filter(~Exists(users)).order_by("user_id").values_list("user_id", flat=True)
    deleted = 0
    while user_ids := list(rows.distinct()[:BATCH_SIZE]):
        deleted += model._default_manager.filter(user_id__in=user_ids).delete()[0]
    return deleted


def _delete_gone_blocks() -> int:
    aggregates = BlockAggregate.objects.filter(block_id=OuterRef("pk"))
    gone: QuerySet[CourseBlock] = CourseBlock.objects.filter(~Exists(aggregates), position=None)
    deleted = 0
    while ids := list(gone.values_list("pk", flat=True)[:BATCH_SIZE]):
        deleted += gone.filter(pk__in=ids).delete()[0]
    return deleted
