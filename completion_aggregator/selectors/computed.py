"""Completion computed from scratch, in memory: what a worker saves, and what a stale learner is answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from completion.models import BlockCompletion
from django.db import router
from django.db.models import CharField, ExpressionWrapper, F
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.engine import Completion, CourseTree, Tally, roll_up
from completion_aggregator.metrics import note_computed
from completion_aggregator.upsert import MomentText, read_moment


class LearnerView(NamedTuple):
    """What one learner's completion of a course is made from."""

    user_id: int
    tree: CourseTree
    #: Value and moment, as `upsert.MomentText` gives it, by block key.
    completions: Mapping[str, tuple[float, str]]


class Computed(NamedTuple):
    """One learner's completion of a course, as it is now."""

    user_id: int
    tree: CourseTree
    #: One for each of `tree.aggregators`.
    tallies: list[Tally]
    completions: dict[str, Completion]


def get_learner_views(course_key: CourseKey, user_ids: Collection[int], *, now: datetime) -> Iterator[LearnerView]:
    """Give each of the learners, enrolled or not, as far as they exist, with what they see and have done.

    Raises:
        CourseNotFoundError: the LMS has no such course.
        CourseTreeError: the LMS describes something that is not a course.
    Cost: one query for the completions, and what the LMS takes to tell who sees what.
    """
    completions = _completions(course_key, user_ids)
    for view in get_lms().course_views(course_key, user_ids, now=now):
        for user_id in view.user_ids:
            yield LearnerView(user_id, view.tree, completions.get(user_id, {}))


def compute(course_key: CourseKey, user_ids: Collection[int], *, now: datetime) -> Iterator[Computed]:
    """Compute the completion of a course for each of the learners; see `get_learner_views`."""
    note_computed()
    using = router.db_for_read(BlockCompletion)
    for user_id, tree, done in get_learner_views(course_key, user_ids, now=now):
        completions = {
            key: Completion(value, read_moment(modified, using=using)) for key, (value, modified) in done.items()
        }
        yield Computed(user_id, tree, roll_up(tree, completions), completions)


def _completions(course_key: CourseKey, user_ids: Collection[int]) -> dict[int, dict[str, tuple[float, str]]]:
    """Read completions as plain values: parsing their keys would cost more than all the rest."""
    rows = (
        BlockCompletion.objects.filter(context_key=course_key, user_id__in=user_ids)
        .annotate(key_text=ExpressionWrapper(F("block_key"), output_field=CharField()))
        .values_list("user_id", "key_text", "completion", MomentText("modified"))
    )
    found: dict[int, dict[str, tuple[float, str]]] = defaultdict(dict)
    for user_id, key, value, modified in rows:
        found[user_id][key] = value, modified
    return found
