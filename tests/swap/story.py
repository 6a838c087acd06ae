"""What both sides of the swap test know: who is there, and what is asked. Both import it, each in its environment."""

from __future__ import annotations

from benchmarks.course import MAIN

#: Learners of the course, with 261 aggregates each, and how many of them 4.5.0 aggregates by itself.
LEARNERS = 195
AGGREGATED = 30
#: A block that has left the course, and a course that has left the LMS.
GONE_BLOCK = f"{MAIN.key.replace('course', 'block', 1)}+type@vertical+block@gone"
GONE = "course-v1:Bench+Gone+1"
#: Another course than GONE: letter case counts.
CASE_TWIN = "course-v1:bench+gone+1"
OLD_STYLE = "Bench/Old/1"

#: What people ask the table of 4.5.0, which is a view later.
TABLE = "completion_aggregator_aggregator"
SQL = {
    "a course": (
        f"SELECT user_id, earned, possible, percent FROM {TABLE}"
        f" WHERE course_key = '{MAIN.key}' AND aggregation_name = 'course'"
    ),
    "a learner": (
        "SELECT course_key, aggregation_name, block_key, earned, possible, percent, optional_percent"
        f" FROM {TABLE} WHERE user_id = 7"
    ),
    "who has done a fifth": (
        f"SELECT u.username, u.email, a.percent FROM auth_user u JOIN {TABLE} a ON a.user_id = u.id"
        f" WHERE a.course_key = '{MAIN.key}' AND a.aggregation_name = 'course' AND a.percent >= 0.2"
    ),
    "the mean of each chapter": (
        f"SELECT block_key, COUNT(*), ROUND(AVG(percent), 9) FROM {TABLE}"
        f" WHERE course_key = '{MAIN.key}' AND aggregation_name = 'chapter' GROUP BY block_key"
    ),
    "who is through": (
        f"SELECT COUNT(DISTINCT user_id) FROM {TABLE}"
        f" WHERE course_key = '{GONE}' AND aggregation_name = 'course' AND percent = 1.0 AND user_id <= {LEARNERS}"
    ),
}


def course_block_of(course_key: str) -> str:
    """Return the key of the course block, in the form that goes with the key of the course."""
    if course_key.startswith("course-v1:"):
        return f"{course_key.replace('course', 'block', 1)}+type@course+block@course"
    org, course, run = course_key.split("/")
    return f"i4x://{org}/{course}/course/{run}"


def questions() -> dict[str, dict[str, float]]:
    """Ask the REST API; return the percents of each answer, by their place in it."""
    # Django must be set up by now.
    from benchmarks import rest
    from benchmarks.course import STAFF

    asked = {
        "a learner": rest.detail(MAIN),
        "everybody": rest.course_page(MAIN, STAFF),
        "everybody, all fields": rest.full_page(MAIN, STAFF),
        "the mean": rest.stats(MAIN, STAFF),
    }
    return {name: rest.percents(ask()) for name, ask in asked.items()}
