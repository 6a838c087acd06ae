"""Which learners of a course a question is about: reading it from the parameters of a request."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext as _
from opaque_keys.edx.keys import CourseKey
from rest_framework.exceptions import ParseError

from completion_aggregator.api.parameters import Parameters
from completion_aggregator.compat import get_lms
from completion_aggregator.exceptions import NotSupportedByLMSError
from completion_aggregator.lms.base import Capability
from completion_aggregator.selectors import ORDERINGS, LearnerFilter, Progress
from completion_aggregator.selectors.roster import MAX_DAYS, MAX_SEARCH

#: Old names of roles.
ROLE_ALIASES = {"beta": "beta_testers"}


def read_filter(parameters: Parameters, course_key: CourseKey) -> LearnerFilter:
    """Read which learners of a course are meant.

    Raises:
        ParseError: a value that is none, an unknown cohort, or what the LMS does not have.
    """
    status = parameters.get_choice("status", list(Progress))
    days = parameters.get_number("inactive_days", maximum=MAX_DAYS)
    return LearnerFilter(
        user_ids=parameters.get_ids("user_ids", separators=",."),
        percent_min=parameters.get_number("percent_min", maximum=1),
        percent_max=parameters.get_number("percent_max", maximum=1),
        search=parameters.get_search("search", max_length=MAX_SEARCH),
        cohort_ids=read_cohorts(parameters, course_key),
        roles=read_roles(parameters, "roles"),
        exclude_roles=read_roles(parameters, "exclude_roles"),
        status=Progress(status) if status else None,
        inactive_since=None if days is None else timezone.now() - timedelta(days=days),
    )


def read_ordering(parameters: Parameters) -> str:
    """Read how the learners are sorted; by user id when nothing is said."""
    return parameters.get_choice("ordering", ORDERINGS) or "user_id"


def read_cohorts(parameters: Parameters, course_key: CourseKey) -> set[int] | None:
    """Read ids of cohorts of the course; None: not given, or of no effect since the course is not cohorted."""
    cohort_ids = parameters.get_ids("cohorts")
    if cohort_ids is None:
        return None
    try:
        known = get_lms().cohorts(course_key)
    except NotSupportedByLMSError as error:
        raise ParseError(str(error)) from None
    if known is not None and (not cohort_ids or cohort_ids - known.keys()):
        raise ParseError(_("cohorts names a cohort that is not one of this course."))
    return None if known is None else cohort_ids


def read_roles(parameters: Parameters, name: str) -> list[str]:
    roles = [ROLE_ALIASES.get(role, role) for role in parameters.get_names(name)]
    if roles and Capability.ROLES not in get_lms().capabilities:
        raise ParseError(str(get_lms().lacks(Capability.ROLES)))
    return roles
