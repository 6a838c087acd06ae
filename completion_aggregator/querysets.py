"""Named filters of the tables; models.py makes them the default managers' methods."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet


class StaleCompletionQuerySet(QuerySet[Any]):
    """Filters of markers."""

    def of(self, course_key: str, user_ids: Collection[int]) -> StaleCompletionQuerySet:
        return self.filter(course_key=course_key, user_id__in=user_ids)

    def due(self, now: datetime, max_attempts: int) -> StaleCompletionQuerySet:
        """Keep those that a worker may take: not waiting after a failure, not given up."""
        return self.filter(Q(not_before=None) | Q(not_before__lte=now), attempts__lt=max_attempts)


class CourseAggregateQuerySet(QuerySet[Any]):
    """Filters of course aggregates."""

    def of(self, course_key: str, user_ids: Collection[int]) -> CourseAggregateQuerySet:
        return self.filter(course__course_key=course_key, user_id__in=user_ids)
