"""Taking over the rows that openedx-completion-aggregator 4.5 has left, in batches, while the site runs.

A batch is one transaction: rows are copied, everybody they are about is marked, and how far the copy has come is
noted. So it can be killed at any point, and whoever has copied rows is stale until a worker has computed them: the
rows of 4.5 are a beginning, not the truth. What a worker has computed meanwhile is left alone.

Courses and blocks get the rows that the keys need, without the structure; the first worker fills that in. The LMS is
asked only which courses it has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import OperationalError, connections, router, transaction
from django.db.models import (
    Case,
    CharField,
    Count,
    DateTimeField,
    Exists,
    IntegerField,
    JSONField,
    Max,
    OuterRef,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Left
from django.utils import timezone
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from completion_aggregator.compat import get_lms
from completion_aggregator.exceptions import CompletionAggregatorError, InvalidKeyError
from completion_aggregator.models import (
    BlockAggregate,
    Course,
    CourseAggregate,
    CourseBlock,
    OldAggregate,
    OldMarker,
    StaleCompletion,
    Takeover,
)
from completion_aggregator.selectors.stats import forget_means
from completion_aggregator.upsert import KeyText, drop_tables, insert_select
from completion_aggregator.utils import parse_course_key

log = logging.getLogger(__name__)

OLD = "openedx-completion-aggregator 4.5"
#: Old rows in one transaction: it takes some tenths of a second.
BATCH_SIZE = 10_000
#: So many rows are taken over by `migrate` itself: a matter of seconds.
SMALL = 20_000
#: All tables of 4.5 that the migrations may have set aside.
TABLES = tuple(
    f"completion_aggregator_{name}_4_5"
    for name in ("aggregator", "stalecompletion", "stalecompletionold", "cachegroupinvalidation")
)


class TakeoverUnfinishedError(CompletionAggregatorError):
    """Rows of 4.5 would be lost."""


class Remaining(NamedTuple):
    """What is left to take over. Unit: rows of 4.5."""

    markers: int
    aggregates: int


def begin_takeover() -> Remaining:
    """Return what is left to take over.

    Cost: 4 queries, two of them counts: the first time, that of the aggregates takes a minute for some 100 million.
    """
    takeover = Takeover.objects.filter(finished_at=None).first()
    if takeover is None:
        return Remaining(0, 0)
    if takeover.total is None:
        takeover.total = _aggregates(takeover).count()
        takeover.save(update_fields=["total"])
    return Remaining(_open_markers(takeover).count(), takeover.total - takeover.copied)


@retry(
    # Deadlocks and waits that took too long: workers and learners write meanwhile.
    retry=retry_if_exception_type(OperationalError),
    wait=wait_random_exponential(multiplier=0.05, max=2),
    stop=stop_after_attempt(5),
    reraise=True,
)
def take_over_batch(batch_size: int = BATCH_SIZE) -> int:
    """Take over the next rows: first the open markers, then the aggregates.

    Returns:
        How many rows of 4.5 those were; 0: all is taken over.
    Cost: about 10 statements. Only rows of the batch are locked.
    """
    with transaction.atomic():
        # Two who take over at once take turns.
        takeover = Takeover.objects.select_for_update().filter(finished_at=None).first()
        if takeover is None:
            return 0
        done = _take_over_markers(takeover, batch_size) or _take_over_aggregates(takeover, batch_size)
        if not done:
            takeover.finished_at = timezone.now()
        takeover.save()
    return done


def take_over_if_small(say: Callable[[str], object]) -> None:
    """Take over all that is left, if it is little; otherwise say how to."""
    takeover = Takeover.objects.filter(finished_at=None).first()
    if takeover is None:
        return
    if sum(rows[: SMALL + 1].count() for rows in (_open_markers(takeover), _aggregates(takeover))) > SMALL:
        say(f"Rows of {OLD} wait. Take them over with: manage.py migrate_aggregates")
        return
    remaining = begin_takeover()
    try:
        while take_over_batch():
            pass
    except Exception as error:
        # The tables are there: that is what whoever migrates has asked for.
        log.exception("The rows of 4.5 could not be taken over")
        say(f"Rows of {OLD} could not be taken over: {error}. Try again with: manage.py migrate_aggregates")
        return
    say(f"Taken over from {OLD}: {remaining.aggregates} aggregates")


def drop_old_tables() -> None:
    """Drop what 4.5 has left.

    Raises:
        TakeoverUnfinishedError: some of it is not taken over yet.
    """
    if Takeover.objects.filter(finished_at=None).exists():
        raise TakeoverUnfinishedError("Rows of 4.5 are not taken over yet.")
    drop_tables(TABLES, using=router.db_for_write(OldAggregate))


def _aggregates(takeover: Takeover) -> QuerySet[OldAggregate]:
    return _rows(OldAggregate).filter(id__gt=takeover.last_aggregate_id)


def _open_markers(takeover: Takeover) -> QuerySet[OldMarker]:
    return _rows(OldMarker).filter(id__gt=takeover.last_marker_id, resolved=False)


def _rows(model: Any) -> QuerySet[Any]:
    """Select what 4.5 has left in one of its tables; it was dropped where it was empty."""
    rows: QuerySet[Any] = model.objects.using(router.db_for_write(model))
    return rows if model._meta.db_table in connections[rows.db].introspection.table_names() else rows.none()


def _take_over_markers(takeover: Takeover, batch_size: int) -> int:
    """Turn open markers into ours: one for each learner and course, whatever the block."""
    markers = list(_open_markers(takeover).order_by("id").values_list("id", "username", "course_key")[:batch_size])
    if not markers:
        return 0
    users = get_user_model()
    named = {f"{users.USERNAME_FIELD}__in": {username for _, username, _ in markers}}
    ids = dict(users._default_manager.filter(**named).values_list(users.USERNAME_FIELD, "pk"))
    wanted = {(ids[username], key): None for _, username, key in markers if username in ids}
    open_now = set(
        StaleCompletion.objects.filter(user_id__in={user_id for user_id, _ in wanted}, block_key=None).values_list(
            "user_id", "course_key"
        )
    )
    StaleCompletion.objects.bulk_create(
        [
            StaleCompletion(user_id=user_id, course_key=key, bulk=True)
            for user_id, key in wanted
            if (user_id, key) not in open_now
        ],
        batch_size=5_000,
    )
    takeover.last_marker_id = markers[-1][0]
    of_nobody = sum(username not in ids for _, username, _ in markers)
    takeover.markers_of_nobody += of_nobody
    takeover.markers += len(markers) - of_nobody
    return len(markers)


def _take_over_aggregates(takeover: Takeover, batch_size: int) -> int:
    ahead = _aggregates(takeover)
    batch = ahead.order_by("id").values("id")[:batch_size].aggregate(number=Count("id"), last=Max("id"))
    if not batch["number"]:
        return 0
    users = get_user_model()._default_manager.filter(pk=OuterRef("user_id"))
    rows = ahead.filter(Exists(users), id__lte=batch["last"])
    _add_structure(rows)
    _copy(rows)
    _mark(rows)
    takeover.last_aggregate_id = batch["last"]
    takeover.copied += batch["number"]
    return int(batch["number"])


# Courses and blocks are looked up for each row: of a join, MySQL might begin at the wrong end, with all courses.
_COURSE = Course.objects.filter(course_key=OuterRef("course_key"))
_BLOCK = CourseBlock.objects.filter(course__course_key=OuterRef("course_key"), block_key=OuterRef("block_key"))


def _add_structure(rows: QuerySet[OldAggregate]) -> None:
    """Give courses and blocks that have none a row, as if they had left the LMS; a worker corrects that."""
    _insert(
        Course,
        ("course_key", "version", "structure"),
        rows.filter(~Exists(_COURSE))
        .values_list(KeyText("course_key"), _text(""), Value([], output_field=JSONField()))
        .distinct(),
    )
    _insert(
        CourseBlock,
        ("course_id", "block_key", "block_type", "display_name"),
        rows.filter(~Exists(_BLOCK))
        .values_list(_id_of(_COURSE), KeyText("block_key"), Left("aggregation_name", 64), _text(""))
        .distinct(),
    )


def _copy(rows: QuerySet[OldAggregate]) -> None:
    """Copy aggregates, in order of the primary keys, as workers write them; those that are there are newer."""
    values = ("earned", "possible", "optional_earned", "optional_possible", "last_modified")
    _insert(
        BlockAggregate,
        ("user_id", "block_id", *values, "modified"),
        rows.annotate(block=_id_of(_BLOCK))
        .order_by("user_id", "block")
        .values_list("user_id", "block", *values, "modified"),
    )
    completed_at = Case(When(percent=1.0, then="modified"), output_field=DateTimeField())
    _insert(
        CourseAggregate,
        ("course_id", "user_id", *values, "percent", "computed_at", "completed_at"),
        rows.filter(aggregation_name="course")
        .annotate(course=_id_of(_COURSE))
        .order_by("course", "user_id")
        .values_list("course", "user_id", *values, "percent", "modified", completed_at),
    )


def _mark(rows: QuerySet[OldAggregate]) -> None:
    """Mark everybody whose rows these are, whether or not a marker is open: a worker may have it in hand.

    Of a course that the LMS does not have any more, nothing else than these rows will ever be known.
    """
    keys = []
    for text in rows.values_list(KeyText("course_key"), flat=True).distinct():
        with suppress(InvalidKeyError):
            keys.append(parse_course_key(text))
    known = Course.objects.filter(course_key__in=list(map(str, get_lms().course_versions(keys))))
    ids = list(known.values_list("id", flat=True))
    learners = rows.annotate(course=_id_of(_COURSE)).filter(course__in=ids)
    markers = learners.values_list(
        "user_id",
        KeyText("course_key"),
        Value(timezone.now(), output_field=DateTimeField()),
        Value(0, output_field=IntegerField()),
        _text(""),
    )
    if ids:
        fields = ("user_id", "course_key", "created", "attempts", "last_error")
        _insert(StaleCompletion, fields, markers.distinct())
    for key in keys:
        transaction.on_commit(partial(forget_means, key), robust=True)


def _insert(model: Any, fields: Sequence[str], rows: QuerySet[Any]) -> None:
    insert_select(model, fields, rows, using=rows.db, ignore_conflicts=True, exact=True)


def _id_of(rows: QuerySet[Any]) -> Subquery:
    return Subquery(rows.values("id"))


def _text(text: str) -> Value:
    return Value(text, output_field=CharField())
