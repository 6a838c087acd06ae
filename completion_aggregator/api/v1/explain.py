"""GET explain/<course_key>/: why is the percent what it is?"""

from __future__ import annotations

import logging

from django.utils.translation import gettext as _
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from completion_aggregator.api.common import CompletionView, UnavailableError
from completion_aggregator.api.schema import operations
from completion_aggregator.api.throttles import ExpensiveThrottle
from completion_aggregator.exceptions import CompletionAggregatorError, CourseNotFoundError, UnknownBlockError
from completion_aggregator.selectors import explain_completion
from completion_aggregator.serializers import ExplanationSerializer
from completion_aggregator.utils import without_text

log = logging.getLogger(__name__)


class CompletionExplanationView(CompletionView):
    """Why one learner has come as far in a course as the learner has: every block, and what it counts.

    Computed for this answer; nothing is saved.
    """

    throttle_classes = (ExpensiveThrottle,)

    @operations.explain_completion
    def get(self, request: Request, course_key: str) -> Response:
        key = self.get_course_key(course_key)
        root_block = self.get_root_block(key)
        user = self.get_requested_user(key)
        if user is None:
            raise ParseError(_("Name a learner in username."))
        self.check_enrolled(user, key)
        try:
            explanation = explain_completion(user, key, root_block=root_block)
        except CourseNotFoundError:
            raise NotFound(_("There is no such course.")) from None
        except UnknownBlockError:
            raise NotFound(_("The course has no such block.")) from None
        except CompletionAggregatorError as error:
            log.warning("Course %s cannot be explained", key, exc_info=without_text(error))
            raise UnavailableError from None
        return Response(ExplanationSerializer(explanation, for_staff=self.is_staff(key)).data)
