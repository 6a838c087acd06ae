"""Completion computed from scratch, in memory: what a worker saves, and what a stale learner is answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import NamedTuple

from completion.models import BlockCompletion
from django.db.models import CharField, ExpressionWrapper, F
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.engine import Completion, CourseTree, Tally, roll_up


class Computed(NamedTuple):
    """One learner's completion of a course, as it is now."""

    user_id: int
    tree: CourseTree
    #: One for each of `tree.aggregators`.
    tallies: list[Tally]
    completions: dict[str, Completion]


def compute(course_key: CourseKey, user_ids: Collection[int], *, now: datetime) -> Iterator[Computed]:
    """Compute the completion of a course for each of the learners, enrolled or not, as far as they exist.

    Raises:
        CourseNotFoundError: the LMS has no such course.
        CourseTreeError: the LMS describes something that is not a course.
    Cost: one query for the completions, and what the LMS takes to tell who sees what.
    """
    completions = _completions(course_key, user_ids)
    for view in get_lms().course_views(course_key, user_ids, now=now):
        for user_id in view.user_ids:
            done = completions.get(user_id, {})
            yield Computed(user_id, view.tree, roll_up(view.tree, done), done)


def _completions(course_key: CourseKey, user_ids: Collection[int]) -> dict[int, dict[str, Completion]]:
    """Read completions as plain values: parsing their keys would cost more than all the rest."""
    rows = (
        BlockCompletion.objects.filter(context_key=course_key, user_id__in=user_ids)
        .annotate(key_text=ExpressionWrapper(F("block_key"), output_field=CharField()))
        .values_list("user_id", "key_text", "completion", "modified")
    )
    found: dict[int, dict[str, Completion]] = defaultdict(dict)
    for user_id, key, value, modified in rows:
        found[user_id][key] = Completion(value, modified)
    return found
