"""Who may ask what, over HTTP: one table."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from sample_lms.models import Course, Enrollment
from tests.acceptance.helpers import DETAIL, LIST, OTHER_KEY, STATS, ask, stored_rows
from tests.factories import CohortFactory, EnrollmentFactory, RoleFactory, UserFactory, publish_course, small_course

#: What is asked, in the order of the columns: about nobody in particular, by the own name, by "me", about another
#: user, about a user who does not exist.
USERNAMES = (None, "own", "me", "ada", "nobody")

#: Statuses for each of USERNAMES.
ABOUT_LEARNERS = {
    ("anonymous", "list"): (401, 401, 401, 401, 401),
    ("outsider", "list"): (403, 200, 200, 403, 403),
    ("learner", "list"): (403, 200, 200, 403, 403),
    ("former learner", "list"): (403, 200, 200, 403, 403),
    ("beta tester", "list"): (403, 200, 200, 403, 403),
    ("course staff", "list"): (403, 200, 200, 403, 403),
    ("course staff elsewhere", "list"): (403, 200, 200, 403, 403),
    ("org staff", "list"): (403, 200, 200, 403, 403),
    ("org staff elsewhere", "list"): (403, 200, 200, 403, 403),
    ("global staff", "list"): (200, 200, 200, 200, 404),
    ("anonymous", "detail"): (401, 401, 401, 401, 401),
    ("outsider", "detail"): (403, 404, 404, 403, 403),
    ("learner", "detail"): (403, 200, 200, 403, 403),
    ("former learner", "detail"): (403, 404, 404, 403, 403),
    ("beta tester", "detail"): (403, 404, 404, 403, 403),
    ("course staff", "detail"): (200, 404, 404, 200, 404),
    ("course staff elsewhere", "detail"): (403, 404, 404, 403, 403),
    ("org staff", "detail"): (200, 404, 404, 200, 404),
    ("org staff elsewhere", "detail"): (403, 404, 404, 403, 403),
    ("global staff", "detail"): (200, 404, 404, 200, 404),
}

#: Statuses of the stats without and with `cohorts`.
ABOUT_COURSES = {
    "anonymous": (401, 401),
    "outsider": (403, 403),
    "learner": (200, 403),
    "former learner": (403, 403),
    "beta tester": (403, 403),
    "course staff": (200, 200),
    "course staff elsewhere": (403, 403),
    "org staff": (200, 200),
    "org staff elsewhere": (403, 403),
    "global staff": (200, 200),
}

PEOPLE = tuple(ABOUT_COURSES)
NO_STAFF = [who for who in PEOPLE if ABOUT_LEARNERS[who, "detail"][0] == 403]


@pytest.fixture
def people(learner: Any, staff: Any) -> dict[str, Any]:
    """Everybody of the tables; besides, ada is enrolled."""
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    former = UserFactory()
    EnrollmentFactory(user=former, is_active=False)
    return {
        "anonymous": None,
        "outsider": UserFactory(),
        "learner": EnrollmentFactory().user,
        "former learner": former,
        "beta tester": RoleFactory(role="beta_testers").user,
        "course staff": RoleFactory().user,
        "course staff elsewhere": RoleFactory(course_id=OTHER_KEY).user,
        "org staff": RoleFactory(org="Org", course_id=None).user,
        "org staff elsewhere": RoleFactory(org="Elsewhere", course_id=None).user,
        "global staff": staff,
    }


def question(user: Any, username: str | None) -> dict[str, str]:
    if username is None:
        return {}
    if username == "own":
        return {"username": user.username if user else "ada"}
    return {"username": username}


@pytest.mark.parametrize(("endpoint", "method"), [("list", "GET"), ("detail", "GET"), ("detail", "POST")])
@pytest.mark.parametrize("who", PEOPLE)
def test_who_may_ask_about_whom(people: dict[str, Any], who: str, endpoint: str, method: str) -> None:
    url = LIST if endpoint == "list" else DETAIL
    for username, status in zip(USERNAMES, ABOUT_LEARNERS[who, endpoint], strict=True):
        asked = question(people[who], username)
        if method == "GET":
            ask(people[who], url, asked, status=status)
        else:
            ask(people[who], url, body=asked, status=status)


@pytest.mark.parametrize("who", PEOPLE)
def test_who_may_see_the_mean_of_a_course(people: dict[str, Any], who: str) -> None:
    Course.objects.update(cohorted=True)
    cohort = CohortFactory().pk
    whole, part = ABOUT_COURSES[who]

    ask(people[who], STATS, status=whole)
    ask(people[who], STATS, {"requested_fields": "mean", "exclude_roles": "staff"}, status=whole)
    ask(people[who], STATS, {"cohorts": cohort}, status=part)


@pytest.mark.parametrize("role", ["staff", "instructor", "limited_staff", "data_researcher"])
def test_each_role_of_the_course_team_counts_as_staff_there(people: dict[str, Any], role: str) -> None:
    user = RoleFactory(role=role).user

    ask(user, DETAIL)
    ask(user, DETAIL, {"username": "ada"})
    ask(user, STATS)
    ask(user, LIST, status=403)


@pytest.mark.parametrize("who", NO_STAFF)
@pytest.mark.parametrize("cohorts", ["1", "999999", "0"])
def test_nobody_learns_which_cohorts_there_are(people: dict[str, Any], who: str, cohorts: str) -> None:
    Course.objects.update(cohorted=True)

    ask(people[who], STATS, {"cohorts": cohorts}, status=403)


@pytest.mark.parametrize("who", NO_STAFF)
@pytest.mark.parametrize("username", ["nobody", "boss", "ADA", "a\0b", "x" * 5_000, "Ünïcödé 🦉", "\u00a0"])
def test_nobody_learns_whether_a_username_exists(people: dict[str, Any], who: str, username: str) -> None:
    user = people[who]
    for url in (LIST, DETAIL):
        expected = ask(user, url, {"username": "ada"}, status=403)
        assert ask(user, url, {"username": username}, status=403) == expected
    expected = ask(user, DETAIL, body={"username": "ada"}, status=403)
    assert ask(user, DETAIL, body={"username": username}, status=403) == expected


@pytest.mark.parametrize("who", NO_STAFF)
def test_nobody_learns_by_user_id_who_is_enrolled(people: dict[str, Any], who: str, learner: Any) -> None:
    for ids in ([learner.pk], [999_999]):
        ask(people[who], DETAIL, {"user_ids": ids[0]}, status=403)
        ask(people[who], DETAIL, body={"user_ids": ids}, status=403)


@pytest.mark.parametrize("url", [LIST, DETAIL, STATS, f"{LIST}nonsense/"])
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_whoever_is_not_authenticated_is_told_how_to(course: Any, client: Client, url: str, method: str) -> None:
    for headers in ({}, {"Authorization": "Basic bm9ib2R5Ondyb25n"}, {"Authorization": "Basic !"}):
        response = getattr(client, method)(url, headers=headers)

        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Basic ")
        assert list(response.json()) == ["detail"]


def test_a_user_who_was_switched_off_does_not_get_in(learner: Any, client: Client) -> None:
    client.force_login(learner)
    assert client.get(DETAIL, {"username": "me"}).status_code == 200
    learner.is_active = False
    learner.save()

    assert client.get(DETAIL, {"username": "me"}).status_code == 401


def test_by_session_a_post_needs_the_csrf_token(learner: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(learner)
    before = stored_rows()

    response = client.post(DETAIL, {"username": "me"}, content_type="application/json")

    assert response.status_code == 403
    assert list(response.json()) == ["detail"]
    assert stored_rows() == before


def test_a_learner_who_leaves_loses_the_course(people: dict[str, Any]) -> None:
    learner = people["learner"]
    ask(learner, STATS)
    Enrollment.objects.filter(user=learner).update(is_active=False)

    ask(learner, STATS, status=403)
    ask(learner, DETAIL, {"username": "me"}, status=404)
