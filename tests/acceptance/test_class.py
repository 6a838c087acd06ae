"""GET and POST course/<course_key>/ of staff who name nobody: filters, order, and what else may be requested."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from completion_aggregator.models import CourseAggregate
from completion_aggregator.services import aggregate_stale
from tests.acceptance.helpers import DETAIL, ask, class_page, nested, page, result, usernames
from tests.factories import (
    CohortFactory,
    EnrollmentFactory,
    MembershipFactory,
    RoleFactory,
    UserFactory,
    complete,
    key,
    publish_course,
)

HALF = ("html/h1", "html/h2", "problem/p1")
ALL = (*HALF, "html/h3", "html/h4", "video/m1")


@pytest.fixture
def people(course: Any) -> dict[str, Any]:
    """The class: ada has done nothing, bob half, cy all of it; dan was never aggregated, eve has left."""
    users = {}
    for name, first, last in (("ada", "Ada", "Lovelace"), ("bob", "Bob", "Ross"), ("cy", "", ""), ("dan", "Dan", "")):
        users[name] = UserFactory(username=name, first_name=first, last_name=last)
        EnrollmentFactory(user=users[name])
    users["eve"] = EnrollmentFactory(user=UserFactory(username="eve"), is_active=False).user
    complete(users["bob"], *HALF)
    complete(users["cy"], *ALL)
    complete(users["eve"], *HALF)
    aggregate_stale()
    CourseAggregate.objects.filter(user=users["dan"]).delete()
    lately = timezone.now() - timedelta(days=3)
    CourseAggregate.objects.filter(user=users["bob"]).update(last_modified=lately)
    return users


def names(staff: Any, **query: Any) -> list[str]:
    """Ask by page number, by cursor and by POST; return whom all of them tell of, in order."""
    answer = ask(staff, DETAIL, query)
    assert answer["pagination"]["count"] == len(answer["results"])
    assert ask(staff, DETAIL, query | {"cursor": ""})["results"] == answer["results"]
    assert ask(staff, DETAIL, body=query) == answer
    return usernames(answer)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"percent_min": "0.5"}, ["bob", "cy"]),
        # As programs write small numbers.
        ({"percent_min": "5e-1"}, ["bob", "cy"]),
        ({"percent_min": "1e-05"}, ["bob", "cy"]),
        ({"percent_max": "0.5"}, ["ada", "bob", "dan"]),
        ({"percent_min": ".25", "percent_max": "0.75"}, ["bob"]),
        ({"percent_max": "0"}, ["ada", "dan"]),
        ({"percent_min": "1"}, ["cy"]),
        ({"status": "not_started"}, ["ada", "dan"]),
        ({"status": "in_progress"}, ["bob"]),
        ({"status": "completed"}, ["cy"]),
        ({"search": "LOVE"}, ["ada"]),
        ({"search": "cy"}, ["cy"]),
        ({"search": " "}, ["ada", "bob", "cy", "dan"]),
        ({"inactive_days": "2"}, ["ada", "bob", "dan"]),
        ({"inactive_days": "4"}, ["ada", "dan"]),
        ({"inactive_days": "0.5", "percent_min": "0.1"}, ["bob"]),
        ({"exclude_roles": "beta"}, ["ada", "bob", "cy"]),
        ({"roles": "beta_testers,staff"}, ["dan"]),
        ({"percent_min": "", "search": "", "status": "", "ordering": ""}, ["ada", "bob", "cy", "dan"]),
    ],
)
def test_filters(people: dict[str, Any], staff: Any, query: dict[str, str], expected: list[str]) -> None:
    RoleFactory(user=people["dan"], role="beta_testers")

    assert names(staff, **query) == expected


def test_numbers_are_numbers_in_a_post(people: dict[str, Any], staff: Any) -> None:
    body = {"percent_min": 0.5, "percent_max": 1, "inactive_days": 1}

    assert usernames(ask(staff, DETAIL, body=body)) == ["bob"]


def test_cohorts_keep_their_members(people: dict[str, Any], staff: Any) -> None:
    owls = CohortFactory()
    MembershipFactory(user=people["bob"], cohort=owls)

    # Not cohorted: no effect.
    assert usernames(ask(staff, DETAIL, {"cohorts": str(owls.pk)})) == ["ada", "bob", "cy", "dan"]
    publish_course(cohorts=["more"])
    assert usernames(ask(staff, DETAIL, {"cohorts": str(owls.pk)})) == ["bob"]
    assert usernames(ask(staff, DETAIL, body={"cohorts": [owls.pk]})) == ["bob"]
    ask(staff, DETAIL, {"cohorts": "999999"}, status=400)


@pytest.mark.parametrize(
    ("ordering", "expected"),
    [
        ("percent", ["dan", "ada", "bob", "cy"]),
        ("-percent", ["cy", "bob", "ada", "dan"]),
        ("username", ["ada", "bob", "cy", "dan"]),
        ("-username", ["dan", "cy", "bob", "ada"]),
        ("last_activity", ["ada", "dan", "bob", "cy"]),
        ("-last_activity", ["cy", "bob", "dan", "ada"]),
        ("-user_id", ["dan", "cy", "bob", "ada"]),
    ],
)
def test_orderings(people: dict[str, Any], staff: Any, ordering: str, expected: list[str]) -> None:
    assert names(staff, ordering=ordering) == expected
    pages = [ask(staff, DETAIL, {"ordering": ordering, "page_size": 1, "page": n + 1}) for n in range(4)]
    assert [name for each in pages for name in usernames(each)] == expected
    url: str | None = f"{DETAIL}?ordering={ordering}&cursor=&page_size=3"
    walked = []
    while url is not None:
        answer = ask(staff, url)
        walked += usernames(answer)
        url = answer["pagination"]["next"]
    assert walked == expected


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("percent_min", ["abc", "-0.1", "1.1", "50%", "nan", "inf", "1e1", "1e999", "٣", "0.5,", "\0", "9" * 5_000]),
        ("percent_max", ["abc", "-1", "2"]),
        ("inactive_days", ["abc", "-1", "36501", "1" * 400]),
        ("search", ["x" * 256, "\0"]),
        ("status", ["done", "not_started,completed", "NOT_STARTED", "\0"]),
        ("ordering", ["age", "percent,username", "--percent", "-", "user__password"]),
        ("cohorts", ["abc", "0"]),
        ("roles", ["\0"]),
    ],
)
def test_a_value_that_is_none_is_refused_by_name(
    people: dict[str, Any], staff: Any, name: str, values: list[str]
) -> None:
    publish_course(cohorts=["owls"])
    for value in values:
        detail = ask(staff, DETAIL, {name: value}, status=400)["detail"]
        assert detail.startswith(f"{name} ")


@pytest.mark.parametrize("name", ["percent_min", "percent_max", "inactive_days", "search", "status", "ordering"])
@pytest.mark.parametrize("value", [True, [0.5], {"a": 1}, [], -1, 10**400])
def test_a_value_of_another_type_is_refused_in_a_post(people: Any, staff: Any, name: str, value: Any) -> None:
    assert ask(staff, DETAIL, body={name: value}, status=400)["detail"].startswith(f"{name} ")


def test_filters_are_for_those_who_ask_for_everybody(people: dict[str, Any], staff: Any) -> None:
    ask(people["bob"], DETAIL, {"percent_min": "0.1"}, status=403)
    # Of one learner, they have no effect.
    assert ask(people["bob"], DETAIL, {"username": "me", "percent_min": "1", "ordering": "x"}) == page(result(3.0, 6.0))
    course_staff = RoleFactory().user
    assert usernames(ask(course_staff, DETAIL, {"status": "completed"})) == ["cy"]


def test_as_of_tells_when_and_whether_it_holds(people: dict[str, Any], staff: Any) -> None:
    complete(people["bob"], "html/h3")
    computed_at = {row.user_id: row.computed_at.isoformat() for row in CourseAggregate.objects.all()}
    computed_at = {user_id: text.replace("+00:00", "Z") for user_id, text in computed_at.items()}

    results = ask(staff, DETAIL, {"requested_fields": "as_of"})["results"]
    assert {each["username"]: each["as_of"] for each in results} == {
        "ada": {"computed_at": computed_at[people["ada"].pk], "is_stale": False},
        "bob": {"computed_at": computed_at[people["bob"].pk], "is_stale": True},
        "cy": {"computed_at": computed_at[people["cy"].pk], "is_stale": False},
        "dan": {"computed_at": None, "is_stale": True},
    }
    # The learner's own answer is recalculated, and tells of what is stored.
    as_of = {"computed_at": computed_at[people["bob"].pk], "is_stale": True}
    assert ask(people["bob"], DETAIL, {"username": "me", "requested_fields": "as_of"}) == page(
        result(4.0, 6.0, as_of=as_of)
    )


def test_names_tell_what_learners_and_blocks_are_called(people: dict[str, Any], staff: Any) -> None:
    query = {"requested_fields": "names,chapter", "search": "o"}
    bob, ada = (
        [each | {"display_name": each["block_key"].split("@")[1].split("+")[0] + "/" + each["block_key"][-2:]}
         for each in nested(("chapter/c1", first, 4.0), ("chapter/c2", 0.0, 2.0))]
        for first in (3.0, 0.0)
    )  # fmt: skip

    assert ask(staff, DETAIL, query) == class_page(
        result(0.0, 6.0, username="ada", name="Ada Lovelace", chapter=ada),
        result(3.0, 6.0, username="bob", name="Bob Ross", chapter=bob),
    )
    (cy,) = ask(staff, DETAIL, {"requested_fields": "names", "status": "completed"})["results"]
    assert cy["name"] == ""
    assert ask(people["bob"], DETAIL, {"username": "me", "requested_fields": "names"}) == page(
        result(3.0, 6.0, name="Bob Ross")
    )


def test_names_and_as_of_are_not_for_lists_and_statistics(learner: Any) -> None:
    for name in ("as_of", "names", "user_id"):
        ask(learner, "/api/completion/v1/course/", {"username": "me", "requested_fields": name}, status=400)
    ask(learner, DETAIL, {"username": "me", "requested_fields": "user_id"}, status=400)


def test_root_block_and_filters_work_together(people: dict[str, Any], staff: Any) -> None:
    # The filters are about the course.
    query = {"root_block": key("chapter/c2"), "percent_min": "0.5"}

    assert ask(staff, DETAIL, query) == class_page(result(0.0, 2.0, username="bob"), result(2.0, 2.0, username="cy"))


def test_links_keep_filters_and_order(client: Client, people: dict[str, Any], staff: Any) -> None:
    query = {"ordering": "-percent", "percent_max": "0.9", "page_size": "1", "search": "a"}
    first = ask(staff, DETAIL, query)
    assert usernames(first) == ["ada"]
    assert usernames(ask(staff, first["pagination"]["next"])) == ["dan"]
