"""Every operation: parameters, statuses, examples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from completion_aggregator.api.parsers import MAX_BODY
from completion_aggregator.api.schema import examples, shapes
from completion_aggregator.api.schema import parameters as p

READING = (400, 401, 403, 404, 406)
WITH_BODY = (*READING, 413, 415)
_ERRORS = {
    400: "A parameter is no sensible value, or names what the LMS does not have.",
    401: "No valid credentials.",
    403: "Not allowed; with a session, also a missing CSRF token.",
    404: "No course key; no such user, for staff; the learner is not enrolled; no such block or page.",
    406: "Another format than JSON was asked for.",
    413: f"The body has more than {MAX_BODY:,} bytes.",
    415: "The body is not application/json.",
    429: "Asked too often.",
    503: "The completion cannot be computed at the moment.",
}


def _operation(
    operation_id: str,
    summary: str,
    parameters: Sequence[OpenApiParameter],
    answers: dict[Any, OpenApiResponse],
    *,
    errors: Collection[int] = READING,
    version: int = 1,
    **options: Any,
) -> Callable[[Any], Any]:
    """Return the decorator of a method of a view, whose docstring is the operation's description."""
    told = {status: _answer(shapes.Error, _ERRORS[status], *_shown(status)) for status in errors}
    return extend_schema(
        operation_id=operation_id,
        summary=summary,
        tags=["completion" if version else "v0"],
        deprecated=not version,
        parameters=[*parameters, p.CHALLENGE],
        responses={**answers, **told},
        **options,
    )


def _answer(shape: Any, description: str, *shown: examples.Example) -> OpenApiResponse:
    return OpenApiResponse(shape, description, [example.as_response() for example in shown])


def _shown(status: int) -> list[examples.Example]:
    return [examples.ERRORS[status]] if status in examples.ERRORS else []


def _health(
    operation_id: str, summary: str, shape: Any, shown: examples.Example, *, unavailable: str = ""
) -> Callable[[Any], Any]:
    """Return the decorator of a question that anybody may ask."""
    return extend_schema(
        operation_id=operation_id,
        summary=summary,
        tags=["health"],
        responses={
            200: _answer(shape, "It is.", shown),
            406: _answer(shapes.Error, _ERRORS[406]),
            **({503: _answer(shapes.Error, unavailable)} if unavailable else {}),
        },
    )


get_health = _health("getHealth", "Does this process answer?", shapes.Health, examples.HEALTH)
get_readiness = _health(
    "getReadiness",
    "Does this process reach the database?",
    shapes.Health,
    examples.READINESS,
    unavailable="The database does not answer.",
)
get_lag = _health(
    "getLag",
    "Does the aggregation keep up?",
    shapes.Lag,
    examples.LAG,
    unavailable="A marker has been due for longer than COMPLETION_AGGREGATOR_MAX_LAG, or the database does not answer.",
)
list_course_completions = _operation(
    "listCourseCompletions",
    "One learner's courses",
    [p.USERNAME, p.REQUESTED_FIELDS, p.INCLUDE_OPTIONAL, p.MOBILE_ONLY, p.PAGE, p.PAGE_SIZE],
    {200: _answer(shapes.CourseCompletionPage, "Ordered by course key.", examples.COURSES_OF_A_LEARNER)},
)
get_course_completion = _operation(
    "getCourseCompletion",
    "One learner's course, or everybody in it",
    [
        *(p.COURSE_KEY, p.USERNAME, p.DETAIL_FIELDS, p.INCLUDE_OPTIONAL, p.ROOT_BLOCK, *p.FILTERS),
        *(p.PAGE, p.PAGE_SIZE, p.CURSOR),
    ],
    {
        200: _answer(
            shapes.CourseCompletionPage,
            "One result about one learner; about everybody: in the order that is asked for.",
            *(examples.OWN_SECTION, examples.EVERYBODY, examples.WALK, examples.CLOSE_TO_THE_END),
        )
    },
)
query_course_completion = _operation(
    "queryCourseCompletion",
    "The same, with a body",
    [p.COURSE_KEY, p.PAGE, p.PAGE_SIZE, p.CURSOR],
    {200: _answer(shapes.CourseCompletionPage, "As of the query.", examples.CERTAIN_LEARNERS)},
    errors=WITH_BODY,
    request=shapes.CourseQuestion,
    examples=[examples.CERTAIN_LEARNERS.as_request()],
)
export_course_completion = _operation(
    "exportCourseCompletion",
    "Everybody in a course, as a file",
    [p.COURSE_KEY, p.EXPORT_TYPE, p.DETAIL_FIELDS, p.INCLUDE_OPTIONAL, *p.FILTERS, p.RETRY_AFTER],
    {
        (200, "text/csv"): _answer(str, "A line for each learner, streamed.", examples.EXPORT),
        (200, "application/jsonl"): _answer(str, "A line for each learner, streamed."),
    },
    errors=(400, 401, 403, 404, 429),
)
get_course_stats = _operation(
    "getCourseStats",
    "The mean of one course",
    [p.COURSE_KEY, p.COHORTS, p.EXCLUDE_ROLES, p.STATS_FIELDS],
    {200: _answer(shapes.CourseStatsAnswer, "Zeros for a course that nobody knows.", examples.MEAN_OF_A_COHORT)},
)
get_course_summary = _operation(
    "getCourseSummary",
    "How far a class has come",
    [p.COURSE_KEY, p.RETRY_AFTER],
    {200: _answer(shapes.CourseSummary, "Zeros for a course that nobody knows.", examples.CLASS)},
    errors=(*READING, 429),
)
explain_completion = _operation(
    "explainCompletion",
    "Why is the percent what it is?",
    [p.COURSE_KEY, p.LEARNER, p.ROOT_BLOCK, p.RETRY_AFTER],
    {200: _answer(shapes.Explanation, "Of the course, or of the root block.", examples.EXPLANATION)},
    errors=(*READING, 429, 503),
)
query_completions_in_bulk = _operation(
    "queryCompletionsInBulk",
    "Many learners in many courses",
    [p.RETRY_AFTER],
    {200: _answer(shapes.BulkAnswer, "What is stored, as it is.", examples.BULK)},
    errors=(400, 401, 403, 406, 413, 415, 429),
    request=shapes.BulkQuestion,
    examples=[examples.BULK.as_request()],
)
refresh_completion = _operation(
    "refreshCompletion",
    "Recompute now",
    [p.COURSE_KEY, p.RETRY_AFTER],
    {
        200: _answer(shapes.RefreshedCompletion, "Computed and saved.", examples.REFRESH),
        202: _answer(shapes.Queued, "Marked: a worker will come to it."),
    },
    errors=(*WITH_BODY, 429, 503),
    request=shapes.RefreshQuestion,
    examples=[examples.REFRESH.as_request()],
)

list_course_completions_v0 = _operation(
    "listCourseCompletionsV0",
    "One learner's courses",
    [p.USERNAME, p.REQUESTED_FIELDS, p.INCLUDE_OPTIONAL, p.MOBILE_ONLY, p.PAGE, p.PAGE_SIZE],
    {200: _answer(shapes.CourseCompletionPageV0, "Ordered by course key.")},
    version=0,
)
get_course_completion_v0 = _operation(
    "getCourseCompletionV0",
    "One learner's course",
    [p.COURSE_KEY, p.USERNAME, p.REQUESTED_FIELDS, p.INCLUDE_OPTIONAL],
    {200: _answer(shapes.CourseCompletionV0, "The result by itself.", examples.COURSE_V0)},
    version=0,
)
submit_block_completion_v0 = _operation(
    "submitBlockCompletionV0",
    "Submit a completion of one's own",
    [p.COURSE_KEY, p.BLOCK_KEY],
    {
        200: _answer(None, "There was a completion of this block; it is replaced."),
        201: _answer(None, "The first completion of this block."),
    },
    errors=WITH_BODY,
    version=0,
    request=shapes.SubmittedCompletion,
)
