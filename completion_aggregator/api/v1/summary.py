"""The figures of a course: how far a whole class has come."""

from __future__ import annotations

from django.utils.translation import gettext as _
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from completion_aggregator.api.common import CompletionView
from completion_aggregator.api.schema import operations
from completion_aggregator.api.throttles import ExpensiveThrottle
from completion_aggregator.api.v1.views import add_migration
from completion_aggregator.selectors import get_course_summary
from completion_aggregator.serializers import CourseSummarySerializer


class CourseSummaryView(CompletionView):
    """How far the learners of a course have come: how many, how they are spread, by section and by cohort.

    For staff and the course's own staff. All active enrollments are counted, whatever their roles, as in the list of
    everybody; worked out for this answer from what is stored.
    """

    throttle_classes = (ExpensiveThrottle,)

    @operations.get_course_summary
    def get(self, request: Request, course_key: str) -> Response:
        key = self.get_course_key(course_key)
        if not self.is_staff(key):
            raise PermissionDenied(_("Only staff may see the figures of a course."))
        return add_migration(Response(CourseSummarySerializer(get_course_summary(key)).data))
