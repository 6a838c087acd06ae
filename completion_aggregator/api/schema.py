"""What OpenAPI tells of the views: parameters, shapes, statuses, and examples as the demo answers them.

Serializers here describe and do nothing else: answers are made by completion_aggregator.serializers, parameters are
read by completion_aggregator.api.parameters. `make schema` writes docs/reference/openapi.yaml from this module.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from completion_aggregator.api import examples
from completion_aggregator.api.parameters import MAX_IDS
from completion_aggregator.api.parsers import MAX_BODY
from completion_aggregator.conf import conf
from completion_aggregator.serializers import EXTRA_FIELDS

BLOCK_TYPES = sorted(conf.BLOCK_TYPES)
FIELDS = [*BLOCK_TYPES, *sorted(EXTRA_FIELDS)]

# Shapes


class Completion(serializers.Serializer[Any]):
    """How much of what counts is done. Unit of earned and possible: blocks."""

    earned = serializers.FloatField(min_value=0)
    possible = serializers.FloatField(
        min_value=0, allow_null=True, help_text="null: the learner was never aggregated, in an answer about everybody"
    )
    percent = serializers.FloatField(min_value=0, max_value=1, help_text="earned / possible; 1.0 when possible is 0")


class BlockCompletion(serializers.Serializer[Any]):
    """One learner's completion of one block."""

    course_key = serializers.CharField()
    block_key = serializers.CharField()
    completion = Completion()
    optional_completion = Completion(required=False, help_text="with include_optional")


class CourseCompletion(serializers.Serializer[Any]):
    """One learner's completion of one course, or of the root block."""

    block: type[BlockCompletion] = BlockCompletion
    course_key = serializers.CharField()
    completion = Completion()
    optional_completion = Completion(required=False, help_text="with include_optional")
    username = serializers.CharField(
        required=False, help_text="when requested, and always when the answer is about everybody"
    )
    mean = serializers.FloatField(
        min_value=0, max_value=1, required=False, help_text="when requested: mean percent of the course's learners"
    )

    def get_fields(self) -> dict[str, Any]:
        lists = {
            name: self.block(many=True, required=False, help_text="when requested; in course order")
            for name in BLOCK_TYPES
        }
        return {**super().get_fields(), **lists}


class Pagination(serializers.Serializer[Any]):
    """Where the page stands."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(min_value=0, required=False, help_text="of all results; not with cursor")
    num_pages = serializers.IntegerField(min_value=0, required=False, help_text="not with cursor")


class Migration(serializers.Serializer[Any]):
    """How far the rows of openedx-completion-aggregator 4.5 are copied. Unit: rows."""

    copied = serializers.IntegerField(min_value=0)
    total = serializers.IntegerField(min_value=0, allow_null=True, help_text="null: the copy has not begun")


class CourseCompletionPage(serializers.Serializer[Any]):
    """A page of results."""

    pagination = Pagination()
    results = CourseCompletion(many=True)
    migration = Migration(required=False, help_text="in answers about everybody, as long as rows are left to copy")


class MeanCompletion(serializers.Serializer[Any]):
    """Mean over the selected learners. Unit of earned and possible: blocks."""

    earned = serializers.FloatField(min_value=0, help_text="learners who were never aggregated have earned nothing")
    possible = serializers.FloatField(min_value=0, help_text="mean over those who were aggregated")
    percent = serializers.FloatField(min_value=0, max_value=1, help_text="earned / possible; 0.0 when possible is 0")


class StatsFilters(serializers.Serializer[Any]):
    """What was applied."""

    cohorts = serializers.ListField(
        child=serializers.IntegerField(), allow_null=True, help_text="null: none given, or the course is not cohorted"
    )
    exclude_roles = serializers.ListField(child=serializers.CharField())


class CourseStats(serializers.Serializer[Any]):
    """The mean of one course."""

    course_key = serializers.CharField()
    mean_completion = MeanCompletion()
    mean = serializers.FloatField(
        min_value=0, max_value=1, required=False, help_text="when requested: mean percent of the course's learners"
    )
    filters = StatsFilters(required=False, help_text="when there were any")


class CourseStatsAnswer(serializers.Serializer[Any]):
    """Always one result."""

    results = CourseStats(many=True)
    migration = Migration(required=False, help_text="as long as rows are left to copy")


class Error(serializers.Serializer[Any]):
    """What is wrong, in a sentence."""

    detail = serializers.CharField()


class CompletionV0(Completion):
    """As in version 1, and the percent by its old name."""

    ratio = serializers.FloatField(min_value=0, max_value=1, help_text="equals percent")


class BlockCompletionV0(BlockCompletion):
    """One learner's completion of one block."""

    completion = CompletionV0()


class CourseCompletionV0(CourseCompletion):
    """One learner's completion of one course."""

    block = BlockCompletionV0
    completion = CompletionV0()


class CourseCompletionPageV0(serializers.Serializer[Any]):
    """A page of results."""

    pagination = Pagination()
    results = CourseCompletionV0(many=True)


class SubmittedCompletion(serializers.Serializer[Any]):
    """How much of the block is done."""

    completion = serializers.FloatField(min_value=0, max_value=1)


# Parameters


def _names(*names: str) -> dict[str, Any]:
    # A text, not an array: many generated clients repeat the parameter for each item instead of putting commas.
    one = rf"\s*({'|'.join(names)})?\s*"
    return {"type": "string", "pattern": f"^{one}(,{one})*$"}


def _in_query(name: str, schema: dict[str, Any], description: str) -> OpenApiParameter:
    return OpenApiParameter(name, schema, description=description)


def _in_path(name: str, description: str) -> OpenApiParameter:
    schema = {"type": "string", "minLength": 1}
    return OpenApiParameter(name, schema, OpenApiParameter.PATH, description=description)


FLAG = {"type": "boolean"}
COURSE_KEY = _in_path(
    "course_key", "`course-v1:Org+Course+Run`, or `Org/Course/Run`; percent-encoded or not, slashes included."
)
USERNAME = _in_query(
    "username",
    {"type": "string"},
    "Whom the question is about: oneself (one's own name in any letter case, or `me`); for staff, anybody.",
)
REQUESTED_FIELDS = _in_query(
    "requested_fields",
    _names(*FIELDS),
    f"What to tell besides `completion`, separated by commas: {', '.join(f'`{name}`' for name in FIELDS)}.",
)
INCLUDE_OPTIONAL = _in_query("include_optional", FLAG, "Adds `optional_completion` wherever there is `completion`.")
MOBILE_ONLY = _in_query("mobile_only", FLAG, "Keeps the courses that are flagged as available on mobile.")
PAGE = _in_query(
    "page",
    {"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "const": "last"}]},
    "Number of the page, from 1, or `last`.",
)
PAGE_SIZE = _in_query(
    "page_size",
    {"type": "integer", "minimum": 1, "maximum": 10_000},
    "Results to a page; what is no positive number is as if absent.",
)
CURSOR = _in_query(
    "cursor",
    {"type": "string"},
    "Where the answer is about everybody, walks through them: empty at first, then what `next` holds. Nothing is "
    "counted, and `page` has no effect.",
)
USER_IDS = _in_query(
    "user_ids",
    {"type": "string", "pattern": r"^([0-9]+([,.][0-9]+)*)?$"},
    f"Narrows the answer down to these users: at most {MAX_IDS:,} ids, separated by commas.",
)
ROOT_BLOCK = _in_query(
    "root_block",
    {"type": "string"},
    "Usage key of a block of the course: `completion` is that block's, and lists hold that block and what is under it.",
)
COHORTS = _in_query(
    "cohorts",
    {"type": "string", "pattern": r"^([0-9]+(,[0-9]+)*)?$"},
    "Ids of cohorts of the course, separated by commas: only their members. Not for learners.",
)
EXCLUDE_ROLES = _in_query(
    "exclude_roles",
    {"type": "string"},
    "Roles, separated by commas, as the LMS calls them: leaves out whoever holds one of them in the course.",
)


class CourseQuestion(serializers.Serializer[Any]):
    """The parameters of the query, except for those of the page; null is as if absent. Others are ignored."""

    username = serializers.CharField(required=False, allow_null=True)
    requested_fields = serializers.ListField(
        child=serializers.RegexField(f"^({'|'.join(FIELDS)})$"), required=False, allow_null=True
    )
    include_optional = serializers.BooleanField(required=False, allow_null=True)
    user_ids = serializers.ListField(
        child=serializers.IntegerField(), max_length=MAX_IDS, required=False, allow_null=True
    )
    root_block = serializers.CharField(required=False, allow_null=True)


# Operations

_ERRORS = {
    400: "A parameter is no sensible value, or names what the LMS does not have.",
    401: "No valid credentials.",
    403: "Not allowed; with a session, also a missing CSRF token.",
    404: "No course key; no such user, for staff; the learner is not enrolled; no such block or page.",
    406: "Another format than JSON was asked for.",
    413: f"The body has more than {MAX_BODY:,} bytes.",
    415: "The body is not application/json.",
}
READING = (400, 401, 403, 404, 406)
WRITING = (*READING, 413, 415)
CHALLENGE = OpenApiParameter(
    "WWW-Authenticate", str, OpenApiParameter.HEADER, response=[401], description="How to authenticate."
)


def _errors(statuses: tuple[int, ...]) -> dict[int, OpenApiResponse]:
    return {
        status: OpenApiResponse(
            Error,
            _ERRORS[status],
            [examples.ERRORS[status].as_response()] if status in examples.ERRORS else [],
        )
        for status in statuses
    }


def _answer(shape: Any, description: str, *shown: examples.Example) -> OpenApiResponse:
    return OpenApiResponse(shape, description, [example.as_response() for example in shown])


list_course_completions = extend_schema(
    operation_id="listCourseCompletions",
    summary="One learner's courses",
    tags=["completion"],
    parameters=[USERNAME, REQUESTED_FIELDS, INCLUDE_OPTIONAL, MOBILE_ONLY, PAGE, PAGE_SIZE, CHALLENGE],
    responses={
        200: _answer(CourseCompletionPage, "Ordered by course key.", examples.COURSES_OF_A_LEARNER),
        **_errors(READING),
    },
)
get_course_completion = extend_schema(
    operation_id="getCourseCompletion",
    summary="One learner's course, or everybody in it",
    tags=["completion"],
    parameters=[
        *(COURSE_KEY, USERNAME, REQUESTED_FIELDS, INCLUDE_OPTIONAL, USER_IDS, ROOT_BLOCK),
        *(PAGE, PAGE_SIZE, CURSOR, CHALLENGE),
    ],
    responses={
        200: _answer(
            CourseCompletionPage,
            "One result about one learner; about everybody: ordered by user id.",
            *(examples.OWN_SECTION, examples.EVERYBODY, examples.WALK),
        ),
        **_errors(READING),
    },
)
query_course_completion = extend_schema(
    operation_id="queryCourseCompletion",
    summary="The same, with a body",
    tags=["completion"],
    parameters=[COURSE_KEY, PAGE, PAGE_SIZE, CURSOR, CHALLENGE],
    request=CourseQuestion,
    responses={200: _answer(CourseCompletionPage, "As of the query.", examples.CERTAIN_LEARNERS), **_errors(WRITING)},
    examples=[examples.CERTAIN_LEARNERS.as_request()],
)
get_course_stats = extend_schema(
    operation_id="getCourseStats",
    summary="The mean of one course",
    tags=["completion"],
    parameters=[
        *(COURSE_KEY, COHORTS, EXCLUDE_ROLES, CHALLENGE),
        _in_query("requested_fields", _names(*sorted(EXTRA_FIELDS)), "`mean` adds it; `username` has no effect."),
    ],
    responses={
        200: _answer(CourseStatsAnswer, "Zeros for a course that nobody knows.", examples.MEAN_OF_A_COHORT),
        **_errors(READING),
    },
)

list_course_completions_v0 = extend_schema(
    operation_id="listCourseCompletionsV0",
    summary="One learner's courses",
    tags=["v0"],
    deprecated=True,
    parameters=[USERNAME, REQUESTED_FIELDS, INCLUDE_OPTIONAL, MOBILE_ONLY, PAGE, PAGE_SIZE, CHALLENGE],
    responses={200: _answer(CourseCompletionPageV0, "Ordered by course key."), **_errors(READING)},
)
get_course_completion_v0 = extend_schema(
    operation_id="getCourseCompletionV0",
    summary="One learner's course",
    tags=["v0"],
    deprecated=True,
    parameters=[COURSE_KEY, USERNAME, REQUESTED_FIELDS, INCLUDE_OPTIONAL, CHALLENGE],
    responses={200: _answer(CourseCompletionV0, "The result by itself.", examples.COURSE_V0), **_errors(READING)},
)
submit_block_completion_v0 = extend_schema(
    operation_id="submitBlockCompletionV0",
    summary="Submit a completion of one's own",
    tags=["v0"],
    deprecated=True,
    parameters=[COURSE_KEY, _in_path("block_key", "Usage key of a block of the course."), CHALLENGE],
    request=SubmittedCompletion,
    responses={
        200: OpenApiResponse(None, "There was a completion of this block; it is replaced."),
        201: OpenApiResponse(None, "The first completion of this block."),
        **_errors(WRITING),
    },
)
