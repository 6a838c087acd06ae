"""GET summary/<course_key>/, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.models import Takeover
from completion_aggregator.selectors import migration
from completion_aggregator.services import aggregate_stale
from sample_lms.models import Course, Enrollment
from tests.acceptance.helpers import DETAIL, OTHER_KEY, ROOT, STATS, ask, checked, with_password
from tests.factories import (
    COURSE_KEY,
    CohortFactory,
    EnrollmentFactory,
    MembershipFactory,
    RoleFactory,
    UserFactory,
    complete,
    key,
    publish_course,
    small_course,
)

SUMMARY = f"{ROOT}summary/{COURSE_KEY}/"
ALL_SIX = ("html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def enroll(done: int = 0, course_key: CourseKey = COURSE_KEY) -> Any:
    user = EnrollmentFactory(course_id=course_key).user
    complete(user, *ALL_SIX[:done], course_key=course_key)
    return user


def section(name: str, counts: tuple[int, int, int], course_key: CourseKey = COURSE_KEY) -> dict[str, Any]:
    numbers = dict(zip(("started", "finished", "learners"), counts, strict=True))
    return {"block_key": key(name, course_key), "display_name": name, **numbers}


def empty(course_key: CourseKey = COURSE_KEY, **fields: Any) -> dict[str, Any]:
    """Describe the answer about a course that nobody knows, but for some fields."""
    return {
        "course_key": str(course_key),
        "display_name": "",
        "enrolled": 0,
        "not_started": 0,
        "in_progress": 0,
        "completed": 0,
        "never_aggregated": 0,
        "mean": 0.0,
        "median": 0.0,
        "histogram": [0] * 11,
        "sections": [],
        "cohorts": [],
        "stale": 0,
        "at_risk": 0,
        "computed_at": "2026-07-01T12:00:00Z",
    } | fields


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be always the same moment, once all is aggregated."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.mark.parametrize("course_key", [COURSE_KEY, CourseKey.from_string("Org/Course/Run")])
@pytest.mark.parametrize("form", ["{}", "{}/", "quoted", "quoted/"])
def test_a_class_is_summed_up(staff: Any, frozen: None, course_key: CourseKey, form: str) -> None:
    publish_course(small_course(course_key), course_key)
    for done in (6, 5, 4, 0):
        enroll(done, course_key)
    aggregate_stale()
    enroll(3, course_key)

    url = f"{ROOT}summary/" + form.format(course_key).replace("quoted", quote(str(course_key), safe=""))
    answer = ask(staff, url)

    assert answer == empty(
        course_key,
        display_name="course/course",
        enrolled=5,
        not_started=2,
        in_progress=2,
        completed=1,
        never_aggregated=1,
        mean=pytest.approx(15 / 6 / 5),
        median=4 / 6,
        histogram=[2, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1],
        sections=[section("chapter/c1", (3, 3, 4), course_key), section("chapter/c2", (2, 1, 4), course_key)],
        stale=1,
        at_risk=2,
    )


def test_cohorts_are_told_apart(course: Any, staff: Any) -> None:
    Course.objects.update(cohorted=True)
    owls = CohortFactory(name="owls")
    MembershipFactory(user=enroll(6), cohort=owls)
    enroll(3)
    aggregate_stale()

    assert ask(staff, SUMMARY)["cohorts"] == [
        {"cohort_id": owls.pk, "name": "owls", "enrolled": 1, "mean": 1.0},
        {"cohort_id": None, "name": "", "enrolled": 1, "mean": 0.5},
    ]


def test_the_list_and_the_summary_are_about_the_same_learners(course: Any, staff: Any) -> None:
    users = [enroll(done) for done in (6, 3, 0, 0)]
    RoleFactory(user=users[0])
    Enrollment.objects.filter(user=users[3]).update(is_active=False)
    aggregate_stale()

    listed, answer = ask(staff, DETAIL), ask(staff, SUMMARY)

    assert answer["enrolled"] == listed["pagination"]["count"] == 3
    percents = [each["completion"]["percent"] for each in listed["results"]]
    assert (answer["not_started"], answer["completed"]) == (percents.count(0.0), percents.count(1.0))
    assert answer["mean"] == sum(percents) / 3
    # The mean of the statistics is about counted learners.
    (stats,) = ask(staff, STATS, {"requested_fields": "mean"})["results"]
    assert stats["mean"] == 0.25


def test_an_unknown_course_has_zeros(staff: Any, frozen: None) -> None:
    unknown = CourseKey.from_string("course-v1:No+Such+Course")

    assert ask(staff, f"{ROOT}summary/{unknown}/") == empty(unknown)


@pytest.mark.parametrize("text", ["abc", "course-v1:Org+Course", "library-v1:Org+Lib", "a\0b", "x" * 500])
def test_what_is_no_course_key_is_not_found(staff: Any, learner: Any, text: str) -> None:
    for user in (staff, learner):
        ask(user, f"{ROOT}summary/{quote(text)}/", status=404)


def test_what_it_does_not_know_changes_nothing(course: Any, staff: Any, frozen: None) -> None:
    query = {"page": "9", "page_size": "abc", "username": "nobody", "requested_fields": "abc", "cohorts": "abc"}

    assert ask(staff, SUMMARY, query) == ask(staff, SUMMARY)


def test_more_parameters_than_django_reads_are_refused_in_json(course: Any, staff: Any) -> None:
    ask(staff, f"{SUMMARY}?{'page=1&' * 1_500}", status=400)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "NONSENSE"])
def test_other_methods_are_not_allowed(client: Client, course: Any, staff: Any, method: str) -> None:
    client.force_login(staff)

    checked(client.generic(method, SUMMARY), 405)


def test_as_long_as_rows_of_4_5_are_left_it_says_so(
    course: Any, staff: Any, frozen: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "_is_over", False)
    Takeover.objects.create(copied=3, total=10)

    assert ask(staff, SUMMARY)["migration"] == {"copied": 3, "total": 10}


STATUSES = {
    "anonymous": 401,
    "outsider": 403,
    "learner": 403,
    "former learner": 403,
    "beta tester": 403,
    "course staff": 200,
    "course staff elsewhere": 403,
    "org staff": 200,
    "org staff elsewhere": 403,
    "global staff": 200,
}


def somebody(who: str) -> Any:
    make = {
        "anonymous": lambda: None,
        "outsider": UserFactory,
        "learner": lambda: EnrollmentFactory().user,
        "former learner": lambda: EnrollmentFactory(is_active=False).user,
        "beta tester": lambda: RoleFactory(role="beta_testers").user,
        "course staff": lambda: RoleFactory().user,
        "course staff elsewhere": lambda: RoleFactory(course_id=OTHER_KEY).user,
        "org staff": lambda: RoleFactory(org="Org", course_id=None).user,
        "org staff elsewhere": lambda: RoleFactory(org="Elsewhere", course_id=None).user,
        "global staff": lambda: UserFactory(is_staff=True),
    }
    return make[who]()


@pytest.mark.parametrize("who", STATUSES)
def test_who_may_see_the_figures_of_a_course(course: Any, who: str) -> None:
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    unknown = f"{ROOT}summary/course-v1:No+Such+Course/"

    user = somebody(who)
    ask(user, SUMMARY, status=STATUSES[who])
    # Nobody else learns whether there is such a course.
    ask(user, unknown, status=200 if who == "global staff" else 401 if who == "anonymous" else 403)


def test_it_costs_the_same_for_a_few_and_for_many(client: Client, course: Any) -> None:
    Course.objects.update(cohorted=True)
    with_password(client, UserFactory(is_staff=True))
    counts = []
    for number in (1, 20):
        for _ in range(number):
            MembershipFactory(user=enroll(3), cohort=CohortFactory())
        aggregate_stale()
        client.get(SUMMARY)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(SUMMARY).status_code == 200
        counts.append(len(queries))

    # Those of the selector, and one for who asks.
    assert counts == [8, 8]
