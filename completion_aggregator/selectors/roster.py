"""Who is in a course, filtered and in order, and how far each has come, as it is stored.

The pages of a class for the REST API, the dashboard, the export and other plugins.
"""

from __future__ import annotations

import enum
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from django.contrib.auth import get_user_model
from django.db.models import CharField, Exists, ExpressionWrapper, F, IntegerField, OuterRef, Q, QuerySet, Value
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.engine import Tally
from completion_aggregator.exceptions import InvalidCursorError
from completion_aggregator.models import CourseAggregate, StaleCompletion
from completion_aggregator.selectors.completions import (
    UNKNOWN,
    CourseCompletion,
    Learner,
    iter_course_completions,
)
from completion_aggregator.selectors.enrollments import join_aggregates
from completion_aggregator.selectors.structure import StoredCourse, get_course_states
from completion_aggregator.utils import MAX_ID

#: What a learner may be found by; with a minus: the other way round. Learners who are equal in it go by user id.
#: Those of whom there is no such value come first: never aggregated, or never active.
ORDERINGS = (
    "user_id",
    "-user_id",
    "username",
    "-username",
    "percent",
    "-percent",
    "last_activity",
    "-last_activity",
)
#: How many learners are read at once where all are wanted.
BATCH_SIZE = 1_000
#: What no name is longer than.
MAX_SEARCH = 255
#: Further back nobody asks; and all of it is later than the year 1.
MAX_DAYS = 36_500
#: Orderings by a column of the course aggregate: what it is called beside the columns of an enrollment.
_COLUMNS = {"percent": "stored_percent", "last_activity": "stored_activity"}
_FIELDS = {"stored_percent": "percent", "stored_activity": "last_modified"}


class Progress(enum.StrEnum):
    """How far a learner has come, in a word. The stored percent alone decides: 0, between, 1."""

    NOT_STARTED = "not_started"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerFilter:
    """Which of a course's learners are meant: those to whom all of it applies."""

    user_ids: Collection[int] | None = None
    #: 0.0-1.0, both included. Who was never aggregated has 0.
    percent_min: float | None = None
    percent_max: float | None = None
    #: Occurs in the username or the name; empty: whoever.
    search: str = ""
    #: Members of one of these cohorts of the course; None: whoever.
    cohort_ids: Collection[int] | None = None
    #: Holders of one of these roles in the course or in all of its org; empty: whoever.
    roles: Collection[str] = ()
    #: Not those who hold one of these.
    exclude_roles: Collection[str] = ()
    status: Progress | None = None
    #: Not active since then, or never.
    inactive_since: datetime | None = None

    @property
    def needs_aggregates(self) -> bool:
        limits = (self.percent_min, self.percent_max, self.status, self.inactive_since)
        return any(limit is not None for limit in limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterRow:
    """One learner of a course, as it is stored."""

    learner: Learner
    #: `possible` is None when the learner was never aggregated; `last_modified` is the learner's last activity.
    tally: Tally
    #: When the course was found complete; None: it is not.
    completed_at: datetime | None
    #: When the values were last computed; None: never yet.
    computed_at: datetime | None
    #: Whether something has changed since then that is not counted yet.
    is_stale: bool


class RosterPage(NamedTuple):
    """Some learners of a course, and how to go on: cursors for `get_roster_page`; None: there is nobody."""

    rows: list[RosterRow]
    next: str | None
    previous: str | None


class LearnerIdPage(NamedTuple):
    """As RosterPage, of user ids alone."""

    user_ids: list[int]
    next: str | None
    previous: str | None


def get_roster_page(
    course_key: CourseKey,
    filters: LearnerFilter = LearnerFilter(),
    *,
    ordering: str = "user_id",
    cursor: str | None = None,
    size: int = 50,
) -> RosterPage:
    """Return the learners after (or before) a place in a course.

    Whoever stays in the course meanwhile is met once on a walk, unless the learner's value in the ordering changes.

    Args:
        ordering: one of ORDERINGS.
        cursor: from another page, of the same filters and ordering; None: the first page.
    Raises:
        InvalidCursorError: the cursor is none, or of another ordering.
        NotSupportedByLMSError: the LMS has no cohorts, or no roles, to filter by.
    Cost: at most 5 queries, however many learners there are, and the LMS's versions. By percent, by activity and by
    user id the database reads the page from an index; other orderings and filters make it look at the whole class.
    """
    page = get_learner_id_page(course_key, filters, ordering=ordering, cursor=cursor, size=size)
    return RosterPage(get_roster_rows(course_key, page.user_ids), page.next, page.previous)


def get_learner_id_page(
    course_key: CourseKey,
    filters: LearnerFilter = LearnerFilter(),
    *,
    ordering: str = "user_id",
    cursor: str | None = None,
    size: int = 50,
) -> LearnerIdPage:
    """Return the user ids of a page; see `get_roster_page`. Cost: at most 2 queries."""
    place = None if cursor is None else _Place.read(cursor, ordering)
    is_back = place is not None and place.direction == "previous"
    found = _walk(course_key, filters, ordering, place, size + 1)
    is_more = len(found) > size
    del found[size:]
    if is_back:
        found.reverse()
    first, last = (found[0], found[-1]) if found else (place, place)
    following = _Place("next", ordering, last.key, last.user_id) if last and (is_more or is_back) else None
    preceding = None
    if first and (is_more if is_back else place is not None):
        # Of an empty page, the way back leads to the learner who was the last one.
        step = 0 if found else (-1 if ordering.startswith("-") else 1)
        preceding = _Place("previous", ordering, first.key, first.user_id + step)
    if is_back and not found:
        following = None
    return LearnerIdPage([each.user_id for each in found], _text(following), _text(preceding))


def get_course_completions(
    course_key: CourseKey,
    *,
    percent_min: float | None = None,
    percent_max: float | None = None,
    status: Progress | None = None,
    users: Collection[int] | None = None,
    block_types: Collection[str] = (),
    root_block: str | None = None,
) -> list[CourseCompletion]:
    """Return how far everybody who is enrolled in a course has come, as it is stored, ordered by user id.

    Args:
        percent_min, percent_max, status: see `LearnerFilter`; about the course, whatever the root block.
        users: ids of those who are meant; None: whoever is enrolled.
        block_types, root_block: see `get_course_completion`.
    Raises:
        UnknownBlockError: the course has no such root block.
    Cost: 3 queries and the LMS's versions per BATCH_SIZE learners, one or two more with block types.
    """
    filters = LearnerFilter(user_ids=users, percent_min=percent_min, percent_max=percent_max, status=status)
    found: list[CourseCompletion] = []
    cursor = None
    while True:
        page = get_learner_id_page(course_key, filters, cursor=cursor, size=BATCH_SIZE)
        learners = get_learners(page.user_ids)
        found += iter_course_completions(course_key, learners, block_types=block_types, root_block=root_block)
        if (cursor := page.next) is None:
            return found


def count_roster(course_key: CourseKey, filters: LearnerFilter = LearnerFilter()) -> int:
    """Return how many learners of the course the filters leave. Cost: one query over the class."""
    return _select(course_key, filters, with_aggregates=filters.needs_aggregates).count()


def iter_roster(
    course_key: CourseKey,
    filters: LearnerFilter = LearnerFilter(),
    *,
    ordering: str = "user_id",
    batch_size: int = BATCH_SIZE,
) -> Iterator[list[RosterRow]]:
    """Give all learners of the course, a batch at a time; see `get_roster_page` for each."""
    cursor = None
    while True:
        page = get_roster_page(course_key, filters, ordering=ordering, cursor=cursor, size=batch_size)
        if page.rows:
            yield page.rows
        if (cursor := page.next) is None:
            return


def select_learner_ids(
    course_key: CourseKey, filters: LearnerFilter = LearnerFilter(), *, ordering: str = "user_id"
) -> QuerySet[Any]:
    """Select user id and text of the course key of each learner, in order, for pages that are numbered.

    The order is that of `get_roster_page`, and the database sorts the whole class for it.
    """
    name, is_descending = _split(ordering)
    rows = _select(course_key, filters, with_aggregates=filters.needs_aggregates or name in _COLUMNS)
    key = _key(name)
    if key is not None:
        order = F(key).desc(nulls_last=True) if is_descending else F(key).asc(nulls_first=True)
        rows = rows.order_by(order, "-user_id" if is_descending else "user_id")
    else:
        rows = rows.order_by(ordering)
    return rows.values_list("user_id", "key_text", named=True)


def get_roster_rows(course_key: CourseKey, user_ids: Sequence[int]) -> list[RosterRow]:
    """Return how far these learners have come in the course, in their order; who does not exist is left out.

    Cost: 2 queries and the LMS's versions; one more when nobody in the course was ever aggregated.
    """
    names = get_learners(user_ids)
    markers = StaleCompletion.objects.filter(user_id=OuterRef("user_id"), course_key=str(course_key))
    rows = CourseAggregate.objects.of(str(course_key), user_ids).exclude(computed_at=None)
    values = rows.annotate(is_marked=Exists(markers)).values_list(
        "user_id",
        "course_id",
        "course__version",
        "course__next_change_at",
        "completed_at",
        "computed_at",
        "is_marked",
        *Tally._fields,
    )
    stored = StoredCourse()
    found: dict[int, tuple[Any, ...]] = {}
    for user_id, course_id, version, change, *rest in values:
        stored = StoredCourse(course_id, version, change)
        found[user_id] = (Tally(*rest[3:]), *rest[:3])
    state = get_course_states([course_key], {str(course_key): stored})[course_key]
    is_current = state.is_current(timezone.now())
    never = UNKNOWN, None, None, True
    return [
        RosterRow(
            learner=learner,
            tally=tally,
            completed_at=completed_at,
            computed_at=computed_at,
            is_stale=is_marked or not is_current,
        )
        for learner in names
        for tally, completed_at, computed_at, is_marked in [found.get(learner.user_id, never)]
    ]


def get_learners(user_ids: Sequence[int]) -> list[Learner]:
    """Return those of the users who exist, in their order. Cost: one query."""
    users = get_user_model()
    names = dict(users._default_manager.filter(pk__in=user_ids).values_list("pk", users.USERNAME_FIELD))
    return [Learner(user_id, names[user_id]) for user_id in user_ids if user_id in names]


class _Key(NamedTuple):
    """Where a learner is in an ordering."""

    user_id: int
    key: Any


class _Place(NamedTuple):
    """Where a page begins, and in which direction it goes: what a cursor holds."""

    direction: Literal["next", "previous"]
    ordering: str
    #: The value in the ordering; None: of whom there is none.
    key: Any
    user_id: int

    @classmethod
    def read(cls, cursor: str, ordering: str) -> _Place:
        """Read a cursor; it may be anything."""
        try:
            direction, of_ordering, key, user_id = json.loads(urlsafe_b64decode(cursor.encode("ascii")))
            if (direction, of_ordering) not in (("next", ordering), ("previous", ordering)):
                raise ValueError
            if type(user_id) is not int or not -1 <= user_id <= MAX_ID:
                raise ValueError
            return cls(direction, ordering, _read_key(_split(ordering)[0], key), user_id)
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise InvalidCursorError("Invalid cursor") from None


def _read_key(name: str, key: Any) -> Any:
    if name == "user_id" or (key is None and name in _COLUMNS):
        return None
    if name == "percent":
        if type(key) not in (int, float) or not 0.0 <= key <= 1.0:
            raise ValueError
        return float(key)
    if not isinstance(key, str) or "\0" in key:
        raise ValueError
    key.encode()  # half a surrogate pair is no text
    if name == "username":
        return key
    moment = datetime.fromisoformat(key)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)  # the database could not, if this cannot


def _text(place: _Place | None) -> str | None:
    if place is None:
        return None
    key = place.key.isoformat() if isinstance(place.key, datetime) else place.key
    return urlsafe_b64encode(json.dumps(place._replace(key=key), separators=(",", ":")).encode()).decode()


def _split(ordering: str) -> tuple[str, bool]:
    """Return what is sorted by, and whether downwards."""
    if ordering not in ORDERINGS:
        raise ValueError(f"{ordering!r} is none of {', '.join(ORDERINGS)}.")
    return ordering.removeprefix("-"), ordering.startswith("-")


def _key(name: str) -> str | None:
    """Name the column or annotation that is sorted by; None: the user id alone."""
    if name == "username":
        return f"user__{get_user_model().USERNAME_FIELD}"
    return _COLUMNS.get(name)


def _walk(course_key: CourseKey, filters: LearnerFilter, ordering: str, place: _Place | None, size: int) -> list[_Key]:
    """Read the learners after a place, in the direction of the walk.

    Those who have no value are read apart from the others: no index holds both in this order.
    """
    name, is_descending = _split(ordering)
    if place is not None and place.direction == "previous":
        is_descending = not is_descending
    key = _key(name)
    parts = [None, key] if name in _COLUMNS else [key]
    if is_descending:
        parts.reverse()
    if place is not None:
        parts = parts[parts.index(None if place.key is None else key) :]
    found: list[_Key] = []
    for part in parts:
        rows = _part(course_key, filters, name, part)
        if place is not None:
            rows = rows.filter(_beyond(place, part, is_descending))
            place = None
        by = ["user_id"] if part is None else [part, "user_id"]
        rows = rows.order_by(*(f"-{each}" if is_descending else each for each in by))
        values = rows.values_list("user_id", part or Value(None, output_field=IntegerField()), "key_text")
        for user_id, value, key_text in values[: size - len(found)]:
            if key_text != str(course_key):
                return []
            found.append(_Key(user_id, value))
        if len(found) == size:
            break
    return found


def _part(course_key: CourseKey, filters: LearnerFilter, name: str, key: str | None) -> QuerySet[Any]:
    """Select the learners who have a value in an ordering; no key: those who have none, or need none."""
    if name not in _COLUMNS:
        return _select(course_key, filters, with_aggregates=filters.needs_aggregates)
    if key is None:
        return _select(course_key, filters, with_aggregates=True).filter(**{f"{_COLUMNS[name]}__isnull": True})
    return _select(course_key, filters, with_aggregates=True, is_inner=True).filter(**{f"{key}__isnull": False})


def _beyond(place: _Place, key: str | None, is_descending: bool) -> Q:
    """Keep who comes after a place."""
    side = "lt" if is_descending else "gt"
    after = Q(**{f"user_id__{side}": place.user_id})
    if key is None:
        return after
    # The first condition says no more than the second, but so that an index helps.
    return Q(**{f"{key}__{side}e": place.key}) & (Q(**{f"{key}__{side}": place.key}) | Q(**{key: place.key}) & after)


def _select(
    course_key: CourseKey, filters: LearnerFilter, *, with_aggregates: bool, is_inner: bool = False
) -> QuerySet[Any]:
    """Select the active enrollments that the filters leave.

    Args:
        with_aggregates: with the columns that `_COLUMNS` names, as annotations.
        is_inner: only those who have an aggregate.
    """
    lms = get_lms()
    rows: QuerySet[Any]
    if with_aggregates:
        rows, column = join_aggregates(course_key, is_inner=is_inner)
        rows = rows.annotate(**{name: column(field) for name, field in _FIELDS.items()})
    else:
        rows = lms.enrollments().filter(course_id=course_key)
    # Most databases take a key in other letter case for the same; here it is another course.
    rows = rows.annotate(key_text=ExpressionWrapper(F("course_id"), output_field=CharField()))
    if with_aggregates:
        rows = rows.filter(_limits(filters))
    if filters.user_ids is not None:
        rows = rows.filter(user_id__in=[each for each in filters.user_ids if 0 < each <= MAX_ID])
    if filters.search:
        rows = rows.filter(user_id__in=lms.matching_learners(filters.search))
    if filters.cohort_ids is not None:
        rows = rows.filter(user_id__in=lms.cohort_members(course_key, filters.cohort_ids))
    if filters.roles:
        rows = rows.filter(user_id__in=lms.role_holders(course_key, filters.roles))
    if filters.exclude_roles:
        rows = rows.exclude(user_id__in=lms.role_holders(course_key, filters.exclude_roles))
    return rows


def _limits(filters: LearnerFilter) -> Q:
    """Compare with the stored values; who was never aggregated has done nothing, and was never active."""
    percent, activity = _COLUMNS["percent"], _COLUMNS["last_activity"]
    nothing = Q(**{f"{percent}__isnull": True})
    limits = Q()
    if filters.percent_min is not None and filters.percent_min > 0:
        limits &= Q(**{f"{percent}__gte": filters.percent_min})
    if filters.percent_max is not None:
        limits &= Q(**{f"{percent}__lte": filters.percent_max}) | (nothing if filters.percent_max >= 0 else Q())
    if filters.status == Progress.NOT_STARTED:
        limits &= Q(**{f"{percent}__lte": 0.0}) | nothing
    elif filters.status == Progress.IN_PROGRESS:
        limits &= Q(**{f"{percent}__gt": 0.0, f"{percent}__lt": 1.0})
    elif filters.status == Progress.COMPLETED:
        limits &= Q(**{f"{percent}__gte": 1.0})
    if filters.inactive_since is not None:
        limits &= Q(**{f"{activity}__lt": filters.inactive_since}) | Q(**{f"{activity}__isnull": True})
    return limits
