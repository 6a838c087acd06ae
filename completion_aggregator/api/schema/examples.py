"""Questions to the demo of the sample LMS, and what it answers; the description in OpenAPI shows them."""

from __future__ import annotations

from typing import Any, NamedTuple

from drf_spectacular.utils import OpenApiExample

COURSE = "course-v1:Sample+SKY101+2026"
ROOT = "/api/completion"
V1 = f"{ROOT}/v1"
V0 = f"{ROOT}/v0"
#: Where the links of the answers lead to.
SITE = "http://127.0.0.1:8000"


class Example(NamedTuple):
    """One question and its answer."""

    name: str
    request: str
    answer: Any
    account: str = "staff"
    body: dict[str, Any] | None = None

    def as_response(self) -> OpenApiExample:
        described = f"`{self.request}` as {self.account}"
        return OpenApiExample(self.name, self.answer, description=described, response_only=True)

    def as_request(self) -> OpenApiExample:
        return OpenApiExample(self.name, self.body, request_only=True)


def _block(name: str) -> str:
    """Return the key of a block of the course, by what follows `+type@`."""
    return f"block-v1:Sample+SKY101+2026+type@{name}"


def _done(earned: float, possible: float, percent: float) -> dict[str, float]:
    return {"earned": earned, "possible": possible, "percent": percent}


def _only_page(*results: Any) -> dict[str, Any]:
    return {
        "results": list(results),
        "pagination": {"next": None, "previous": None, "count": len(results), "num_pages": 1},
    }


LEARNER = _done(126.5, 248.0, 0.5100806451612904)
FIRST = {
    "course_key": COURSE,
    "completion": _done(76.0, 248.0, 0.3064516129032258),
    "username": "learner_1_00000",
    "user_id": 1,
}

COURSES_OF_A_LEARNER = Example(
    "Courses of a learner",
    f"GET {V1}/course/?username=learner&requested_fields=mean,username",
    _only_page(
        {"course_key": COURSE, "completion": LEARNER, "username": "learner", "mean": 0.34811155913978475},
        {
            "course_key": "course-v1:Sample+TID101+2026",
            "completion": _done(14.0, 14.0, 1.0),
            "username": "learner",
            "mean": 0.754166666666666,
        },
    ),
)
OWN_SECTION = Example(
    "A section of my own",
    f"GET {V1}/course/{COURSE}/?username=me&root_block={_block('chapter+block@the_moon').replace('+', '%2B')}"
    "&requested_fields=sequential",
    _only_page(
        {
            "course_key": COURSE,
            "completion": _done(41.5, 46.0, 0.9021739130434783),
            "sequential": [
                {
                    "course_key": COURSE,
                    "block_key": _block("sequential+block@month_of_phases"),
                    "completion": _done(16.5, 19.0, 0.868421052631579),
                },
                {
                    "course_key": COURSE,
                    "block_key": _block("sequential+block@face_of_the_moon"),
                    "completion": _done(10.0, 11.0, 0.9090909090909091),
                },
                {
                    "course_key": COURSE,
                    "block_key": _block("sequential+block@eclipses_and_review"),
                    "completion": _done(15.0, 16.0, 0.9375),
                },
            ],
        }
    ),
    account="learner",
)
EVERYBODY = Example(
    "Everybody",
    f"GET {V1}/course/{COURSE}/?page_size=1&include_optional=true",
    {
        "results": [{**FIRST, "optional_completion": _done(0.0, 18.0, 0.0)}],
        "pagination": {
            "next": f"{SITE}{V1}/course/{COURSE}/?include_optional=true&page=2&page_size=1",
            "previous": None,
            "count": 300,
            "num_pages": 300,
        },
    },
)
WALK = Example(
    "A walk through everybody",
    f"GET {V1}/course/{COURSE}/?cursor=&page_size=1",
    {
        "pagination": {
            "next": f"{SITE}{V1}/course/{COURSE}/?cursor=WyJuZXh0IiwidXNlcl9pZCIsbnVsbCwxXQ%3D%3D&page_size=1",
            "previous": None,
        },
        "results": [FIRST],
    },
)
CLOSE_TO_THE_END = Example(
    "Who is close to the end",
    f"GET {V1}/course/{COURSE}/?percent_min=0.9&status=in_progress&ordering=-percent&page_size=1",
    {
        "results": [
            {
                "course_key": COURSE,
                "completion": _done(238.0, 248.0, 0.9596774193548387),
                "username": "learner_1_00027",
                "user_id": 28,
            }
        ],
        "pagination": {
            "next": f"{SITE}{V1}/course/{COURSE}/"
            "?ordering=-percent&page=2&page_size=1&percent_min=0.9&status=in_progress",
            "previous": None,
            "count": 58,
            "num_pages": 58,
        },
    },
)
EXPORT = Example(
    "Two learners",
    f"GET {V1}/export/{COURSE}/?type=csv&user_ids=1,2",
    "user_id,username,earned,possible,percent,last_activity,completed_at\r\n"
    "1,learner_1_00000,76.0,248.0,0.3064516129032258,2026-11-23T05:39:01+00:00,\r\n"
    "2,learner_1_00001,27.0,248.0,0.10887096774193548,2026-11-23T05:05:37+00:00,\r\n",
)
CERTAIN_LEARNERS = Example(
    "Certain learners",
    f"POST {V1}/course/{COURSE}/",
    _only_page(
        {
            **FIRST,
            "course": [
                {
                    "course_key": COURSE,
                    "block_key": _block("course+block@course"),
                    "completion": FIRST["completion"],
                }
            ],
        }
    ),
    body={"user_ids": [1], "requested_fields": ["course"]},
)
MEAN_OF_A_COHORT = Example(
    "The mean of a cohort",
    f"GET {V1}/stats/{COURSE}/?exclude_roles=beta&cohorts=1&requested_fields=mean",
    {
        "results": [
            {
                "course_key": COURSE,
                "mean_completion": _done(79.39041095890411, 248.0, 0.32012262483429077),
                "mean": 0.34811155913978475,
                "filters": {"cohorts": [1], "exclude_roles": ["beta_testers"]},
            }
        ]
    },
)

CLASS = Example(
    "A class",
    f"GET {V1}/summary/{COURSE}/",
    {
        "course_key": COURSE,
        "display_name": "Reading the Night Sky",
        "enrolled": 300,
        "not_started": 37,
        "in_progress": 263,
        "completed": 0,
        "never_aggregated": 0,
        "mean": 0.348111559139785,
        "median": 0.2157258064516129,
        "histogram": [37, 70, 37, 38, 18, 10, 12, 10, 4, 6, 58],
        "sections": [
            {
                "block_key": _block("chapter+block@before_you_go_out"),
                "display_name": "Before You Go Out",
                "started": 263,
                "finished": 6,
                "learners": 300,
            },
            {
                "block_key": _block("chapter+block@finding_your_way"),
                "display_name": "Finding Your Way",
                "started": 173,
                "finished": 2,
                "learners": 300,
            },
            {
                "block_key": _block("chapter+block@the_moon"),
                "display_name": "The Moon",
                "started": 113,
                "finished": 1,
                "learners": 300,
            },
            {
                "block_key": _block("chapter+block@planets_and_wanderers"),
                "display_name": "Planets and Other Wanderers",
                "started": 88,
                "finished": 3,
                "learners": 300,
            },
            {
                "block_key": _block("chapter+block@the_stars"),
                "display_name": "The Stars",
                "started": 74,
                "finished": 1,
                "learners": 300,
            },
            {
                "block_key": _block("chapter+block@dark_skies_and_log_books"),
                "display_name": "Dark Skies and Log Books",
                "started": 64,
                "finished": 8,
                "learners": 300,
            },
        ],
        "cohorts": [
            {"cohort_id": 1, "name": "Northern hemisphere", "enrolled": 146, "mean": 0.3201226248342908},
            {"cohort_id": 2, "name": "Southern hemisphere", "enrolled": 154, "mean": 0.37464652283200667},
            {"cohort_id": None, "name": "", "enrolled": 0, "mean": 0.0},
        ],
        "stale": 0,
        "at_risk": 80,
        "computed_at": "2026-11-24T18:56:08.995635Z",
    },
)
EXPLANATION = Example(
    "A text that I have half read",
    f"GET {V1}/explain/{COURSE}/?username=me&root_block={_block('html+block@poles_and_equator').replace('+', '%2B')}",
    {
        "course_key": COURSE,
        "username": "learner",
        "completion": _done(0.5, 1.0, 0.5),
        "optional_completion": _done(0.0, 0.0, 1.0),
        "formula": "0.5 of 1 = 50 %. Each block that counts adds its completion, from 0 to 1, to what is earned, "
        "and 1 to what is possible.",
        "parts": [],
        "stored": {"computed_at": "2026-11-24T18:55:48.243326Z", "completion": None, "optional_completion": None},
        "is_stale": False,
        "markers": {"open": 0, "oldest": None},
        "uncounted_completions": [],
        "root": {
            "block_key": _block("html+block@poles_and_equator"),
            "block_type": "html",
            "display_name": "Poles and equator of the sky",
            "counted": True,
            "reason": "counted",
            "release_date": None,
            "repeated": False,
            "value": 0.5,
            "modified": "2026-11-16T03:03:22.475281Z",
            "completion": None,
            "optional_completion": None,
            "children": [],
        },
    },
    account="learner",
)
BULK = Example(
    "Two learners in one course",
    f"POST {V1}/bulk/",
    {
        "results": [
            {
                "user_id": 233,
                "username": "learner",
                "course_key": COURSE,
                "completion": LEARNER,
                "is_stale": False,
            }
        ],
        "unknown_users": ["nobody"],
        "unknown_user_ids": [],
    },
    body={"users": ["learner", "nobody"], "course_keys": [COURSE]},
)
REFRESH = Example(
    "My own course",
    f"POST {V1}/refresh/{COURSE}/",
    {"course_key": COURSE, "completion": LEARNER, "computed_at": "2026-11-24T18:54:38.077380Z"},
    account="learner",
    body={"username": "me"},
)

#: By status.
ERRORS = {
    400: Example(
        "A field that there is not",
        f"GET {V1}/course/?requested_fields=capa",
        {"detail": "requested_fields knows nothing of: capa."},
    ),
    401: Example(
        "Without credentials",
        f"GET {V1}/course/",
        {"detail": "Authentication credentials were not provided."},
        account="nobody",
    ),
    403: Example(
        "Somebody else",
        f"GET {V1}/course/{COURSE}/?username=staff",
        {"detail": "Only staff may ask for others; ask with your own username."},
        account="learner",
    ),
    404: Example("No course key", f"GET {V1}/course/nonsense/", {"detail": "Invalid course key."}),
}

HEALTH = Example("It answers", f"GET {ROOT}/health/", {"status": "ok"}, account="nobody")
READINESS = Example("It is ready", f"GET {ROOT}/health/ready/", {"status": "ok"}, account="nobody")
LAG = Example("It keeps up", f"GET {ROOT}/health/lag/", {"status": "ok", "lag": 0.0}, account="nobody")

COURSE_V0 = Example(
    "A course of a learner",
    f"GET {V0}/course/{COURSE}/?username=learner",
    {"course_key": COURSE, "completion": {**LEARNER, "ratio": LEARNER["percent"]}},
)
