"""Parameters of path and query, and headers of answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import OpenApiParameter

from completion_aggregator.api.parameters import MAX_IDS
from completion_aggregator.api.schema import shapes
from completion_aggregator.exports import ExportType
from completion_aggregator.selectors import ORDERINGS, Progress
from completion_aggregator.selectors.roster import MAX_DAYS, MAX_SEARCH
from completion_aggregator.serializers import EXTRA_FIELDS


def _names(*names: str) -> dict[str, Any]:
    # A text, not an array: many generated clients repeat the parameter for each item instead of putting commas.
    one = rf"\s*({'|'.join(names)})?\s*"
    return {"type": "string", "pattern": f"^{one}(,{one})*$"}


def _in_query(name: str, schema: dict[str, Any], description: str) -> OpenApiParameter:
    return OpenApiParameter(name, schema, description=description)


def _requested_fields(names: Sequence[str]) -> OpenApiParameter:
    told = ", ".join(f"`{name}`" for name in names)
    return _in_query(
        "requested_fields", _names(*names), f"What to tell besides `completion`, separated by commas: {told}."
    )


def _in_path(name: str, description: str) -> OpenApiParameter:
    schema = {"type": "string", "minLength": 1}
    return OpenApiParameter(name, schema, OpenApiParameter.PATH, description=description)


FLAG = {"type": "boolean"}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
COURSE_KEY = _in_path(
    "course_key", "`course-v1:Org+Course+Run`, or `Org/Course/Run`; percent-encoded or not, slashes included."
)
BLOCK_KEY = _in_path("block_key", "Usage key of a block of the course.")
USERNAME = _in_query(
    "username",
    {"type": "string"},
    "Whom the question is about: oneself (one's own name in any letter case, or `me`); for staff, anybody.",
)
LEARNER = OpenApiParameter(
    "username",
    {"type": "string", "minLength": 1},
    required=True,
    description="Whom it is about: oneself (one's own name in any letter case, or `me`); for staff, anybody.",
)
REQUESTED_FIELDS = _requested_fields(shapes.FIELDS)
DETAIL_FIELDS = _requested_fields(shapes.DETAIL_FIELDS)
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
STATS_FIELDS = _in_query("requested_fields", _names(*sorted(EXTRA_FIELDS)), "`mean` adds it; `username` has no effect.")
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
#: Which learners, where a question is about everybody.
FILTERS = (
    USER_IDS,
    _in_query("percent_min", SHARE, "Keeps those whose stored percent of the course is at least this."),
    _in_query("percent_max", SHARE, "Keeps those whose stored percent of the course is at most this."),
    _in_query(
        "status",
        {"type": "string", "enum": list(Progress)},
        "Keeps those whose stored percent is 0, between 0 and 1, or 1.",
    ),
    _in_query(
        "search",
        {"type": "string", "maxLength": MAX_SEARCH},
        "Keeps those whose username or name has this in it, in capitals or not.",
    ),
    _in_query(
        "inactive_days",
        {"type": "number", "minimum": 0, "maximum": MAX_DAYS},
        "Keeps those who have completed nothing for so many days, or never.",
    ),
    COHORTS,
    _in_query(
        "roles", {"type": "string"}, "Roles, separated by commas: keeps whoever holds one of them in the course."
    ),
    EXCLUDE_ROLES,
    _in_query(
        "ordering",
        {"type": "string", "enum": list(ORDERINGS)},
        "How the learners are sorted, by default by `user_id`; with `-` the other way round. Equals come by user id.",
    ),
)
EXPORT_TYPE = OpenApiParameter(
    "type",
    {"type": "string", "enum": list(ExportType)},
    required=True,
    description="The format; `Accept` has no effect.",
)
CHALLENGE = OpenApiParameter(
    "WWW-Authenticate", str, OpenApiParameter.HEADER, response=[401], description="How to authenticate."
)
RETRY_AFTER = OpenApiParameter(
    "Retry-After", int, OpenApiParameter.HEADER, response=[429], description="When to ask again. Unit: seconds."
)
