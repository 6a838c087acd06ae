"""Version 0 of the REST API, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.test import Client
from django.urls import reverse
from edx_django_utils.cache import RequestCache
from opaque_keys.edx.keys import CourseKey
from waffle.testutils import override_switch

from completion_aggregator.models import StaleCompletion
from completion_aggregator.services import aggregate_stale
from tests.acceptance.helpers import ask, checked, done, page
from tests.factories import (
    COURSE_KEY,
    EnrollmentFactory,
    RoleFactory,
    UserFactory,
    block,
    complete,
    key,
    publish_course,
    small_course,
    usage_key,
)

LIST = "/api/completion/v0/course/"
DETAIL = f"{LIST}{COURSE_KEY}/"
BLOCK = f"{DETAIL}blocks/{key('html/h1')}/"
OTHER_KEY = CourseKey.from_string("course-v1:Org+Other+Run")


@pytest.fixture
def fresh(learner: Any) -> Any:
    """A learner who has done two of six things, all aggregated."""
    complete(learner, "html/h1", "problem/p1")
    aggregate_stale()
    return learner


def ratio(earned: float, possible: float) -> dict[str, float]:
    values = done(earned, possible)
    return values | {"ratio": values["percent"]}


def submit(user: Any, url: str, body: Any) -> Any:
    client = Client()
    if user is not None:
        client.force_login(user)
    text = body if isinstance(body, str) else json.dumps(body)
    return client.post(url, text, content_type="application/json")


def stored(user: Any) -> dict[str, float]:
    rows = BlockCompletion.objects.filter(user=user)
    return {f"{row.block_type}/{row.block_key.block_id}": row.completion for row in rows}


def test_the_paths_have_the_names_of_before() -> None:
    names = {"course_key": str(COURSE_KEY)}

    assert reverse("completion_api_v0:aggregator-list") == LIST.rstrip("/")
    assert reverse("completion_api_v0:aggregator-detail", kwargs=names) == DETAIL.rstrip("/")
    names["block_key"] = key("html/h1")
    assert reverse("completion_api_v0:blockcompletion-update", kwargs=names) == BLOCK.rstrip("/")


def test_a_learner_is_told_each_course_with_a_ratio(fresh: Any) -> None:
    chapters = [
        {"course_key": str(COURSE_KEY), "block_key": key(name), "completion": ratio(earned, possible)}
        for name, earned, possible in (("chapter/c1", 2.0, 4.0), ("chapter/c2", 0.0, 2.0))
    ]
    expected = {"course_key": str(COURSE_KEY), "completion": ratio(2.0, 6.0)}

    assert ask(fresh, LIST) == page(expected)
    assert ask(fresh, LIST, {"requested_fields": "chapter,username"}) == page(
        expected | {"username": "ada", "chapter": chapters}
    )


def test_a_course_is_told_by_itself(fresh: Any) -> None:
    fields = {"requested_fields": "username,mean,course", "include_optional": "true"}
    course = {
        "course_key": str(COURSE_KEY),
        "block_key": key("course/course"),
        "completion": ratio(2.0, 6.0),
        "optional_completion": done(0.0, 0.0),
    }

    assert ask(fresh, DETAIL) == {"course_key": str(COURSE_KEY), "completion": ratio(2.0, 6.0)}
    assert ask(fresh, DETAIL, fields) == {
        "course_key": str(COURSE_KEY),
        "completion": ratio(2.0, 6.0),
        "optional_completion": done(0.0, 0.0),
        "username": "ada",
        "mean": 2 / 6,
        "course": [course],
    }


def test_links_lead_to_the_next_page_of_version_0(fresh: Any) -> None:
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    EnrollmentFactory(user=fresh, course_id=OTHER_KEY)

    first = ask(fresh, LIST, {"page_size": 1})

    assert first["pagination"]["next"] == f"http://testserver{LIST}?page=2&page_size=1"


@pytest.mark.parametrize("url", [LIST, DETAIL])
def test_who_may_ask_about_whom(fresh: Any, staff: Any, url: str) -> None:
    bob = EnrollmentFactory(user=UserFactory(username="bob")).user
    EnrollmentFactory(user=staff)

    for who, username, status in (
        (None, "ada", 401),
        (bob, "ada", 403),
        (bob, "nobody", 403),
        (bob, "BOB", 200),
        (bob, "", 200),
        (staff, "", 200),
        (staff, "nobody", 404),
        (staff, "ada", 200),
    ):
        ask(who, url, {"username": username}, status=status)


def test_course_staff_may_ask_about_the_learners_of_their_course(fresh: Any) -> None:
    teacher = RoleFactory().user

    assert ask(teacher, DETAIL, {"username": "ada"})["completion"] == ratio(2.0, 6.0)
    ask(teacher, LIST, {"username": "ada"}, status=403)
    ask(teacher, DETAIL, status=404)


@pytest.mark.parametrize("course_key", ["nonsense", "course-v1:Org+Unknown+Run", "library-v1:Org+Lib"])
def test_a_course_without_the_learner_is_not_found(fresh: Any, course_key: str) -> None:
    ask(fresh, f"{LIST}{course_key}/", status=404)


def test_questions_are_asked_by_get_alone(fresh: Any) -> None:
    for url in (LIST, DETAIL):
        ask(fresh, url, body={}, status=405)


@pytest.mark.parametrize("query", [{"requested_fields": "nonsense"}, {"include_optional": "?"}])
def test_a_wrong_parameter_is_named(fresh: Any, query: dict[str, str]) -> None:
    for url in (LIST, DETAIL):
        assert next(iter(query)) in ask(fresh, url, query, status=400)["detail"]


@pytest.mark.parametrize("old", [COURSE_KEY, CourseKey.from_string("Org/Course/Run")])
def test_a_completion_is_submitted_and_marks_the_learner(db: None, old: CourseKey) -> None:
    publish_course(
        [
            block(f"course/{old.run if old.deprecated else 'course'}", "html/h1", course_key=old),
            block("html/h1", course_key=old),
        ],
        old,
    )
    user = EnrollmentFactory(course_id=old).user
    aggregate_stale()
    url = f"{LIST}{old}/blocks/{usage_key('html/h1', old)}/"

    first = submit(user, url, {"completion": 0.5})
    assert (first.status_code, first.content) == (201, b"")
    assert StaleCompletion.objects.filter(user=user, course_key=str(old)).exists()
    second = submit(user, url, {"completion": "1.0"})
    assert (second.status_code, second.content) == (200, b"")

    assert stored(user) == {"html/h1": 1.0}
    assert BlockCompletion.objects.get().context_key == old
    assert ask(user, f"{LIST}{old}/")["completion"] == ratio(1.0, 1.0)


@pytest.mark.parametrize(
    "body",
    [{}, [], "junk", '{"completion": NaN}', "\x00"]
    + [{"completion": value} for value in (-0.1, 1.1, "x", "nan", "inf", None, [1], {}, "9" * 5000, 10**400)],
)
def test_what_is_no_completion_is_refused(learner: Any, body: Any) -> None:
    checked(submit(learner, BLOCK, body), 400)
    assert stored(learner) == {}


@pytest.mark.parametrize(
    "url",
    [
        f"{LIST}nonsense/blocks/{key('html/h1')}/",
        f"{DETAIL}blocks/nonsense/",
        f"{DETAIL}blocks/{key('html/nobody')}/",
        f"{DETAIL}blocks/{key('html/h1', OTHER_KEY)}/",
        f"{LIST}{OTHER_KEY}/blocks/{key('html/h1', OTHER_KEY)}/",
        f"{LIST}course-v1:Org+Unknown+Run/blocks/block-v1:Org+Unknown+Run+type@html+block@h1/",
    ],
)
def test_only_blocks_of_a_course_of_the_learner_are_completed(learner: Any, url: str) -> None:
    publish_course(small_course(OTHER_KEY), OTHER_KEY)

    checked(submit(learner, url, {"completion": 1.0}), 404)
    assert stored(learner) == {}


def test_nobody_completes_for_others(learner: Any, staff: Any) -> None:
    checked(submit(None, BLOCK, {"completion": 1.0, "username": "ada"}), 401)
    checked(submit(staff, BLOCK, {"completion": 1.0, "username": "ada"}), 404)
    bob = EnrollmentFactory().user
    assert submit(bob, BLOCK, {"completion": 1.0, "username": "ada"}).status_code == 201

    assert (stored(learner), stored(bob)) == ({}, {"html/h1": 1.0})


def test_nothing_is_taken_while_tracking_is_off(learner: Any) -> None:
    # edx-toggles remembers a switch for one request; an LMS has a middleware that makes it forget.
    RequestCache.clear_all_namespaces()
    with override_switch("completion.enable_completion_tracking", active=False):
        answer = checked(submit(learner, BLOCK, {"completion": 1.0}), 400)

    RequestCache.clear_all_namespaces()
    assert answer == {"detail": "Completion tracking is switched off."}
    assert stored(learner) == {}


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_a_completion_is_posted_in_no_other_way(learner: Any, method: str) -> None:
    client = Client()
    client.force_login(learner)
    checked(getattr(client, method)(BLOCK), 405)
