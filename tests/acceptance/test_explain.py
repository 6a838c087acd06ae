"""GET explain/<course_key>/, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from completion.models import BlockCompletion
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.engine import CourseTree
from completion_aggregator.lms.base import CourseView
from completion_aggregator.models import CourseAggregate, StaleCompletion
from completion_aggregator.services import aggregate_stale, mark_learners
from sample_lms.lms import SampleLMS
from sample_lms.models import Course
from tests.acceptance.helpers import DETAIL, EXPLAIN, ROOT, ask, done
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


class ShapelessLMS(SampleLMS):
    """An LMS that describes courses which are none."""

    def course_views(self, course_key: Any, user_ids: Any, *, now: Any) -> Any:
        return [CourseView(tree=CourseTree.build([]), user_ids=tuple(user_ids))]


def moment(value: Any) -> str:
    return value.isoformat().replace("+00:00", "Z")


def told(name: str, *children: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Describe a block; one that counts and nobody has done, unless said otherwise."""
    return {
        "block_key": key(name),
        "block_type": name.split("/")[0],
        "display_name": name,
        "counted": fields.get("reason", "counted") == "counted",
        "reason": "counted",
        "release_date": None,
        "repeated": False,
        "value": None,
        "modified": None,
        "completion": None,
        "optional_completion": None,
        **fields,
        "children": list(children),
    }


def sums(
    earned: float, possible: float, optional_earned: float = 0.0, optional_possible: float = 0.0
) -> dict[str, Any]:
    return {"completion": done(earned, possible), "optional_completion": done(optional_earned, optional_possible)}


@pytest.fixture
def explained(course: Any, learner: Any) -> Any:
    """A learner in a course of a bit of everything; half is aggregated, then more is done."""
    publish_course(
        [
            block("course/course", "chapter/c1", "chapter/c2"),
            block("chapter/c1", "html/h1", "problem/p1", "discussion/d1"),
            block("html/h1"),
            block("problem/p1"),
            block("discussion/d1"),
            block("chapter/c2", "html/h2", "html/h1", "chapter/later"),
            block("html/h2", optional=True),
            block("chapter/later", "html/h3", start=datetime(9000, 1, 1, tzinfo=UTC)),
            block("html/h3"),
        ]
    )
    complete(learner, "html/h1", "html/gone")
    aggregate_stale()
    complete(learner, "problem/p1", value=0.5)
    complete(learner, "html/h2", "discussion/d1")
    return learner


def test_the_whole_answer(explained: Any) -> None:
    modified = {str(each.block_key): moment(each.modified) for each in BlockCompletion.objects.filter(user=explained)}
    (aggregate,) = CourseAggregate.objects.all()
    answer = ask(explained, EXPLAIN, {"username": "me"})

    later = {"display_name": None, "reason": "not_released", "release_date": "9000-01-01T00:00:00Z"}

    def value(name: str, number: float) -> dict[str, Any]:
        return {"value": number, "modified": modified[key(name)]}

    assert answer == {
        "course_key": str(COURSE_KEY),
        "username": "ada",
        **sums(1.5, 2.0, 1.0, 1.0),
        "formula": (
            "1.5 of 2 = 75 %. Each block that counts adds its completion, from 0 to 1, to what is earned, "
            "and 1 to what is possible."
        ),
        "parts": [
            {"block_key": key("chapter/c1"), "display_name": "chapter/c1", "share": 1.0, **sums(1.5, 2.0)},
            {"block_key": key("chapter/c2"), "display_name": "chapter/c2", "share": 0.5, **sums(1.0, 1.0, 1.0, 1.0)},
        ],
        "stored": {"computed_at": moment(aggregate.computed_at), **sums(1.0, 2.0, 0.0, 1.0)},
        "is_stale": True,
        "markers": {"open": 3, "oldest": moment(StaleCompletion.objects.order_by("id")[0].created)},
        "uncounted_completions": [{"block_key": key("html/gone"), **value("html/gone", 1.0)}],
        "root": told(
            "course/course",
            told(
                "chapter/c1",
                told("html/h1", **value("html/h1", 1.0)),
                told("problem/p1", **value("problem/p1", 0.5)),
                told("discussion/d1", reason="excluded", **value("discussion/d1", 1.0)),
                **sums(1.5, 2.0),
            ),
            told(
                "chapter/c2",
                told("html/h2", reason="optional", **value("html/h2", 1.0)),
                told("html/h1", **value("html/h1", 1.0), counted=False, repeated=True),
                told("chapter/later", told("html/h3", **later), **later),
                **sums(1.0, 1.0, 1.0, 1.0),
            ),
            **sums(1.5, 2.0, 1.0, 1.0),
        ),
    }


def test_a_learner_who_was_never_aggregated_has_nothing_stored(learner: Any) -> None:
    answer = ask(learner, EXPLAIN, {"username": "me"})

    assert (answer["stored"], answer["is_stale"]) == (None, True)
    assert answer["completion"] == done(0.0, 6.0)


def test_the_answer_is_that_of_the_detail(explained: Any, staff: Any) -> None:
    for root in ({}, {"root_block": key("chapter/c2")}, {"root_block": key("html/h2")}):
        query = {"username": "ada", "include_optional": "true"} | root
        (result,) = ask(staff, DETAIL, query)["results"]
        answer = ask(staff, EXPLAIN, query)
        for name in ("completion", "optional_completion"):
            assert answer[name] == result[name]


def test_a_block_is_explained_by_itself(explained: Any) -> None:
    answer = ask(explained, EXPLAIN, {"username": "me", "root_block": key("html/h2")})

    assert answer["formula"] == "Nothing counts here: there is nothing to do, and that is 100 %."
    assert answer["completion"] == done(0.0, 0.0)
    assert answer["optional_completion"] == done(1.0, 1.0)
    assert answer["parts"] == []
    assert answer["stored"]["completion"] is None
    assert answer["root"]["reason"] == "optional"


@pytest.mark.parametrize("who", ["learner", "course staff", "staff"])
def test_only_staff_see_the_names_of_what_is_hidden(learner: Any, staff: Any, who: str) -> None:
    publish_course(
        [
            block("course/course", "discussion/d1", "html/exam", "discussion/d2", "html/h1"),
            block("discussion/d1", "html/h2", "html/answers"),
            block("html/h2"),
            block("html/answers", staff_only=True),
            block("html/exam", staff_only=True),
            block("discussion/d2", staff_only=True),
            block("html/h1"),
        ]
    )
    user = {"learner": learner, "course staff": RoleFactory().user, "staff": staff}[who]

    root = ask(user, EXPLAIN, {"username": "ada"})["root"]

    def name(text: str) -> str | None:
        return None if who == "learner" else text

    assert [(each["display_name"], each["reason"]) for each in root["children"]] == [
        ("discussion/d1", "excluded"),
        (name("html/exam"), "staff_only"),
        (name("discussion/d2"), "staff_only"),
        ("html/h1", "counted"),
    ]
    assert [(each["display_name"], each["reason"]) for each in root["children"][0]["children"]] == [
        ("html/h2", "below_excluded"),
        (name("html/answers"), "staff_only"),
    ]


@pytest.mark.parametrize("who", ["learner", "course staff", "staff"])
def test_only_staff_see_what_an_aggregation_failed_over(learner: Any, staff: Any, who: str) -> None:
    aggregate_stale()
    mark_learners(COURSE_KEY, [learner.pk])
    StaleCompletion.objects.update(last_error="ZeroDivisionError: division by zero")
    user = {"learner": learner, "course staff": RoleFactory().user, "staff": staff}[who]

    markers = ask(user, EXPLAIN, {"username": "ada"})["markers"]

    oldest = moment(StaleCompletion.objects.get(user=learner).created)
    error = {} if who == "learner" else {"last_error": "ZeroDivisionError: division by zero"}
    assert markers == {"open": 1, "oldest": oldest, **error}


def test_staff_must_name_a_learner(course: Any, staff: Any) -> None:
    assert ask(staff, EXPLAIN, status=400) == {"detail": "Name a learner in username."}


def test_an_old_key_is_taken(learner: Any) -> None:
    old_key = CourseKey.from_string("Org/Course/Run")
    publish_course(small_course(old_key), old_key)
    EnrollmentFactory(user=learner, course_id=old_key)
    complete(learner, "html/h1", course_key=old_key)

    for text in (str(old_key), quote(str(old_key), safe="")):
        answer = ask(learner, f"{ROOT}explain/{text}/", {"username": "me", "root_block": "i4x://Org/Course/chapter/c1"})
        assert (answer["course_key"], answer["completion"]) == ("Org/Course/Run", done(1.0, 4.0))


def test_what_is_not_there_is_not_found(learner: Any, staff: Any) -> None:
    expected = {"detail": "The course has no such block."}
    for root in (key("html/nowhere"), "nonsense", key("html/h1", CourseKey.from_string("course-v1:Org+Other+Run"))):
        assert ask(learner, EXPLAIN, {"username": "me", "root_block": root}, status=404) == expected
    outsider = UserFactory()
    answer = ask(staff, EXPLAIN, {"username": outsider.username}, status=404)
    assert answer == {"detail": "The learner is not enrolled in this course."}
    Course.objects.all().delete()
    assert ask(learner, EXPLAIN, {"username": "me"}, status=404) == {"detail": "There is no such course."}


def test_a_course_that_is_none_is_not_the_fault_of_whoever_asks(learner: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.ShapelessLMS"

    answer = ask(learner, EXPLAIN, {"username": "me"}, status=503)

    assert answer == {"detail": "The completion cannot be computed at the moment."}
