"""The endpoints of version 1 that openedx-completion-aggregator has, too. None of them changes anything."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.utils.translation import gettext as _
from opaque_keys.edx.keys import CourseKey
from rest_framework.exceptions import NotFound, ParseError, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from completion_aggregator.api.common import CompletionView, RosterPagination, UserEnrollments
from completion_aggregator.api.filters import read_cohorts, read_filter, read_ordering, read_roles
from completion_aggregator.api.schema import operations
from completion_aggregator.compat import get_lms
from completion_aggregator.exceptions import NotSupportedByLMSError, UnknownBlockError
from completion_aggregator.selectors import (
    find_migration,
    get_course_completion,
    get_course_means,
    get_course_stats,
    get_learner_completions,
)
from completion_aggregator.selectors.completions import iter_course_completions
from completion_aggregator.selectors.roster import get_learners, get_roster_rows, select_learner_ids
from completion_aggregator.selectors.structure import get_block_names
from completion_aggregator.serializers import EXTRA_FIELDS, CourseCompletionStatsSerializer


def add_migration(response: Response) -> Response:
    """Tell in a course-wide answer how far the rows of 4.5 are copied, as long as they are not."""
    migration = find_migration()
    if migration is not None:
        response.data["migration"] = migration._asdict()
    return response


class CompletionListView(CompletionView):
    """One learner's completion of each course that the learner is actively enrolled in."""

    @operations.list_course_completions
    def get(self, request: Request) -> Response:
        requested_fields = self.get_requested_fields()
        self.get_include_optional()
        user = self.get_requested_user() or self.requester
        enrollments = UserEnrollments(user).get_enrollments()
        if self.parameters.get_flag("mobile_only"):
            try:
                enrollments = enrollments.filter(course_id__in=get_lms().mobile_courses())
            except NotSupportedByLMSError as error:
                raise ParseError(str(error)) from None
        course_keys = self.paginate(enrollments.values_list("course_id", flat=True))
        block_types = [name for name in requested_fields if name not in EXTRA_FIELDS]
        completions = get_learner_completions(user, course_keys, block_types=block_types, with_dates=False)
        return self.respond(completions, course_keys, requested_fields)


class CompletionDetailView(CompletionView):
    """One learner's completion of one course; for staff who name nobody, everybody's."""

    extra_fields = EXTRA_FIELDS | {"as_of", "names"}

    @operations.get_course_completion
    def get(self, request: Request, course_key: str) -> Response:
        return self._answer(self.get_course_key(course_key))

    @operations.query_course_completion
    def post(self, request: Request, course_key: str) -> Response:
        """The same question, for parameters that are too long for a query."""
        return self._answer(self.get_course_key(course_key))

    def _answer(self, course_key: CourseKey) -> Response:
        requested_fields = self.get_requested_fields()
        self.get_include_optional()
        user_ids = self.parameters.get_ids("user_ids", separators=",.")
        blocks = {
            "block_types": [name for name in requested_fields if name not in self.extra_fields],
            "root_block": self.get_root_block(course_key),
            "with_dates": False,
        }
        user = self.get_requested_user(course_key)
        try:
            if user is None:
                return self._answer_for_all(course_key, {*requested_fields, "username"}, blocks)
            return self._answer_for_one(course_key, user, user_ids, requested_fields, blocks)
        except UnknownBlockError:
            raise NotFound(_("The course has no such block.")) from None

    def _answer_for_one(
        self,
        course_key: CourseKey,
        user: AbstractBaseUser,
        user_ids: set[int] | None,
        requested_fields: Collection[str],
        blocks: dict[str, Any],
    ) -> Response:
        self.check_enrolled(user, course_key)
        users = self.paginate([user] if user_ids is None or user.pk in user_ids else [])
        completions = [get_course_completion(each, course_key, **blocks) for each in users]
        extras = self._extras(course_key, [each.pk for each in users], requested_fields)
        return self.respond(completions, [course_key], requested_fields, **extras)

    def _answer_for_all(
        self,
        course_key: CourseKey,
        requested_fields: Collection[str],
        blocks: dict[str, Any],
    ) -> Response:
        user_ids = self._page(course_key)
        completions = iter_course_completions(course_key, get_learners(user_ids), **blocks)
        extras = self._extras(course_key, user_ids, {*requested_fields, "user_id"})
        return add_migration(self.respond(completions, [course_key], requested_fields, **extras))

    def _page(self, course_key: CourseKey) -> list[int]:
        """Return the user ids of the page that is asked for."""
        filters = read_filter(self.parameters, course_key)
        ordering = read_ordering(self.parameters)
        if RosterPagination.cursor_query_param in self.request.query_params:
            paginator = RosterPagination()
            self.paginator = paginator
            return paginator.paginate_roster(self.request, course_key, filters, ordering)
        # Names are read for the page, not for those before it, too.
        rows = select_learner_ids(course_key, filters, ordering=ordering)
        page = self.paginate(rows)
        if {row.key_text for row in page} - {str(course_key)}:
            # Most databases take a key in other letter case for the same; here it is a course without enrollments.
            page = self.paginate(rows.none())
        return [row.user_id for row in page]

    def _extras(self, course_key: CourseKey, user_ids: Sequence[int], fields: Collection[str]) -> dict[str, Any]:
        """Read what the fields need that a completion does not tell; see CourseCompletionSerializer."""
        details: dict[int, dict[str, Any]] = {user_id: {} for user_id in user_ids}
        if "user_id" in fields:
            details = {user_id: {"user_id": user_id} for user_id in user_ids}
        if "as_of" in fields:
            for row in get_roster_rows(course_key, user_ids):
                as_of = {"computed_at": row.computed_at, "is_stale": row.is_stale}
                details[row.learner.user_id]["as_of"] = as_of
        if "names" not in fields:
            return {"details": details}
        names = get_lms().learner_names(user_ids)
        for user_id in user_ids:
            details[user_id]["name"] = names.get(user_id, "")
        return {"details": details, "display_names": get_block_names(course_key, fields)}


class CourseLevelCompletionStatsView(CompletionView):
    """The mean completion of a course."""

    @operations.get_course_stats
    def get(self, request: Request, course_key: str) -> Response:
        key = self.get_course_key(course_key)
        requested_fields = self.parameters.get_names("requested_fields", allowed=EXTRA_FIELDS)
        self._check_permission(key, asks_for_cohorts="cohorts" in self.request.query_params)
        cohorts = self.parameters.get_ids("cohorts")
        cohort_ids = read_cohorts(self.parameters, key)
        roles = read_roles(self.parameters, "exclude_roles")
        filters = None
        if cohorts is not None or roles:
            filters = {"cohorts": None if cohort_ids is None else sorted(cohort_ids), "exclude_roles": roles}
        stats = get_course_stats(key, cohort_ids=cohort_ids, exclude_roles=roles)
        mean = get_course_means([key])[key] if "mean" in requested_fields else None
        serializer = CourseCompletionStatsSerializer(stats, course_key=key, filters=filters, mean=mean)
        return add_migration(Response({"results": [serializer.data]}))

    def _check_permission(self, course_key: CourseKey, *, asks_for_cohorts: bool) -> None:
        if self.is_staff(course_key):
            return
        if not UserEnrollments(self.requester).is_enrolled(course_key):
            raise PermissionDenied(_("Only staff and the learners of this course may see its mean."))
        if asks_for_cohorts:
            # A cohort of one would give a person away.
            raise PermissionDenied(_("Only staff may see the mean of a cohort."))
