"""What is stored, and what it should be: computed from scratch."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.models import BlockAggregate, CourseAggregate
from completion_aggregator.selectors.computed import compute

Rows = dict[int, dict[str, tuple[Any, ...]]]
_VALUES = ("earned", "possible", "optional_earned", "optional_possible", "last_modified")


def stored(course_key: CourseKey) -> Rows:
    """Return all block aggregates of a course: by user id, then by block key."""
    rows: Rows = {}
    aggregates = BlockAggregate.objects.filter(block__course__course_key=str(course_key))
    for user_id, key, *values in aggregates.values_list("user_id", "block__block_key", *_VALUES):
        rows.setdefault(user_id, {})[key] = tuple(values)
    return rows


def computed(course_key: CourseKey) -> Rows:
    """Return the same, computed now for every user there is."""
    user_ids = list(get_user_model().objects.values_list("pk", flat=True))
    return {
        user_id: dict(zip(tree.aggregators, map(tuple, tallies), strict=True))
        for user_id, tree, tallies, _ in compute(course_key, user_ids, now=timezone.now())
    }


def assert_stored_is_computed(course_key: CourseKey) -> None:
    """Compare them for everybody who was ever aggregated, the course aggregates too."""
    truth = computed(course_key)
    rows = stored(course_key)
    assert rows == {user_id: truth[user_id] for user_id in rows}
    courses = CourseAggregate.objects.filter(course__course_key=str(course_key), computed_at__isnull=False)
    assert {user_id: tuple(values) for user_id, *values in courses.values_list("user_id", *_VALUES)} == {
        user_id: next(iter(truth[user_id].values())) for user_id in rows
    }
