"""POST refresh/<course_key>/: recompute now. The only request of version 1 that changes something."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from opaque_keys.edx.keys import CourseKey
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from completion_aggregator.api.common import CompletionView, UnavailableError
from completion_aggregator.api.schema import operations
from completion_aggregator.api.throttles import RefreshThrottle
from completion_aggregator.compat import get_lms
from completion_aggregator.selectors import get_course_completion
from completion_aggregator.selectors.explain import find_stored
from completion_aggregator.serializers import EXTRA_FIELDS
from completion_aggregator.services import aggregate, mark_course, mark_learners


# Aggregating holds locks only for short transactions of its own, and tries again what fails over others' locks.
@method_decorator(transaction.non_atomic_requests, name="dispatch")
class CompletionRefreshView(CompletionView):
    """Recomputes one learner in a course and saves it; for staff who name nobody, marks everybody in the course."""

    throttle_classes = (RefreshThrottle,)

    @operations.refresh_completion
    def post(self, request: Request, course_key: str) -> Response:
        key = self.get_course_key(course_key)
        requested_fields = self.get_requested_fields()
        self.get_include_optional()
        user = self.get_requested_user(key)
        if user is not None:
            self.check_enrolled(user, key)
        if key not in get_lms().course_versions([key]):
            raise NotFound(_("There is no such course."))
        if user is None:
            return _queued(mark_course(key))
        return self._refresh(user, key, requested_fields)

    def _refresh(self, user: AbstractBaseUser, course_key: CourseKey, requested_fields: list[str]) -> Response:
        report = aggregate(course_key, [user.pk])
        if report.failed:
            raise UnavailableError
        if report.skipped:
            # Somebody else is computing the learner, and may have begun before the newest completion.
            mark_learners(course_key, [user.pk])
            return _queued(1)
        block_types = [name for name in requested_fields if name not in EXTRA_FIELDS]
        completion = get_course_completion(user, course_key, block_types=block_types, with_dates=False)
        (result,) = self.serialize([completion], [course_key], requested_fields)
        stored = find_stored(user.pk, course_key)
        return Response({**result, "computed_at": stored and stored.computed_at})


def _queued(learners: int) -> Response:
    """Tell that a worker will come to so many learners."""
    return Response({"queued": learners}, status=status.HTTP_202_ACCEPTED)
