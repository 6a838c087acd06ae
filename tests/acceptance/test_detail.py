"""GET and POST course/<course_key>/, over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey
from waffle.testutils import override_flag

from completion_aggregator.models import BlockAggregate, CourseAggregate, StaleCompletion
from completion_aggregator.services import aggregate_stale, mark_learners
from sample_lms.models import Course, Enrollment
from tests.acceptance.helpers import (
    DETAIL,
    EVERYTHING,
    OTHER_KEY,
    ROOT,
    UNKNOWN,
    ask,
    class_page,
    done,
    listed,
    nested,
    page,
    result,
    usernames,
)
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
    small_course,
)

URL = f"/api/completion/v1/course/{COURSE_KEY}/"
OLD_KEY = CourseKey.from_string("Org/Course/Run")

#: With html/h1 and problem/p1 done.
CHAPTERS = nested(("chapter/c1", 2.0, 4.0), ("chapter/c2", 0.0, 2.0))
SEQUENTIALS = nested(("sequential/s1", 2.0, 3.0), ("sequential/s2", 0.0, 1.0), ("sequential/s3", 0.0, 2.0))
VERTICALS = nested(
    ("vertical/v1", 1.0, 2.0), ("vertical/v2", 1.0, 1.0), ("vertical/v3", 0.0, 1.0), ("vertical/v4", 0.0, 2.0)
)


@pytest.fixture
def fresh(learner: Any) -> Any:
    """A learner who has done two of six things, all aggregated."""
    complete(learner, "html/h1", "problem/p1")
    aggregate_stale()
    return learner


def without(*names: str) -> list[Any]:
    """Return the small course without these blocks (and what hangs below stays, unreachable blocks too)."""
    gone = set(map(key, names))
    blocks = [each for each in SMALL_COURSE if each.key not in gone]
    titles = {each.key: each.display_name for each in SMALL_COURSE}
    return [block(each.display_name, *(titles[c] for c in each.children if c not in gone)) for each in blocks]


WITHOUT_C2 = without("chapter/c2", "sequential/s3", "vertical/v4", "html/h4", "video/m1")


# --- shapes ---------------------------------------------------------------------------------------------------------


def test_a_learner_sees_the_own_completion(client: Client, learner: Any) -> None:
    complete(learner, "html/h1", "problem/p1")
    aggregate_stale()
    client.force_login(learner)

    response = client.get(URL, {"username": "ada", "requested_fields": "chapter"})

    assert response.status_code == 200
    assert response.json() == {
        "pagination": {"next": None, "previous": None, "count": 1, "num_pages": 1},
        "results": [
            {
                "course_key": str(COURSE_KEY),
                "completion": {"earned": 2.0, "possible": 6.0, "percent": 2 / 6},
                "chapter": [
                    {
                        "course_key": str(COURSE_KEY),
                        "block_key": key("chapter/c1"),
                        "completion": {"earned": 2.0, "possible": 4.0, "percent": 0.5},
                    },
                    {
                        "course_key": str(COURSE_KEY),
                        "block_key": key("chapter/c2"),
                        "completion": {"earned": 0.0, "possible": 2.0, "percent": 0.0},
                    },
                ],
            }
        ],
    }


def test_without_requested_fields_only_the_course_is_told(fresh: Any) -> None:
    assert ask(fresh, DETAIL, {"username": "ada"}) == page(result(2.0, 6.0))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("course", nested(("course/course", 2.0, 6.0))),
        ("chapter", CHAPTERS),
        ("sequential", SEQUENTIALS),
        ("vertical", VERTICALS),
        ("username", "ada"),
        ("mean", 2 / 6),
    ],
)
def test_each_field_can_be_requested(fresh: Any, field: str, value: Any) -> None:
    expected = page(result(2.0, 6.0, **{field: value}))

    assert ask(fresh, DETAIL, {"username": "ada", "requested_fields": field}) == expected
    assert ask(fresh, DETAIL, body={"username": "ada", "requested_fields": field}) == expected
    assert ask(fresh, DETAIL, body={"username": "ada", "requested_fields": [field]}) == expected


@pytest.mark.parametrize("is_stale", [False, True])
def test_all_fields_can_be_requested_at_once(fresh: Any, is_stale: bool) -> None:
    if is_stale:
        mark_learners(COURSE_KEY, [fresh.pk])
    expected = page(
        result(
            2.0,
            6.0,
            course=nested(("course/course", 2.0, 6.0)),
            chapter=CHAPTERS,
            sequential=SEQUENTIALS,
            vertical=VERTICALS,
            username="ada",
            mean=2 / 6,
        )
    )

    assert ask(fresh, DETAIL, {"username": "ada", "requested_fields": EVERYTHING}) == expected
    assert ask(fresh, DETAIL, body={"username": "ada", "requested_fields": EVERYTHING}) == expected
    assert ask(fresh, DETAIL, body={"username": "ada", "requested_fields": EVERYTHING.split(",")}) == expected


def test_blanks_and_repetitions_in_requested_fields_do_not_matter(fresh: Any) -> None:
    expected = page(result(2.0, 6.0, chapter=CHAPTERS, username="ada"))

    query = {"username": "ada", "requested_fields": " chapter ,username,,chapter,"}
    assert ask(fresh, DETAIL, query) == expected


def test_unknown_requested_fields_are_named_in_order(fresh: Any) -> None:
    query = {"username": "ada", "requested_fields": "zebra,chapter,html,aardvark"}

    detail = ask(fresh, DETAIL, query, status=400)["detail"]
    assert "aardvark, html, zebra" in detail
    assert "chapter" not in detail
    assert ask(fresh, DETAIL, body=query, status=400)["detail"] == detail


def test_the_setting_says_which_block_types_can_be_requested(fresh: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_BLOCK_TYPES = {"course", "chapter"}

    ask(fresh, DETAIL, {"username": "ada", "requested_fields": "vertical"}, status=400)
    expected = page(result(2.0, 6.0, chapter=CHAPTERS))
    assert ask(fresh, DETAIL, {"username": "ada", "requested_fields": "chapter"}) == expected


def test_a_course_without_blocks_of_a_type_gives_an_empty_list(learner: Any) -> None:
    publish_course([block("course/course", "html/h1"), block("html/h1")])
    aggregate_stale()

    expected = page(result(0.0, 1.0, chapter=[]))
    assert ask(learner, DETAIL, {"username": "me", "requested_fields": "chapter"}) == expected


OPTIONAL_COURSE = (
    block("course/course", "chapter/c1", "chapter/c2"),
    block("chapter/c1", "html/h1", "html/h2"),
    block("html/h1"),
    block("html/h2", optional=True),
    block("chapter/c2", "html/h3", optional=True),
    block("html/h3"),
)


@pytest.mark.parametrize("is_stale", [False, True])
@pytest.mark.parametrize("wants_all", [False, True])
def test_include_optional_adds_optional_completion_everywhere(
    learner: Any, staff: Any, is_stale: bool, wants_all: bool
) -> None:
    publish_course(OPTIONAL_COURSE)
    complete(learner, "html/h2")
    aggregate_stale()
    if is_stale:
        mark_learners(COURSE_KEY, [learner.pk])
    first, second = nested(("chapter/c1", 0.0, 1.0), ("chapter/c2", 0.0, 0.0))
    expected = result(0.0, 1.0, optional_completion=done(1.0, 2.0), username="ada")
    expected["chapter"] = [
        first | {"optional_completion": done(1.0, 1.0)},
        second | {"optional_completion": done(0.0, 1.0)},
    ]
    if wants_all:
        expected = listed(expected)
    who = {} if wants_all else {"username": "ada"}

    query = who | {"requested_fields": "chapter,username"}
    for yes in ("true", "True", "1"):
        assert ask(staff, DETAIL, query | {"include_optional": yes}) == page(expected)
    assert ask(staff, DETAIL, body=query | {"include_optional": True}) == page(expected)
    del expected["optional_completion"]
    expected["chapter"] = [first, second]
    for no in ("false", "False", "0", ""):
        assert ask(staff, DETAIL, query | {"include_optional": no}) == page(expected)
    assert ask(staff, DETAIL, body=query | {"include_optional": False}) == page(expected)
    assert ask(staff, DETAIL, body=query | {"include_optional": None}) == page(expected)


def test_nothing_to_do_is_done(learner: Any) -> None:
    publish_course(
        [
            block("course/course", "chapter/c1", "chapter/c2"),
            block("chapter/c1", "html/h1"),
            block("html/h1"),
            block("chapter/c2", "discussion/d1"),
            block("discussion/d1"),
        ]
    )
    aggregate_stale()

    answer = ask(learner, DETAIL, {"username": "me", "requested_fields": "chapter"})
    assert [each["completion"] for each in answer["results"][0]["chapter"]] == [
        {"earned": 0.0, "possible": 1.0, "percent": 0.0},
        {"earned": 0.0, "possible": 0.0, "percent": 1.0},
    ]


def test_an_empty_course_is_complete(learner: Any) -> None:
    publish_course([block("course/course")])
    for _ in range(2):
        answer = ask(learner, DETAIL, {"username": "me"})
        assert answer["results"][0]["completion"] == {"earned": 0.0, "possible": 0.0, "percent": 1.0}
        aggregate_stale()


def test_percent_is_exactly_earned_by_possible(learner: Any) -> None:
    complete(learner, "html/h1", value=0.1)
    complete(learner, "html/h2", value=0.2)
    aggregate_stale()

    completion = ask(learner, DETAIL, {"username": "me"})["results"][0]["completion"]
    assert completion == {"earned": 0.1 + 0.2, "possible": 6.0, "percent": (0.1 + 0.2) / 6}
    assert all(isinstance(value, float) for value in completion.values())


# --- what the learner sees ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_aggregated", [False, True])
def test_only_blocks_that_the_learner_can_see_show_and_count(staff: Any, is_aggregated: bool) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    publish_course(
        [
            block("course/course", *(f"chapter/{name}" for name in ("open", "later", "owls", "staff"))),
            *(block(f"chapter/{name}", f"html/{name}", **flags) for name, flags in {
                "open": {}, "later": {"start": tomorrow}, "owls": {"cohorts": ("Owls",)}, "staff": {"staff_only": True},
            }.items()),
            *(block(f"html/{name}") for name in ("open", "later", "owls", "staff")),
        ],
        cohorts=["Owls"],
    )  # fmt: skip
    owls = CohortFactory._meta.model.objects.get(name="Owls")
    for name in ("ada", "owl", "tutor"):
        EnrollmentFactory(user=UserFactory(username=name))
    MembershipFactory(user=get_user_model().objects.get(username="owl"), cohort=owls)
    RoleFactory(user=get_user_model().objects.get(username="tutor"))
    if is_aggregated:
        aggregate_stale()
    visible = {
        "ada": ["open"],
        "owl": ["open", "owls"],
        "tutor": ["open", "later", "owls", "staff"],
    }

    for name, chapters in visible.items():
        expected = nested(*((f"chapter/{chapter}", 0.0, 1.0) for chapter in chapters))
        answer = ask(staff, DETAIL, {"username": name, "requested_fields": "chapter"})
        assert answer == page(result(0.0, len(chapters), chapter=expected)), name
        if is_aggregated:
            everybody = ask(staff, DETAIL, {"requested_fields": "chapter"})["results"]
            assert [each["chapter"] for each in everybody if each["username"] == name] == [expected]


def test_a_block_shows_from_its_release_on(learner: Any) -> None:
    soon = timezone.now() + timedelta(days=1)
    publish_course(
        [
            block("course/course", "chapter/c1", "chapter/c2"),
            block("chapter/c1", "html/h1"),
            block("html/h1"),
            block("chapter/c2", "html/h2", start=soon),
            block("html/h2"),
        ]
    )
    aggregate_stale()
    query = {"username": "me", "requested_fields": "chapter"}
    before = ask(learner, DETAIL, query)
    # The day passes: what was tomorrow when it was aggregated is yesterday now.
    publish_course(
        [
            block("course/course", "chapter/c1", "chapter/c2"),
            block("chapter/c1", "html/h1"),
            block("html/h1"),
            block("chapter/c2", "html/h2", start=soon - timedelta(days=2)),
            block("html/h2"),
        ]
    )

    assert before == page(result(0.0, 1.0, chapter=nested(("chapter/c1", 0.0, 1.0))))
    after = nested(("chapter/c1", 0.0, 1.0), ("chapter/c2", 0.0, 1.0))
    assert ask(learner, DETAIL, query) == page(result(0.0, 2.0, chapter=after))


def test_blocks_come_in_course_order_before_and_after_aggregation(fresh: Any, staff: Any) -> None:
    titles = {each.key: each.display_name for each in SMALL_COURSE}
    course, *others = SMALL_COURSE
    turned = [block("course/course", *(titles[child] for child in reversed(course.children)))]
    second = next(place for place, each in enumerate(others) if each.display_name == "chapter/c2")
    publish_course(turned + others[second:] + others[:second])
    expected = CHAPTERS[::-1]

    for who in ({"username": "ada"}, {}):
        for _ in range(2):
            (answer,) = ask(staff, DETAIL, who | {"requested_fields": "chapter"})["results"]
            assert answer["chapter"] == expected
        aggregate_stale()


def test_blocks_that_left_the_course_never_show(fresh: Any, staff: Any) -> None:
    complete(fresh, "html/h4")
    aggregate_stale()
    publish_course(WITHOUT_C2)
    query = {"requested_fields": "chapter,sequential"}
    chapters, sequentials = CHAPTERS[:1], SEQUENTIALS[:2]

    # Not aggregated since: one learner is recalculated; everybody's stored values may lag, but not their blocks.
    one = page(result(2.0, 4.0, chapter=chapters, sequential=sequentials))
    assert ask(staff, DETAIL, query | {"username": "ada"}) == one
    stored = result(3.0, 6.0, chapter=chapters, sequential=sequentials, username="ada")
    assert ask(staff, DETAIL, query) == class_page(stored)

    aggregate_stale()
    assert ask(staff, DETAIL, query | {"username": "ada"}) == one
    everybody = class_page(result(2.0, 4.0, chapter=chapters, sequential=sequentials, username="ada"))
    assert ask(staff, DETAIL, query) == everybody


# --- never aggregated, stale ----------------------------------------------------------------------------------------


def test_one_learner_who_was_never_aggregated_is_computed_on_the_spot(learner: Any) -> None:
    complete(learner, "html/h1", "problem/p1")

    expected = page(result(2.0, 6.0, chapter=CHAPTERS))
    assert ask(learner, DETAIL, {"username": "me", "requested_fields": "chapter"}) == expected
    assert ask(learner, DETAIL, body={"username": "me", "requested_fields": "chapter"}) == expected
    assert not CourseAggregate.objects.exists()


def test_course_wide_a_learner_who_was_never_aggregated_is_unknown(learner: Any, staff: Any) -> None:
    complete(learner, "html/h1")

    expected = {"course_key": str(COURSE_KEY), "completion": UNKNOWN, "username": "ada"}
    assert ask(staff, DETAIL) == class_page(expected)
    optional = {"optional_completion": UNKNOWN}
    assert ask(staff, DETAIL, {"include_optional": "true"}) == class_page(expected | optional)
    assert ask(staff, DETAIL, {"requested_fields": "chapter"}) == class_page(expected | {"chapter": []})


def test_a_stale_learner_is_recalculated_for_this_answer_only(fresh: Any, staff: Any) -> None:
    complete(fresh, "html/h2")
    BlockCompletion.objects.filter(user=fresh, block_key=key("problem/p1"))[0].delete()
    complete(fresh, "html/h3", "html/h4")

    chapters = nested(("chapter/c1", 3.0, 4.0), ("chapter/c2", 1.0, 2.0))
    for _ in range(2):
        answer = ask(fresh, DETAIL, {"username": "me", "requested_fields": "chapter"})
        assert answer == page(result(4.0, 6.0, chapter=chapters))
    # Course-wide, what is stored is served as it is.
    assert ask(staff, DETAIL, {"requested_fields": "chapter"}) == class_page(
        result(2.0, 6.0, chapter=CHAPTERS, username="ada")
    )
    aggregate_stale()
    assert ask(staff, DETAIL, {"requested_fields": "chapter"}) == class_page(
        result(4.0, 6.0, chapter=chapters, username="ada")
    )


def test_a_learner_is_stale_in_one_course_and_fresh_in_another(fresh: Any) -> None:
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    EnrollmentFactory(user=fresh, course_id=OTHER_KEY)
    aggregate_stale()
    complete(fresh, "html/h1", course_key=OTHER_KEY)
    # Only a fresh answer comes from what is stored.
    CourseAggregate.objects.update(earned=5.0)

    assert ask(fresh, DETAIL, {"username": "me"}) == page(result(5.0, 6.0))
    assert ask(fresh, f"{ROOT}course/{OTHER_KEY}/", {"username": "me"}) == page(result(1.0, 6.0, OTHER_KEY))


def test_with_the_waffle_flag_a_stale_learner_is_computed_without_looking_at_what_is_stored(fresh: Any) -> None:
    complete(fresh, "html/h2")
    CourseAggregate.objects.update(earned=1.0, possible=99)
    BlockAggregate.objects.update(earned=1.0, possible=99)

    with override_flag("completion_aggregator.aggregate_stale_from_scratch", active=True):
        answer = ask(fresh, DETAIL, {"username": "me", "requested_fields": "chapter"})

    chapters = nested(("chapter/c1", 3.0, 4.0), ("chapter/c2", 0.0, 2.0))
    assert answer == page(result(3.0, 6.0, chapter=chapters))


def test_a_published_version_that_nobody_marked_is_noticed(fresh: Any) -> None:
    publish_course(WITHOUT_C2)
    StaleCompletion.objects.all().delete()

    assert ask(fresh, DETAIL, {"username": "me"}) == page(result(2.0, 4.0))


# --- for whom -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ada", "ADA", "Ada", "me", "ME"])
def test_a_learner_may_say_the_own_name_in_any_letter_case_or_me(fresh: Any, name: str) -> None:
    assert ask(fresh, DETAIL, {"username": name}) == page(result(2.0, 6.0))
    assert ask(fresh, DETAIL, body={"username": name}) == page(result(2.0, 6.0))


def test_in_a_post_the_username_is_in_the_body(fresh: Any) -> None:
    ask(fresh, DETAIL, {"username": "me"}, body={}, status=403)


def test_staff_may_ask_for_another(fresh: Any, staff: Any) -> None:
    assert ask(staff, DETAIL, {"username": "ada"}) == page(result(2.0, 6.0))
    assert ask(staff, DETAIL, body={"username": "ada"}) == page(result(2.0, 6.0))
    ask(staff, DETAIL, {"username": "nobody"}, status=404)
    ask(staff, DETAIL, body={"username": "nobody"}, status=404)


def test_staff_who_ask_for_themselves_need_an_enrollment(course: Any, staff: Any) -> None:
    ask(staff, DETAIL, {"username": "me"}, status=404)
    EnrollmentFactory(user=staff)
    assert ask(staff, DETAIL, {"username": "me"}) == page(result(0.0, 6.0))


def test_without_an_active_enrollment_there_is_nothing_to_see(fresh: Any, staff: Any) -> None:
    Enrollment.objects.filter(user=fresh).update(is_active=False)
    ask(fresh, DETAIL, {"username": "me"}, status=404)
    ask(staff, DETAIL, {"username": "ada"}, status=404)
    assert ask(staff, DETAIL) == page()

    Enrollment.objects.filter(user=fresh).delete()
    ask(fresh, DETAIL, {"username": "me"}, status=404)


def test_an_enrollment_elsewhere_does_not_help(fresh: Any) -> None:
    publish_course(small_course(OTHER_KEY), OTHER_KEY)

    ask(fresh, f"{ROOT}course/{OTHER_KEY}/", {"username": "me"}, status=404)


def test_course_staff_see_everybody_in_their_course(fresh: Any) -> None:
    tutor = RoleFactory(user=UserFactory(username="tutor")).user

    assert ask(tutor, DETAIL) == class_page(result(2.0, 6.0, username="ada"))
    assert ask(tutor, DETAIL, {"username": "ada"}) == page(result(2.0, 6.0))


# --- everybody ------------------------------------------------------------------------------------------------------


def test_everybody_comes_by_user_id_with_a_username(fresh: Any, staff: Any) -> None:
    names = ["zoe", "bob", "mia"]
    users = [UserFactory(username=name) for name in names]
    for user in reversed(users):
        EnrollmentFactory(user=user)
    complete(users[1], "html/h1", "html/h2", "html/h3")
    aggregate_stale()

    assert ask(staff, DETAIL) == class_page(
        result(2.0, 6.0, username="ada"),
        result(0.0, 6.0, username="zoe"),
        result(3.0, 6.0, username="bob"),
        result(0.0, 6.0, username="mia"),
    )


def test_everybody_has_the_same_mean(fresh: Any, staff: Any) -> None:
    other = EnrollmentFactory().user
    complete(other, "html/h1", "html/h2", "html/h3", "problem/p1")
    aggregate_stale()

    results = ask(staff, DETAIL, {"requested_fields": "mean"})["results"]
    assert [each["mean"] for each in results] == [pytest.approx(0.5)] * 2


def test_a_course_without_enrollments_has_no_results(course: Any, staff: Any) -> None:
    assert ask(staff, DETAIL) == page()
    assert ask(staff, DETAIL, body={"requested_fields": EVERYTHING}) == page()


def test_an_unknown_course_has_no_results_for_staff_and_is_not_found_for_learners(learner: Any, staff: Any) -> None:
    url = f"{ROOT}course/course-v1:No+Such+Course/"
    assert ask(staff, url) == page()
    assert ask(staff, url, {"requested_fields": EVERYTHING}) == page()
    ask(staff, url, {"username": "ada"}, status=404)
    ask(learner, url, {"username": "me"}, status=404)


def test_a_course_key_in_other_letter_case_is_another_course(fresh: Any, staff: Any) -> None:
    url = f"{ROOT}course/course-v1:org+course+run/"
    assert ask(staff, url) == page()
    ask(staff, url, {"username": "ada"}, status=404)


def test_a_course_that_the_lms_has_deleted_shows_what_is_stored(fresh: Any, staff: Any) -> None:
    Course.objects.all().delete()

    assert ask(fresh, DETAIL, {"username": "me", "requested_fields": "chapter"}) == page(result(2.0, 6.0, chapter=[]))
    assert ask(staff, DETAIL, {"requested_fields": "chapter"}) == class_page(
        result(2.0, 6.0, chapter=[], username="ada")
    )
    ask(fresh, DETAIL, {"username": "me", "root_block": key("chapter/c1")}, status=404)


def test_a_learner_who_was_never_aggregated_in_a_deleted_course_is_unknown(learner: Any) -> None:
    Course.objects.all().delete()

    assert ask(learner, DETAIL, {"username": "me"}) == page({"course_key": str(COURSE_KEY), "completion": UNKNOWN})


# --- user_ids -------------------------------------------------------------------------------------------------------


@pytest.fixture
def three(fresh: Any) -> list[Any]:
    """Three learners: ada, bob, eve."""
    users = [fresh, *(EnrollmentFactory(user=UserFactory(username=name)).user for name in ("bob", "eve"))]
    aggregate_stale()
    return users


@pytest.mark.parametrize("separator", [",", ".", " , "])
def test_user_ids_narrow_down_to_these_enrollments(three: list[Any], staff: Any, separator: str) -> None:
    ada, _, eve = three

    answer = ask(staff, DETAIL, {"user_ids": f"{eve.pk}{separator}{ada.pk}"})
    assert answer == class_page(result(2.0, 6.0, username="ada"), result(0.0, 6.0, username="eve"))


def test_user_ids_are_a_list_in_a_post(three: list[Any], staff: Any) -> None:
    ada, _, eve = three

    answer = ask(staff, DETAIL, body={"user_ids": [eve.pk, ada.pk, ada.pk]})
    assert answer == class_page(result(2.0, 6.0, username="ada"), result(0.0, 6.0, username="eve"))
    assert ask(staff, DETAIL, body={"user_ids": []}) == page()


def test_without_user_ids_nobody_is_left_out(three: list[Any], staff: Any) -> None:
    for answer in (
        ask(staff, DETAIL, {"user_ids": ""}),
        ask(staff, DETAIL, body={"user_ids": None}),
        ask(staff, DETAIL, body={}),
    ):
        assert usernames(answer) == ["ada", "bob", "eve"]


def test_unknown_user_ids_are_left_out_silently(three: list[Any], staff: Any) -> None:
    _, bob, eve = three
    outsider = UserFactory()
    Enrollment.objects.filter(user=eve).update(is_active=False)
    ids = [bob.pk, eve.pk, outsider.pk, 0, -1, 999_999, 2**31, 2**63 - 1, 2**63, 10**30]

    assert usernames(ask(staff, DETAIL, {"user_ids": ",".join(map(str, ids))})) == ["bob"]
    assert usernames(ask(staff, DETAIL, body={"user_ids": ids})) == ["bob"]
    assert ask(staff, DETAIL, body={"user_ids": ids[1:]}) == page()


def test_user_ids_narrow_one_learner_to_that_learner_or_nothing(three: list[Any], staff: Any) -> None:
    ada, bob, _ = three

    for user, query in ((staff, {"username": "ada"}), (ada, {"username": "me"})):
        assert ask(user, DETAIL, query | {"user_ids": f"{bob.pk}.{ada.pk}"}) == page(result(2.0, 6.0))
        assert ask(user, DETAIL, query | {"user_ids": str(bob.pk)}) == page()
        assert ask(user, DETAIL, body=query | {"user_ids": [ada.pk]}) == page(result(2.0, 6.0))
        assert ask(user, DETAIL, body=query | {"user_ids": []}) == page()


def test_ten_thousand_user_ids_fit_into_a_post_and_no_more(three: list[Any], staff: Any) -> None:
    first = three[0].pk

    assert usernames(ask(staff, DETAIL, body={"user_ids": list(range(first, first + 10_000))}))[0] == "ada"
    ask(staff, DETAIL, body={"user_ids": list(range(10_001))}, status=400)


# --- root_block -----------------------------------------------------------------------------------------------------

ROOTS = [
    ("course/course", (2.0, 6.0), CHAPTERS, VERTICALS),
    ("chapter/c1", (2.0, 4.0), CHAPTERS[:1], VERTICALS[:3]),
    ("chapter/c2", (0.0, 2.0), CHAPTERS[1:], VERTICALS[3:]),
    ("sequential/s1", (2.0, 3.0), [], VERTICALS[:2]),
    ("vertical/v1", (1.0, 2.0), [], VERTICALS[:1]),
    ("html/h1", (1.0, 1.0), [], []),
    ("html/h2", (0.0, 1.0), [], []),
    ("discussion/d1", (0.0, 0.0), [], []),
]


@pytest.mark.parametrize("is_stale", [False, True])
@pytest.mark.parametrize("wants_all", [False, True])
@pytest.mark.parametrize(("root", "tally", "chapters", "verticals"), ROOTS)
def test_root_block_narrows_the_answer_down(
    fresh: Any,
    staff: Any,
    is_stale: bool,
    wants_all: bool,
    root: str,
    tally: tuple[float, float],
    chapters: list[Any],
    verticals: list[Any],
) -> None:
    if is_stale:
        mark_learners(COURSE_KEY, [fresh.pk])
    query = {"root_block": key(root), "requested_fields": "chapter,vertical,username"}
    if not wants_all:
        query["username"] = "ada"

    fields = result(*tally, chapter=chapters, vertical=verticals, username="ada")
    expected = class_page(fields) if wants_all else page(fields)
    assert ask(staff, DETAIL, query) == expected
    assert ask(staff, DETAIL, body=query) == expected


def test_root_block_of_a_stale_learner_tells_the_new_value(fresh: Any, staff: Any) -> None:
    complete(fresh, "html/h2")

    query = {"root_block": key("chapter/c1")}
    assert ask(fresh, DETAIL, query | {"username": "me"}) == page(result(3.0, 4.0))
    assert ask(staff, DETAIL, query) == class_page(result(2.0, 4.0, username="ada"))


def test_root_block_of_a_learner_never_aggregated(learner: Any, staff: Any) -> None:
    complete(learner, "html/h1")

    query = {"root_block": key("chapter/c1")}
    assert ask(learner, DETAIL, query | {"username": "me"}) == page(result(1.0, 4.0))
    unknown = {"course_key": str(COURSE_KEY), "completion": UNKNOWN, "username": "ada"}
    assert ask(staff, DETAIL, query) == class_page(unknown)


def test_root_block_has_optional_completion_too(learner: Any) -> None:
    publish_course(OPTIONAL_COURSE)
    complete(learner, "html/h2")
    query = {"username": "me", "include_optional": "true"}
    for _ in range(2):
        answer = ask(learner, DETAIL, query | {"root_block": key("chapter/c1")})
        assert answer == page(result(0.0, 1.0, optional_completion=done(1.0, 1.0)))
        answer = ask(learner, DETAIL, query | {"root_block": key("html/h2")})
        assert answer == page(result(0.0, 0.0, optional_completion=done(1.0, 1.0)))
        aggregate_stale()


@pytest.mark.parametrize(
    "text",
    [
        "abc",
        "chapter/c1",
        "block-v1:",
        str(COURSE_KEY),
        key("chapter/c9"),
        key("chapter/c1", OTHER_KEY),
        key("chapter/c1", OLD_KEY.replace(org="Other")),
        "def-v1:519665f6223ebd6980884f2b+type@html",
        "lib-block-v1:Org+lib+type@html+block@h1",
        "lb:Org:lib:html:h1",
        "aside-usage-v2:lb$:Org$:lib$:html$:h1::aside",
    ],
)
def test_a_root_block_that_is_no_block_of_the_course_is_not_found(fresh: Any, staff: Any, text: str) -> None:
    publish_course(small_course(OTHER_KEY), OTHER_KEY)

    for query in ({"root_block": text, "username": "ada"}, {"root_block": text}):
        ask(staff, DETAIL, query, status=404)
        ask(staff, DETAIL, body=query, status=404)


def test_a_root_block_that_the_learner_cannot_see_holds_nothing(learner: Any, staff: Any) -> None:
    publish_course(
        [
            block("course/course", "chapter/c1", "chapter/c2"),
            block("chapter/c1", "html/h1"),
            block("html/h1"),
            block("chapter/c2", "html/h2", staff_only=True),
            block("html/h2"),
        ]
    )
    query = {"username": "ada", "root_block": key("chapter/c2"), "requested_fields": "chapter"}
    for _ in range(2):
        assert ask(staff, DETAIL, query) == page(result(0.0, 0.0, chapter=[]))
        aggregate_stale()


@pytest.mark.parametrize("wants_all", [False, True])
def test_a_root_block_that_counts_as_one_whatever_lies_below(learner: Any, staff: Any, wants_all: bool) -> None:
    # Problem Builder is such a block: completable, with children.
    publish_course(
        [
            block("course/course", "chapter/c1"),
            block("chapter/c1", "problem-builder/b1"),
            block("problem-builder/b1", "html/h1"),
            block("html/h1"),
        ]
    )
    complete(learner, "problem-builder/b1")
    aggregate_stale()
    query = {"root_block": key("problem-builder/b1"), "requested_fields": "username"}

    answer = ask(staff, DETAIL, query if wants_all else query | {"username": "ada"})
    expected = result(1.0, 1.0, username="ada")
    assert answer == (class_page(expected) if wants_all else page(expected))


def test_course_wide_a_root_block_that_nobody_was_aggregated_for_yet_is_unknown(learner: Any, staff: Any) -> None:
    publish_course(WITHOUT_C2)
    aggregate_stale()
    publish_course()  # with chapter/c2

    unknown = {"course_key": str(COURSE_KEY), "completion": UNKNOWN, "username": "ada"}
    assert ask(staff, DETAIL, {"root_block": key("chapter/c2")}) == class_page(unknown)


# --- the key in the path --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("course_key", [COURSE_KEY, OLD_KEY])
@pytest.mark.parametrize("form", ["{}", "{}/", "quoted", "quoted/"])
def test_both_forms_of_course_key_work_encoded_or_not(db: None, course_key: CourseKey, form: str) -> None:
    publish_course(small_course(course_key), course_key)
    user = EnrollmentFactory(course_id=course_key).user
    complete(user, "html/h1", course_key=course_key)
    url = ROOT + "course/" + form.format(course_key).replace("quoted", quote(str(course_key), safe=""))
    chapters = nested(("chapter/c1", 1.0, 4.0), ("chapter/c2", 0.0, 2.0), course_key=course_key)
    expected = page(result(1.0, 6.0, course_key, chapter=chapters))

    for _ in range(2):
        assert ask(user, url, {"username": "me", "requested_fields": "chapter"}) == expected
        assert ask(user, url, body={"username": "me", "requested_fields": ["chapter"]}) == expected
        aggregate_stale()


@pytest.mark.parametrize("is_aggregated", [False, True])
@pytest.mark.parametrize("wants_all", [False, True])
def test_an_old_root_block_gets_the_run_of_its_course(staff: Any, is_aggregated: bool, wants_all: bool) -> None:
    publish_course(small_course(OLD_KEY), OLD_KEY)
    user = EnrollmentFactory(user=UserFactory(username="ada"), course_id=OLD_KEY).user
    complete(user, "html/h1", course_key=OLD_KEY)
    if is_aggregated or wants_all:
        aggregate_stale()
    query = {"root_block": "i4x://Org/Course/chapter/c1", "requested_fields": "chapter,username"}

    answer = ask(staff, f"{ROOT}course/{OLD_KEY}/", query if wants_all else query | {"username": "ada"})
    chapters = nested(("chapter/c1", 1.0, 4.0), course_key=OLD_KEY)
    expected = result(1.0, 4.0, OLD_KEY, chapter=chapters, username="ada")
    assert answer == (class_page(expected) if wants_all else page(expected))


def test_two_runs_of_an_old_course_are_two_courses(staff: Any) -> None:
    # Their usage keys are the same text.
    runs = [OLD_KEY, OLD_KEY.replace(run="Again")]
    for run in runs:
        publish_course(small_course(run), run)
    user = EnrollmentFactory(user=UserFactory(username="ada"), course_id=runs[0]).user
    EnrollmentFactory(user=user, course_id=runs[1])
    complete(user, "html/h1", "html/h2", course_key=runs[0])

    for _ in range(2):
        for run, earned in zip(runs, (2.0, 0.0), strict=True):
            query = {"username": "ada", "requested_fields": "chapter"}
            chapters = nested(("chapter/c1", earned, 4.0), ("chapter/c2", 0.0, 2.0), course_key=run)
            assert ask(staff, f"{ROOT}course/{run}/", query) == page(result(earned, 6.0, run, chapter=chapters))
        aggregate_stale()


@pytest.mark.parametrize("text", ["abc", "course-v1:Org+Course", "library-v1:Org+Lib", "course-v1:Org+Course+Run+More"])
def test_an_invalid_course_key_is_not_found(learner: Any, staff: Any, text: str) -> None:
    for user in (learner, staff):
        ask(user, f"{ROOT}course/{text}/", {"username": "me"}, status=404)
        ask(user, f"{ROOT}course/{text}/", body={"username": "me"}, status=404)


# --- pages ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def crowd(fresh: Any) -> list[str]:
    """Names of the 23 learners of the course, by user id."""
    return ["ada", *(EnrollmentFactory().user.username for _ in range(22))]


def test_a_page_has_ten_learners_and_links_to_its_neighbours(crowd: list[str], staff: Any) -> None:
    base = f"http://testserver{DETAIL}"
    url: str | None = DETAIL
    answers = []
    while url is not None:
        answers.append(ask(staff, url))
        url = answers[-1]["pagination"]["next"]

    assert [usernames(answer) for answer in answers] == [crowd[:10], crowd[10:20], crowd[20:]]
    assert [answer["pagination"] for answer in answers] == [
        {"next": f"{base}?page=2", "previous": None, "count": 23, "num_pages": 3},
        {"next": f"{base}?page=3", "previous": base, "count": 23, "num_pages": 3},
        {"next": None, "previous": f"{base}?page=2", "count": 23, "num_pages": 3},
    ]


def test_links_keep_the_parameters(crowd: list[str], staff: Any) -> None:
    query = {"page_size": "5", "page": "2", "requested_fields": "chapter,mean", "include_optional": "true"}

    pagination = ask(staff, DETAIL, query)["pagination"]
    kept = "page_size=5&requested_fields=chapter%2Cmean&include_optional=true"
    assert (pagination["count"], pagination["num_pages"]) == (23, 5)
    base = f"http://testserver{DETAIL}?"
    assert _parameters(pagination["next"]) == {"page=3", *kept.split("&")}
    assert pagination["previous"].startswith(base)
    assert _parameters(pagination["previous"]) == {*kept.split("&")}


def _parameters(url: str) -> set[str]:
    return set(url.partition("?")[2].split("&"))


@pytest.mark.parametrize(
    ("page_size", "expected"),
    [("5", 5), ("23", 23), ("1000", 23), ("1000000", 23), ("0", 10), ("-1", 10), ("abc", 10), ("", 10), ("1.5", 10)],
)
def test_page_size_is_the_clients_choice_or_ten(crowd: list[str], staff: Any, page_size: str, expected: int) -> None:
    assert usernames(ask(staff, DETAIL, {"page_size": page_size})) == crowd[:expected]
    assert usernames(ask(staff, DETAIL, {"page_size": page_size}, body={})) == crowd[:expected]


def test_a_page_has_at_most_ten_thousand_learners(course: Any, staff: Any) -> None:
    users = get_user_model()
    users.objects.bulk_create(users(username=f"u{i}") for i in range(10_001))
    ids = users.objects.filter(username__startswith="u").values_list("pk", flat=True)
    Enrollment.objects.bulk_create(Enrollment(user_id=pk, course_id=COURSE_KEY) for pk in ids)

    answer = ask(staff, DETAIL, {"page_size": "1000000"})
    assert len(answer["results"]) == 10_000
    assert answer["pagination"]["count"] == 10_001
    assert answer["pagination"]["num_pages"] == 2
    assert len(ask(staff, answer["pagination"]["next"])["results"]) == 1


@pytest.mark.parametrize("size", [1, 2, 7, 11, 12, 22, 23, 24])
@pytest.mark.parametrize("people", [1, 22, 23])
def test_the_pages_together_hold_everybody_once(crowd: list[str], staff: Any, people: int, size: int) -> None:
    # Those of the second half are read from the end.
    Enrollment.objects.filter(user__username__in=crowd[people:]).update(is_active=False)
    numbers = range(1, -(-people // size) + 1)

    answers = [ask(staff, DETAIL, {"page": number, "page_size": size}) for number in numbers]

    names = [usernames(answer) for answer in answers]
    assert names == [crowd[:people][start : start + size] for start in range(0, people, size)]
    assert {answer["pagination"]["count"] for answer in answers} == {people}
    assert usernames(ask(staff, DETAIL, {"page": "last", "page_size": size})) == names[-1]
    ask(staff, DETAIL, {"page": len(numbers) + 1, "page_size": size}, status=404)


@pytest.mark.parametrize("number", ["4", "0", "-1", "abc", "99999999999999999999"])
def test_a_page_that_is_not_there_is_not_found(crowd: list[str], staff: Any, number: str) -> None:
    ask(staff, DETAIL, {"page": number}, status=404)
    ask(staff, DETAIL, {"page": number}, body={}, status=404)


def test_the_last_page_can_be_asked_for(crowd: list[str], staff: Any) -> None:
    assert usernames(ask(staff, DETAIL, {"page": "last"})) == crowd[20:]


def test_one_learner_is_a_page_of_one(fresh: Any) -> None:
    ask(fresh, DETAIL, {"username": "me", "page": "2"}, status=404)


def test_pages_of_an_empty_answer(course: Any, staff: Any) -> None:
    assert ask(staff, DETAIL, {"page": "1"}) == page()
    ask(staff, DETAIL, {"page": "2"}, status=404)
