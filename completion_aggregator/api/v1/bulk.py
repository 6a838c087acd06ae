"""POST bulk/: many learners in many courses at once."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q
from django.utils.translation import gettext as _
from opaque_keys.edx.keys import CourseKey
from rest_framework.exceptions import ParseError, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from completion_aggregator.api.common import ME, CompletionView
from completion_aggregator.api.parameters import MAX_COURSES, MAX_USERS
from completion_aggregator.api.schema import operations
from completion_aggregator.api.throttles import ExpensiveThrottle
from completion_aggregator.api.v1.views import add_migration
from completion_aggregator.compat import get_lms
from completion_aggregator.exceptions import InvalidKeyError
from completion_aggregator.selectors import Learner, iter_pair_completions
from completion_aggregator.serializers import pair_fields
from completion_aggregator.utils import MAX_ID, parse_course_key


class BulkCompletionView(CompletionView):
    """The completion of each of the learners in each of the courses that the learner is actively enrolled in.

    What is stored is served as it is; it may lag. Nothing is computed, nothing is saved.
    """

    throttle_classes = (ExpensiveThrottle,)

    @operations.query_completions_in_bulk
    def post(self, request: Request) -> Response:
        include_optional = self.get_include_optional()
        course_keys = self._course_keys()
        names, ids = self._users()
        self._check_permission(names, ids, course_keys)
        learners = self._learners(names, ids, course_keys)
        known = [learners[user_id] for user_id in sorted(learners)]
        found = {learner.username for learner in known}
        pairs = iter_pair_completions(known, course_keys)
        answer = {
            "results": [pair_fields(pair, include_optional=include_optional) for pair in pairs],
            "unknown_users": [name for name in names if name not in found],
            "unknown_user_ids": sorted(ids - learners.keys()),
        }
        return add_migration(Response(answer))

    def _course_keys(self) -> list[CourseKey]:
        texts = self.parameters.get_names("course_keys")
        if not texts:
            raise ParseError(_("Name courses in course_keys."))
        if len(texts) > MAX_COURSES:
            raise ParseError(_("course_keys may name at most {limit} at once.").format(limit=MAX_COURSES))
        try:
            keys = [parse_course_key(text) for text in texts]
        except InvalidKeyError:
            raise ParseError(_("course_keys names something that is no course key.")) from None
        return list(dict.fromkeys(keys))

    def _users(self) -> tuple[list[str], set[int]]:
        """Return usernames, the requester's own as it is written, and user ids."""
        own = self.requester.get_username()
        given = self.parameters.get_names("users")
        ids = self.parameters.get_ids("user_ids") or set()
        if len(given) + len(ids) > MAX_USERS:
            raise ParseError(_("users and user_ids may name at most {limit} at once.").format(limit=MAX_USERS))
        names = dict.fromkeys(own if name.casefold() in (ME, own.casefold()) else name for name in given)
        return list(names), ids

    def _check_permission(
        self, names: Collection[str], ids: Collection[int], course_keys: Collection[CourseKey]
    ) -> None:
        own = {self.requester.get_username()}, {self.requester.pk}
        is_named = bool(names or ids)
        if is_named and {*names} <= own[0] and {*ids} <= own[1]:
            return
        if not self.is_staff() and {*course_keys} - {*get_lms().staff_courses(self.requester)}:
            raise PermissionDenied(_("Only staff may ask for others; ask with your own username."))
        if not is_named:
            raise ParseError(_("Name learners in users or user_ids."))

    def _learners(
        self, names: Collection[str], ids: Collection[int], course_keys: Collection[CourseKey]
    ) -> dict[int, Learner]:
        """Return those who exist, by user id; for whoever is not staff, oneself and who is in one of the courses."""
        users = get_user_model()
        visible = users._default_manager.all()
        if not self.is_staff():
            enrolled = get_lms().enrollments().filter(course_id__in=course_keys)
            visible = visible.filter(Q(pk=self.requester.pk) | Q(pk__in=enrolled.values("user_id")))
        lookups: list[dict[str, Any]] = [
            {f"{users.USERNAME_FIELD}__in": names},
            {"pk__in": [each for each in ids if 0 < each <= MAX_ID]},
        ]
        found: dict[int, Learner] = {}
        for lookup in lookups:
            rows = visible.filter(**lookup).values_list("pk", users.USERNAME_FIELD)
            # Some databases take a name in other letter case for the same.
            found |= {pk: Learner(pk, name) for pk, name in rows if pk in ids or name in names}
        return found
