"""GET and POST course/<course_key>/?cursor=: the walk through everybody in a course."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import example, given, settings
from hypothesis import strategies as st

from completion_aggregator.services import aggregate_stale
from sample_lms.models import Enrollment
from tests.acceptance.helpers import (
    DETAIL,
    EVERYTHING,
    ROOT,
    ask,
    checked,
    listed,
    page,
    result,
    usernames,
    with_password,
)
from tests.factories import EnrollmentFactory, UserFactory, complete, key


def cursor(text: str) -> str:
    """Encode as cursors are."""
    return urlsafe_b64encode(text.encode()).decode()


def place(*values: Any) -> str:
    """Make a cursor."""
    return cursor(json.dumps(values))


def walk(user: Any, query: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
    """Follow the links from the empty cursor on; return the answers."""
    answers = [ask(user, f"{DETAIL}?{urlencode({'cursor': '', **(query or {})})}", **kwargs)]
    while answers[-1]["pagination"]["next"] is not None:
        answers.append(ask(user, answers[-1]["pagination"]["next"], **kwargs))
    return answers


def walked(answers: list[Any]) -> list[str]:
    return [name for answer in answers for name in usernames(answer)]


@pytest.fixture
def crowd(learner: Any) -> list[Any]:
    """The 23 learners of the course, by user id."""
    others = [EnrollmentFactory().user for _ in range(22)]
    complete(others[10], "html/h1", "problem/p1")
    aggregate_stale()
    return [learner, *others]


def test_a_cursor_answer_has_links_and_no_count(learner: Any, staff: Any) -> None:
    complete(learner, "html/h1", "problem/p1")
    aggregate_stale()

    assert ask(staff, DETAIL, {"cursor": ""}) == {
        "pagination": {"next": None, "previous": None},
        "results": [listed(result(2.0, 6.0, username="ada"))],
    }


@pytest.mark.parametrize("size", [1, 7, 22, 23, 24, 10_000, 20_000])
def test_a_walk_meets_everybody_once_by_user_id(crowd: list[Any], staff: Any, size: int) -> None:
    answers = walk(staff, {"page_size": size})

    assert walked(answers) == [user.username for user in crowd]
    assert len(answers) == -(-23 // size)


def test_the_default_size_is_ten_as_of_pages(crowd: list[Any], staff: Any) -> None:
    for size in ({}, {"page_size": "abc"}, {"page_size": "0"}):
        assert [len(answer["results"]) for answer in walk(staff, size)] == [10, 10, 3]


def test_the_way_back_leads_to_the_beginning(crowd: list[Any], staff: Any) -> None:
    forth = walk(staff, {"page_size": 9})
    back = [forth[-1]]
    while back[-1]["pagination"]["previous"] is not None:
        back.append(ask(staff, back[-1]["pagination"]["previous"]))

    assert [usernames(answer) for answer in reversed(back)] == [usernames(answer) for answer in forth]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"requested_fields": EVERYTHING},
        {"requested_fields": "chapter", "include_optional": "true"},
        {"requested_fields": "chapter,vertical", "root_block": key("chapter/c1")},
        {"root_block": key("html/h1")},
    ],
)
def test_a_walk_tells_what_the_pages_tell(crowd: list[Any], staff: Any, query: dict[str, str]) -> None:
    pages = [ask(staff, DETAIL, query | {"page": number}) for number in (1, 2, 3)]

    assert [answer["results"] for answer in walk(staff, query)] == [answer["results"] for answer in pages]


def test_links_keep_the_parameters(crowd: list[Any], staff: Any) -> None:
    query = {"page_size": "5", "requested_fields": "chapter,mean", "include_optional": "true", "page": "99"}

    for answer in walk(staff, query):
        for url in filter(None, answer["pagination"].values()):
            parameters = dict(parse_qsl(urlsplit(url).query))
            assert parameters.pop("cursor")
            assert parameters == query


def test_user_ids_narrow_a_walk_down(crowd: list[Any], staff: Any) -> None:
    ids = [user.pk for user in crowd[1:20:2]]

    answers = walk(staff, {"user_ids": ",".join(map(str, [*ids, 10**9, 10**30])), "page_size": 4})

    assert [len(answer["results"]) for answer in answers] == [4, 4, 2]
    assert walked(answers) == [user.username for user in crowd[1:20:2]]


def test_in_a_post_the_cursor_stays_in_the_query_and_the_body_is_sent_again(crowd: list[Any], staff: Any) -> None:
    body = {"user_ids": [user.pk for user in crowd[::2]], "requested_fields": ["chapter"]}

    answers = walk(staff, {"page_size": 5}, body=body)

    assert walked(answers) == [user.username for user in crowd[::2]]
    assert all("chapter" in each for answer in answers for each in answer["results"])
    assert ask(staff, DETAIL, body={"cursor": "nonsense"})["pagination"]["count"] == 23


def test_who_stays_is_met_once_while_others_come_and_go(crowd: list[Any], staff: Any) -> None:
    late = UserFactory.create_batch(2)
    stay = [user.username for user in crowd if user not in (crowd[3], crowd[4], crowd[8])]
    first = ask(staff, f"{DETAIL}?cursor=&page_size=5")
    # The last one of the page goes, one before it, one after it; one of lower id comes back, and somebody new comes.
    Enrollment.objects.filter(user__in=[crowd[3], crowd[4], crowd[8]]).update(is_active=False)
    EnrollmentFactory(user=late[0])
    second = ask(staff, first["pagination"]["next"])
    Enrollment.objects.filter(user=crowd[3]).update(is_active=True)
    Enrollment.objects.filter(user=crowd[0]).update(is_active=False)
    EnrollmentFactory(user=late[1])
    rest = []
    url = second["pagination"]["next"]
    while url is not None:
        rest.append(ask(staff, url))
        url = rest[-1]["pagination"]["next"]

    met = walked([first, second, *rest])
    assert sorted(met) == sorted(set(met))
    assert set(stay) | {user.username for user in late} <= set(met)
    assert crowd[8].username not in met


def test_a_walk_goes_on_when_all_that_were_left_have_gone(crowd: list[Any], staff: Any) -> None:
    first = ask(staff, f"{DETAIL}?cursor=&page_size=5")
    Enrollment.objects.filter(user__in=crowd[4:]).update(is_active=False)

    second = ask(staff, first["pagination"]["next"])

    assert (second["results"], second["pagination"]["next"]) == ([], None)
    assert usernames(ask(staff, second["pagination"]["previous"])) == [user.username for user in crowd[:4]]


def test_a_course_without_learners_is_an_empty_walk(course: Any, staff: Any) -> None:
    empty = {"pagination": {"next": None, "previous": None}, "results": []}

    for url in (DETAIL, f"{ROOT}course/course-v1:No+Such+Course/"):
        assert ask(staff, url, {"cursor": ""}) == empty


def test_a_course_key_in_other_letter_case_is_another_course(crowd: list[Any], staff: Any) -> None:
    url = f"{ROOT}course/course-v1:org+course+run/"

    assert ask(staff, url, {"cursor": ""})["results"] == []
    assert ask(staff, url, {"cursor": place("next", "user_id", None, 1)})["results"] == []


def test_a_cursor_has_no_effect_where_one_learner_is_asked_for(learner: Any, staff: Any) -> None:
    aggregate_stale()

    for user, name in ((staff, "ada"), (learner, "me")):
        for text in ("", "nonsense"):
            assert ask(user, DETAIL, {"username": name, "cursor": text}) == page(result(0.0, 6.0))


def test_a_cursor_lets_nobody_in(learner: Any) -> None:
    ask(learner, DETAIL, {"cursor": ""}, status=403)
    ask(None, DETAIL, {"cursor": ""}, status=401)


@pytest.mark.parametrize(
    "text",
    [
        "abc",
        "!",
        " ",
        "ü",
        "=",
        cursor("p=1"),
        cursor("null"),
        cursor("[]"),
        cursor("[" * 10_000),
        cursor("{}"),
        place("next", "user_id", None),
        place("next", "user_id", None, 1, 1),
        place("sideways", "user_id", None, 1),
        place(["next"], "user_id", None, 1),
        place("next", "username", "ada", 1),
        place("next", "user_id", None, "1"),
        place("next", "user_id", None, 1.5),
        place("next", "user_id", None, True),
        place("next", "user_id", None, -2),
        place("next", "user_id", None, 2**63),
        cursor('["next","user_id",null,' + "9" * 5_000 + "]"),
    ],
)
def test_what_is_no_cursor_is_not_found(crowd: list[Any], staff: Any, text: str) -> None:
    detail = ask(staff, DETAIL, {"cursor": text}, status=404)["detail"]

    assert detail == "Invalid cursor"
    assert ask(staff, f"{DETAIL}?{urlencode({'cursor': text})}", body={}, status=404)["detail"] == detail


def test_any_cursor_is_answered(client: Client, crowd: list[Any], staff: Any) -> None:
    client.force_login(staff)
    values = st.none() | st.booleans() | st.floats() | st.integers() | st.text()
    names = st.sampled_from(["user_id", "-percent", "username", "last_activity"])
    places = st.builds(place, st.sampled_from(["next", "previous"]), names, values, values | st.just(1))

    @settings(max_examples=100)
    @given(st.text() | st.text().map(cursor) | places, names)
    @example(place("next", "user_id", None, 2**63 - 1), "user_id")
    @example(place("next", "username", "\0", 1), "username")
    @example(place("next", "username", "\ud800", 1), "username")
    @example(place("next", "last_activity", "2026-01-01", 1), "last_activity")
    @example(place("previous", "last_activity", "0001-01-01T00:00:00+14:00", 1), "last_activity")
    @example(cursor('["next","-percent",NaN,1]'), "-percent")
    def run(text: str, ordering: str) -> None:
        response = client.get(DETAIL, {"cursor": text, "ordering": ordering})
        assert response.status_code in (200, 404)
        checked(response, response.status_code)

    run()


def test_each_page_of_a_walk_costs_the_same_and_counts_nothing(client: Client, crowd: list[Any], staff: Any) -> None:
    with_password(client, staff)
    url = f"{DETAIL}?{urlencode({'cursor': '', 'page_size': 6, 'requested_fields': 'chapter'})}"
    client.get(url)
    counts = []
    while url is not None:
        with CaptureQueriesContext(connection) as queries:
            url = client.get(url).json()["pagination"]["next"]
        counts.append(len(queries))
        assert not any("COUNT(" in each["sql"] or "OFFSET" in each["sql"] for each in queries)

    assert counts == [counts[0]] * 4
