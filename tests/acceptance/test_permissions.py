"""Who may ask what, over HTTP: one table."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from sample_lms.models import Course, Enrollment
from tests.acceptance.helpers import BULK, DETAIL, EXPLAIN, LIST, OTHER_KEY, REFRESH, STATS, ask, checked, stored_rows
from tests.factories import (
    COURSE_KEY,
    CohortFactory,
    EnrollmentFactory,
    RoleFactory,
    UserFactory,
    publish_course,
    small_course,
)

pytestmark = pytest.mark.anywhere

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

#: What staff who name nobody are answered, where it is not what the detail answers; all else is as there.
WITHOUT_A_NAME = {"explain": 400, "refresh": 202}

#: Statuses of bulk: about oneself, ada, a user who does not exist, nobody in particular, ada and oneself; each in one
#: course; ada in two courses of which the second is another one of the same organisation.
BULKS = ("me", "ada", "nobody", None, "both", "ada twice")
ABOUT_MANY = {
    "anonymous": (401, 401, 401, 401, 401, 401),
    "outsider": (200, 403, 403, 403, 403, 403),
    "learner": (200, 403, 403, 403, 403, 403),
    "former learner": (200, 403, 403, 403, 403, 403),
    "beta tester": (200, 403, 403, 403, 403, 403),
    "course staff": (200, 200, 200, 400, 200, 403),
    "course staff elsewhere": (200, 403, 403, 403, 403, 403),
    "org staff": (200, 200, 200, 400, 200, 200),
    "org staff elsewhere": (200, 403, 403, 403, 403, 403),
    "global staff": (200, 200, 200, 400, 200, 200),
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


@pytest.mark.parametrize("endpoint", ["explain", "refresh"])
@pytest.mark.parametrize("who", PEOPLE)
def test_who_may_have_whom_explained_and_refreshed(people: dict[str, Any], who: str, endpoint: str) -> None:
    for username, status in zip(USERNAMES, ABOUT_LEARNERS[who, "detail"], strict=True):
        asked = question(people[who], username)
        expected = WITHOUT_A_NAME[endpoint] if username is None and status == 200 else status
        if endpoint == "explain":
            ask(people[who], EXPLAIN, asked, status=expected)
            continue
        client = Client()
        if people[who]:
            client.force_login(people[who])
        before = stored_rows()
        checked(client.post(REFRESH, asked, content_type="application/json"), expected)
        assert (stored_rows() == before) == (expected >= 400)


def many(user: Any, what: str | None) -> dict[str, Any]:
    own = user.username if user else "ada"
    users = {None: [], "both": ["ada", own], "ada twice": ["ada"]}.get(what, [what])
    keys = [COURSE_KEY, OTHER_KEY] if what == "ada twice" else [COURSE_KEY]
    return {"users": users, "course_keys": list(map(str, keys))}


@pytest.mark.parametrize("who", PEOPLE)
def test_who_may_ask_about_many(people: dict[str, Any], who: str) -> None:
    EnrollmentFactory(course_id=OTHER_KEY)
    for what, status in zip(BULKS, ABOUT_MANY[who], strict=True):
        ask(people[who], BULK, body=many(people[who], what), status=status)


def test_course_staff_are_asked_for_all_of_their_courses(people: dict[str, Any]) -> None:
    EnrollmentFactory(course_id=OTHER_KEY)
    user = people["course staff"]
    body = many(user, "ada twice")
    refusal = ask(user, BULK, body=body, status=403)
    assert "ada" not in refusal["detail"]
    RoleFactory(user=user, course_id=OTHER_KEY)

    ask(user, BULK, body=body)


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
    for url in (LIST, DETAIL, EXPLAIN):
        expected = ask(user, url, {"username": "ada"}, status=403)
        assert ask(user, url, {"username": username}, status=403) == expected
    expected = ask(user, DETAIL, body={"username": "ada"}, status=403)
    assert ask(user, DETAIL, body={"username": username}, status=403) == expected


@pytest.mark.parametrize("who", NO_STAFF)
def test_nobody_learns_from_bulk_who_there_is(people: dict[str, Any], who: str, learner: Any) -> None:
    keys = [str(COURSE_KEY)]
    expected = ask(people[who], BULK, body={"users": ["ada"], "course_keys": keys}, status=403)
    for named in (
        {"users": ["nobody"]},
        {"users": ["boss"]},
        {"user_ids": [learner.pk + 1_000]},
        {"users": ["me", "x"]},
    ):
        assert ask(people[who], BULK, body={**named, "course_keys": keys}, status=403) == expected


@pytest.mark.parametrize("who", NO_STAFF)
def test_nobody_learns_by_user_id_who_is_enrolled(people: dict[str, Any], who: str, learner: Any) -> None:
    for ids in ([learner.pk], [999_999]):
        ask(people[who], DETAIL, {"user_ids": ids[0]}, status=403)
        ask(people[who], DETAIL, body={"user_ids": ids}, status=403)


@pytest.mark.parametrize("url", [LIST, DETAIL, STATS, EXPLAIN, BULK, REFRESH, f"{LIST}nonsense/"])
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
