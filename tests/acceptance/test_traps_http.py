"""What the existing plugin got wrong over HTTP: one test for each trap, named after it."""

from __future__ import annotations

from typing import Any

import pytest
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model

from completion_aggregator.services import aggregate_stale
from sample_lms.models import Course, Enrollment
from tests.acceptance.helpers import DETAIL, LIST, OTHER_KEY, ROOT, STATS, ask, listed, nested, page, result, usernames
from tests.factories import (
    COURSE_KEY,
    SMALL_COURSE,
    CohortFactory,
    EnrollmentFactory,
    MembershipFactory,
    RoleFactory,
    UserFactory,
    block,
    complete,
    key,
    publish_course,
)

ALL_SIX = ("html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")


@pytest.fixture
def pair(learner: Any) -> tuple[Any, Any]:
    """Ada, who has done everything, and bob, who has done nothing; all aggregated."""
    bob = EnrollmentFactory(user=UserFactory(username="bob")).user
    complete(learner, *ALL_SIX)
    aggregate_stale()
    return learner, bob


def mean_completion(user: Any, query: dict[str, Any] | None = None) -> dict[str, float]:
    (found,) = ask(user, STATS, query)["results"]
    return dict(found["mean_completion"])


# --- wrong values ---------------------------------------------------------------------------------------------------


def test_trap_1_stats_of_a_cohort_are_those_of_its_members(pair: tuple[Any, Any], staff: Any) -> None:
    Course.objects.update(cohorted=True)
    cohort = CohortFactory()
    MembershipFactory(user=pair[0], cohort=cohort)

    expected = {"earned": 6.0, "possible": 6.0, "percent": 1.0}
    assert mean_completion(staff, {"cohorts": cohort.pk}) == expected


def test_trap_1_an_empty_exclude_roles_excludes_nobody(pair: tuple[Any, Any], staff: Any) -> None:
    RoleFactory(user=pair[0])
    expected = {"earned": 3.0, "possible": 6.0, "percent": 0.5}

    assert mean_completion(staff, {"exclude_roles": ""}) == expected


def test_trap_1_a_role_in_another_course_excludes_nobody(pair: tuple[Any, Any], staff: Any) -> None:
    RoleFactory(user=pair[0], course_id=OTHER_KEY)
    expected = {"earned": 3.0, "possible": 6.0, "percent": 0.5}

    assert mean_completion(staff, {"exclude_roles": "staff"}) == expected


def test_trap_2_the_mean_stays_below_one_when_learners_leave(pair: tuple[Any, Any], staff: Any) -> None:
    more = [EnrollmentFactory().user for _ in range(3)]
    for user in more:
        complete(user, *ALL_SIX)
    aggregate_stale()
    Enrollment.objects.filter(user__in=more).update(is_active=False)

    assert ask(staff, STATS, {"requested_fields": "mean"})["results"][0]["mean"] == 0.5
    assert [each["mean"] for each in ask(staff, DETAIL, {"requested_fields": "mean"})["results"]] == [0.5, 0.5]


def test_trap_2_the_mean_does_not_wait_for_a_cache_once_something_was_aggregated(
    pair: tuple[Any, Any], staff: Any, django_capture_on_commit_callbacks: Any
) -> None:
    assert ask(staff, STATS, {"requested_fields": "mean"})["results"][0]["mean"] == 0.5
    complete(pair[1], *ALL_SIX)
    with django_capture_on_commit_callbacks(execute=True):
        aggregate_stale()

    assert ask(staff, STATS, {"requested_fields": "mean"})["results"][0]["mean"] == 1.0


def test_trap_3_values_go_down_when_the_lms_resets_a_learner(pair: tuple[Any, Any], staff: Any) -> None:
    BlockCompletion.objects.filter(user=pair[0], block_key__in=[key("html/h1"), key("html/h2")]).delete()
    chapters = nested(("chapter/c1", 2.0, 4.0), ("chapter/c2", 2.0, 2.0))
    expected = page(result(4.0, 6.0, chapter=chapters))

    query = {"username": "ada", "requested_fields": "chapter"}
    assert ask(staff, DETAIL, query) == expected
    aggregate_stale()
    assert ask(staff, DETAIL, query) == expected


@pytest.mark.parametrize("is_aggregated", [False, True])
def test_trap_6_blocks_removed_from_the_course_never_show(
    pair: tuple[Any, Any], staff: Any, is_aggregated: bool
) -> None:
    first, *others = SMALL_COURSE
    place = next(i for i, each in enumerate(others) if each.display_name == "chapter/c2")
    publish_course([block(first.display_name, "chapter/c1"), *others[:place]])
    if is_aggregated:
        aggregate_stale()

    (found,) = ask(staff, DETAIL, {"username": "ada", "requested_fields": "chapter"})["results"]
    assert found == result(4.0, 4.0, chapter=nested(("chapter/c1", 4.0, 4.0)))
    everybody = ask(staff, DETAIL, {"requested_fields": "chapter"})["results"]
    shown = [[each["block_key"] for each in found["chapter"]] for found in everybody]
    assert shown == [[key("chapter/c1")], [key("chapter/c1")]]


@pytest.mark.parametrize("is_stale", [False, True])
def test_trap_7_root_block_works_whether_or_not_the_learner_is_stale(
    pair: tuple[Any, Any], staff: Any, is_stale: bool
) -> None:
    if is_stale:
        complete(pair[0], "video/m1", value=0.5)

    query = {"root_block": key("chapter/c1"), "requested_fields": "chapter"}
    chapters = nested(("chapter/c1", 4.0, 4.0))
    assert ask(staff, DETAIL, query | {"username": "ada"}) == page(result(4.0, 4.0, chapter=chapters))
    first = ask(staff, DETAIL, query)["results"][0]
    assert first == listed(result(4.0, 4.0, chapter=chapters, username="ada"))


def test_trap_7_the_course_keeps_its_value_when_the_learner_is_stale(pair: tuple[Any, Any]) -> None:
    complete(pair[0], "video/m1", value=0.5)

    assert ask(pair[0], DETAIL, {"username": "me"}) == page(result(5.5, 6.0))
    assert ask(pair[0], LIST, {"username": "me"}) == page(result(5.5, 6.0))


@pytest.mark.parametrize("is_aggregated", [False, True])
def test_trap_11_a_block_with_two_parents_counts_once(learner: Any, staff: Any, is_aggregated: bool) -> None:
    publish_course(
        [
            block("course/course", "chapter/c1", "chapter/c2"),
            block("chapter/c1", "html/h1"),
            block("html/h1"),
            block("chapter/c2", "html/h1", "html/h2"),
            block("html/h2"),
        ]
    )
    complete(learner, "html/h1")
    if is_aggregated:
        aggregate_stale()

    chapters = nested(("chapter/c1", 1.0, 1.0), ("chapter/c2", 1.0, 2.0))
    answer = ask(staff, DETAIL, {"username": "ada", "requested_fields": "chapter"})
    assert answer == page(result(1.0, 2.0, chapter=chapters))


def test_trap_18_a_learner_who_was_renamed_keeps_the_completion(pair: tuple[Any, Any], staff: Any) -> None:
    complete(pair[0], "video/m1", value=0.5)
    get_user_model().objects.filter(pk=pair[0].pk).update(username="countess")

    assert ask(staff, DETAIL, {"username": "countess"}) == page(result(5.5, 6.0))
    ask(staff, DETAIL, {"username": "ada"}, status=404)
    aggregate_stale()
    assert usernames(ask(staff, DETAIL)) == ["countess", "bob"]
    assert ask(staff, DETAIL, {"username": "countess"}) == page(result(5.5, 6.0))


# --- crashes --------------------------------------------------------------------------------------------------------


def test_crash_stats_with_cohorts_that_are_no_number(pair: tuple[Any, Any], staff: Any) -> None:
    ask(staff, STATS, {"cohorts": "abc"}, status=400)


def test_crash_user_ids_that_are_no_number(pair: tuple[Any, Any], staff: Any) -> None:
    ask(staff, DETAIL, {"user_ids": "abc"}, status=400)
    ask(staff, DETAIL, body={"user_ids": "abc"}, status=400)
    ask(staff, DETAIL, body={"user_ids": ["abc"]}, status=400)


def test_crash_stats_with_mean(pair: tuple[Any, Any], staff: Any) -> None:
    assert ask(staff, STATS, {"requested_fields": "mean"})["results"][0]["mean"] == 0.5


def test_crash_stats_with_a_block_type(pair: tuple[Any, Any], staff: Any) -> None:
    ask(staff, STATS, {"requested_fields": "sequential"}, status=400)


def test_crash_an_invalid_course_key(pair: tuple[Any, Any], staff: Any) -> None:
    for endpoint in ("course", "stats"):
        ask(staff, f"{ROOT}{endpoint}/nonsense/", status=404)


def test_crash_user_ids_as_a_text_are_not_read_digit_by_digit(pair: tuple[Any, Any], staff: Any) -> None:
    digits = "".join(str(user.pk) for user in pair)

    ask(staff, DETAIL, body={"user_ids": digits}, status=400)


# --- who gets in ----------------------------------------------------------------------------------------------------


def test_who_gets_in_stats_are_not_open_to_anybody_logged_in(pair: tuple[Any, Any]) -> None:
    ask(UserFactory(), STATS, status=403)
    ask(None, STATS, status=401)


def test_who_gets_in_course_teams_see_everybody_in_their_course(pair: tuple[Any, Any]) -> None:
    assert usernames(ask(RoleFactory(role="instructor").user, DETAIL)) == ["ada", "bob"]


def test_who_gets_in_a_page_of_a_million_is_cut_to_ten_thousand(course: Any, staff: Any) -> None:
    users = get_user_model()
    users.objects.bulk_create(users(username=f"u{i}") for i in range(10_002))
    ids = users.objects.filter(username__startswith="u").values_list("pk", flat=True)
    Enrollment.objects.bulk_create(Enrollment(user_id=pk, course_id=COURSE_KEY) for pk in ids)

    answer = ask(staff, DETAIL, {"page_size": "1000000"})
    assert (len(answer["results"]), answer["pagination"]["count"]) == (10_000, 10_002)
