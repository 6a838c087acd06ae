"""GET course/, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.models import CourseAggregate
from completion_aggregator.services import aggregate_stale, mark_learners
from sample_lms.models import Course, Enrollment
from tests.acceptance.helpers import (
    EVERYTHING,
    LIST,
    OTHER_KEY,
    UNKNOWN,
    ask,
    checked,
    done,
    keys,
    nested,
    page,
    result,
)
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
)

OLD_KEY = CourseKey.from_string("Org/Course/Run")


@pytest.fixture
def two(learner: Any) -> Any:
    """A learner of two courses: two things done in the first, one in the second; all aggregated."""
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    EnrollmentFactory(user=learner, course_id=OTHER_KEY)
    complete(learner, "html/h1", "problem/p1")
    complete(learner, "html/h4", course_key=OTHER_KEY)
    aggregate_stale()
    return learner


def enroll(user: Any, number: int) -> list[str]:
    """Enroll a user in so many courses; return their keys in order."""
    names = [f"course-v1:Org+Many+{i:03}" for i in range(number)]
    Enrollment.objects.bulk_create(Enrollment(user=user, course_id=CourseKey.from_string(name)) for name in names)
    return names


def test_a_learner_sees_each_of_the_own_courses_by_key(two: Any) -> None:
    assert ask(two, LIST, {"username": "ada"}) == page(result(2.0, 6.0), result(1.0, 6.0, OTHER_KEY))


def test_all_fields_can_be_requested_at_once(two: Any) -> None:
    expected = page(
        result(
            2.0,
            6.0,
            optional_completion=done(0.0, 0.0),
            username="ada",
            mean=2 / 6,
            course=_optional(nested(("course/course", 2.0, 6.0))),
            chapter=_optional(nested(("chapter/c1", 2.0, 4.0), ("chapter/c2", 0.0, 2.0))),
            sequential=_optional(
                nested(("sequential/s1", 2.0, 3.0), ("sequential/s2", 0.0, 1.0), ("sequential/s3", 0.0, 2.0))
            ),
            vertical=_optional(
                nested(
                    ("vertical/v1", 1.0, 2.0),
                    ("vertical/v2", 1.0, 1.0),
                    ("vertical/v3", 0.0, 1.0),
                    ("vertical/v4", 0.0, 2.0),
                )
            ),
        ),
        result(
            1.0,
            6.0,
            OTHER_KEY,
            optional_completion=done(0.0, 0.0),
            username="ada",
            mean=1 / 6,
            course=_optional(nested(("course/course", 1.0, 6.0), course_key=OTHER_KEY)),
            chapter=_optional(nested(("chapter/c1", 0.0, 4.0), ("chapter/c2", 1.0, 2.0), course_key=OTHER_KEY)),
            sequential=_optional(
                nested(
                    ("sequential/s1", 0.0, 3.0),
                    ("sequential/s2", 0.0, 1.0),
                    ("sequential/s3", 1.0, 2.0),
                    course_key=OTHER_KEY,
                )
            ),
            vertical=_optional(
                nested(
                    ("vertical/v1", 0.0, 2.0),
                    ("vertical/v2", 0.0, 1.0),
                    ("vertical/v3", 0.0, 1.0),
                    ("vertical/v4", 1.0, 2.0),
                    course_key=OTHER_KEY,
                )
            ),
        ),
    )
    query = {"username": "ada", "requested_fields": EVERYTHING, "include_optional": "true"}

    assert ask(two, LIST, query) == expected
    for course_key in (COURSE_KEY, OTHER_KEY):
        mark_learners(course_key, [two.pk])
    assert ask(two, LIST, query) == expected, "the same, recalculated"


def _optional(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each | {"optional_completion": done(0.0, 0.0)} for each in blocks]


def test_unknown_requested_fields_are_named_in_order(two: Any) -> None:
    detail = ask(two, LIST, {"username": "me", "requested_fields": "b,mean,a"}, status=400)["detail"]
    assert "a, b" in detail
    assert "mean" not in detail


def test_courses_never_aggregated_and_stale_courses_are_computed_for_this_answer(two: Any) -> None:
    third = CourseKey.from_string("course-v1:Org+Third+Run")
    publish_course(small_course(third), third)
    EnrollmentFactory(user=two, course_id=third)
    complete(two, "html/h1", "html/h2", "html/h3", course_key=third)
    complete(two, "video/m1", course_key=OTHER_KEY)
    # Of the first course, which is fresh, what is stored is told.
    CourseAggregate.objects.filter(course__course_key=str(COURSE_KEY)).update(earned=6.0)

    query = {"username": "me", "requested_fields": "chapter"}
    first, other, last = ask(two, LIST, query)["results"]
    assert first["completion"] == done(6.0, 6.0)
    chapters = nested(("chapter/c1", 0.0, 4.0), ("chapter/c2", 2.0, 2.0), course_key=OTHER_KEY)
    assert other == result(2.0, 6.0, OTHER_KEY, chapter=chapters)
    chapters = nested(("chapter/c1", 3.0, 4.0), ("chapter/c2", 0.0, 2.0), course_key=third)
    assert last == result(3.0, 6.0, third, chapter=chapters)


def test_only_active_enrollments_show(two: Any) -> None:
    Enrollment.objects.filter(user=two, course_id=OTHER_KEY).update(is_active=False)

    assert keys(ask(two, LIST, {"username": "me"})) == [str(COURSE_KEY)]


def test_nobody_elses_courses_show(two: Any) -> None:
    assert ask(UserFactory(username="bob"), LIST, {"username": "bob"}) == page()


@pytest.mark.parametrize("name", ["ada", "ADA", "me", "Me"])
def test_a_learner_may_say_the_own_name_in_any_letter_case_or_me(two: Any, name: str) -> None:
    assert keys(ask(two, LIST, {"username": name})) == [str(COURSE_KEY), str(OTHER_KEY)]


def test_staff_see_their_own_courses_unless_they_name_somebody(two: Any, staff: Any) -> None:
    assert ask(staff, LIST) == page()
    assert keys(ask(staff, LIST, {"username": "ada"})) == [str(COURSE_KEY), str(OTHER_KEY)]
    EnrollmentFactory(user=staff, course_id=OTHER_KEY)
    assert ask(staff, LIST) == page(result(0.0, 6.0, OTHER_KEY))
    assert ask(staff, LIST, {"username": "me"}) == page(result(0.0, 6.0, OTHER_KEY))
    ask(staff, LIST, {"username": "nobody"}, status=404)


def test_course_staff_are_no_staff_on_the_list(two: Any) -> None:
    tutor = RoleFactory().user

    ask(tutor, LIST, status=403)
    ask(tutor, LIST, {"username": "ada"}, status=403)


def test_mobile_only_keeps_the_courses_available_on_mobile(two: Any) -> None:
    publish_course(small_course(OTHER_KEY), OTHER_KEY, mobile_available=True)

    for yes in ("true", "True", "1"):
        assert ask(two, LIST, {"username": "me", "mobile_only": yes}) == page(result(1.0, 6.0, OTHER_KEY))
    for no in ("false", "0", ""):
        assert keys(ask(two, LIST, {"username": "me", "mobile_only": no})) == [str(COURSE_KEY), str(OTHER_KEY)]


def test_a_course_deleted_in_the_lms_does_not_break_the_list(two: Any) -> None:
    third = CourseKey.from_string("course-v1:Org+Third+Run")
    EnrollmentFactory(user=two, course_id=third)
    Course.objects.filter(course_key=OTHER_KEY).delete()

    # Of the second, what is stored is left; of the third, nothing was ever known.
    query = {"username": "me", "requested_fields": "chapter"}
    chapters = nested(("chapter/c1", 2.0, 4.0), ("chapter/c2", 0.0, 2.0))
    assert ask(two, LIST, query) == page(
        result(2.0, 6.0, chapter=chapters),
        result(1.0, 6.0, OTHER_KEY, chapter=[]),
        {"course_key": str(third), "completion": UNKNOWN, "chapter": []},
    )


def test_old_keys_show_as_they_are(learner: Any) -> None:
    publish_course(small_course(OLD_KEY), OLD_KEY)
    EnrollmentFactory(user=learner, course_id=OLD_KEY)
    complete(learner, "html/h1", course_key=OLD_KEY)
    for _ in range(2):
        answer = ask(learner, LIST, {"username": "me", "requested_fields": "chapter"})
        # Which of the two is first depends on how the database orders capitals.
        assert sorted(keys(answer)) == ["Org/Course/Run", str(COURSE_KEY)]
        chapters = nested(("chapter/c1", 1.0, 4.0), ("chapter/c2", 0.0, 2.0), course_key=OLD_KEY)
        assert result(1.0, 6.0, OLD_KEY, chapter=chapters) in answer["results"]
        assert chapters[0]["block_key"] == "i4x://Org/Course/chapter/c1"
        aggregate_stale()


def test_an_empty_course_is_complete(learner: Any) -> None:
    publish_course([block("course/course")])

    assert ask(learner, LIST, {"username": "me"}) == page(result(0.0, 0.0))


def test_each_course_has_its_own_mean(two: Any, django_capture_on_commit_callbacks: Any) -> None:
    other = EnrollmentFactory(course_id=OTHER_KEY).user
    complete(other, "html/h1", "html/h2", "html/h3", course_key=OTHER_KEY)
    aggregate_stale()

    results = ask(two, LIST, {"username": "me", "requested_fields": "mean"})["results"]
    assert [each["mean"] for each in results] == [pytest.approx(2 / 6), pytest.approx(2 / 6)]
    complete(other, "problem/p1", "html/h4", course_key=OTHER_KEY)
    with django_capture_on_commit_callbacks(execute=True):
        aggregate_stale()
    results = ask(two, LIST, {"username": "me", "requested_fields": "mean"})["results"]
    assert [each["mean"] for each in results] == [pytest.approx(2 / 6), pytest.approx(3 / 6)]


def test_a_list_has_pages(db: None) -> None:
    user = UserFactory(username="ada")
    names = enroll(user, 23)
    base = f"http://testserver{LIST}"

    first = ask(user, LIST, {"username": "me"})
    assert keys(first) == names[:10]
    expected = {"next": f"{base}?page=2&username=me", "previous": None, "count": 23, "num_pages": 3}
    assert first["pagination"] == expected
    last = ask(user, LIST, {"username": "me", "page": 3})
    assert keys(last) == names[20:]
    expected = {"next": None, "previous": f"{base}?page=2&username=me", "count": 23, "num_pages": 3}
    assert last["pagination"] == expected
    ask(user, LIST, {"username": "me", "page": 4}, status=404)


@pytest.mark.parametrize(
    ("page_size", "expected"), [("5", 5), ("1000000", 23), ("0", 10), ("-1", 10), ("abc", 10), ("", 10)]
)
def test_page_size_is_the_clients_choice_or_ten(db: None, page_size: str, expected: int) -> None:
    user = UserFactory()
    names = enroll(user, 23)

    assert keys(ask(user, LIST, {"username": "me", "page_size": page_size})) == names[:expected]


def test_the_list_is_there_without_the_last_slash(two: Any) -> None:
    assert ask(two, LIST.rstrip("/"), {"username": "me"}) == ask(two, LIST, {"username": "me"})


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_the_list_can_only_be_read(client: Any, two: Any, method: str) -> None:
    client.force_login(two)

    checked(getattr(client, method)(LIST), 405)


def test_user_ids_and_root_block_mean_nothing_here(two: Any) -> None:
    query = {"username": "me", "user_ids": "abc", "root_block": key("chapter/c1")}
    assert ask(two, LIST, query) == ask(two, LIST, {"username": "me"})
