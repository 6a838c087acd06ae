"""How far many learners have come in many courses, as it is stored: what learning paths ask."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from django.db.models import CharField, ExpressionWrapper, F, QuerySet
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.engine import Tally
from completion_aggregator.models import CourseAggregate, StaleCompletion
from completion_aggregator.selectors.completions import MAX_PAIRS, UNKNOWN, Learner
from completion_aggregator.selectors.structure import get_course_states


class PairCompletion(NamedTuple):
    """One learner's completion of one course, as it is stored."""

    learner: Learner
    #: Text of the key.
    course_key: str
    #: `possible` is None when the learner was never aggregated; always without `last_modified`.
    tally: Tally
    #: Whether the learner is stale in the course: what is stored may be out of date.
    is_stale: bool


def iter_pair_completions(learners: Sequence[Learner], course_keys: Sequence[CourseKey]) -> Iterator[PairCompletion]:
    """Give the completion of each of the learners in each of the courses, as far as they are actively enrolled in it.

    By learner, then by course, in the order of the arguments. All is read before the first is made.

    Cost: 4 queries and the LMS's versions, however many learners and courses.
    """
    user_ids = [learner.user_id for learner in learners]
    states = get_course_states(course_keys)
    now = timezone.now()
    ids = {state.stored.course_id: str(key) for key, state in states.items() if state.stored.course_id is not None}
    current = {str(key) for key, state in states.items() if state.is_current(now)}
    enrolled = set(_enrolled(user_ids, course_keys))
    aggregates = CourseAggregate.objects.filter(user_id__in=user_ids).exclude(computed_at=None)
    stored = {
        (user_id, ids[course_id]): values
        for user_id, course_id, *values in _narrow(aggregates, "course_id", list(ids), user_ids).values_list(
            "user_id", "course_id", *Tally._fields[:-1]
        )
        if course_id in ids
    }
    markers = StaleCompletion.objects.filter(user_id__in=user_ids)
    key_texts = list(map(str, course_keys))
    marked = set(_narrow(markers, "course_key", key_texts, user_ids).values_list("user_id", "course_key").distinct())
    for learner in learners:
        for key in key_texts:
            pair = learner.user_id, key
            if pair in enrolled:
                values = stored.get(pair)
                is_stale = values is None or pair in marked or key not in current
                yield PairCompletion(learner, key, UNKNOWN if values is None else Tally(*values), is_stale)


def _enrolled(user_ids: Sequence[int], course_keys: Sequence[CourseKey]) -> QuerySet[Any]:
    """Select pairs of user id and course key, those asked for and perhaps more."""
    # Plain texts: parsing a hundred thousand keys would cost more than all the rest.
    key_text = ExpressionWrapper(F("course_id"), output_field=CharField())
    rows = get_lms().enrollments().filter(user_id__in=user_ids).order_by().annotate(key_text=key_text)
    return _narrow(rows.values_list("user_id", "key_text"), "course_id", course_keys, user_ids)


def _narrow(rows: QuerySet[Any], name: str, courses: Collection[Any], user_ids: Collection[int]) -> QuerySet[Any]:
    """Keep the rows of some courses, unless they are so many that MySQL would then read the whole table."""
    return rows.filter(**{f"{name}__in": courses}) if len(courses) * len(user_ids) <= MAX_PAIRS else rows
