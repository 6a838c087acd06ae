"""POST bulk/, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.models import CourseAggregate, StaleCompletion, Takeover
from completion_aggregator.selectors import bulk, migration
from completion_aggregator.services import aggregate_stale
from sample_lms.models import Enrollment
from tests.acceptance.helpers import BULK, OTHER_KEY, UNKNOWN, ask, done
from tests.factories import (
    COURSE_KEY,
    EnrollmentFactory,
    UserFactory,
    block,
    complete,
    new_course_key,
    publish_course,
    small_course,
)

BOTH = [str(COURSE_KEY), str(OTHER_KEY)]
THIRD_KEY = CourseKey.from_string("Org/Third/Run")


def pair(user: Any, completion: Any, course_key: CourseKey = COURSE_KEY, *, is_stale: bool = False) -> dict[str, Any]:
    return {
        "user_id": user.pk,
        "username": user.username,
        "course_key": str(course_key),
        "completion": completion,
        "is_stale": is_stale,
    }


def answer(*pairs: dict[str, Any], users: Any = (), ids: Any = ()) -> dict[str, Any]:
    return {"results": list(pairs), "unknown_users": list(users), "unknown_user_ids": list(ids)}


@pytest.fixture
def bob(learner: Any) -> Any:
    """A second learner; with ada in two courses, each of which has done something, all aggregated."""
    bob = UserFactory(username="bob")
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    EnrollmentFactory(user=bob)
    for user in (learner, bob):
        EnrollmentFactory(user=user, course_id=OTHER_KEY)
    complete(learner, "html/h1", "html/h2")
    complete(learner, "html/h1", course_key=OTHER_KEY)
    complete(bob, "html/h1", value=0.5, course_key=OTHER_KEY)
    aggregate_stale()
    return bob


def test_each_learner_in_each_course(learner: Any, bob: Any, staff: Any) -> None:
    expected = answer(
        pair(learner, done(2.0, 6.0)),
        pair(learner, done(1.0, 6.0), OTHER_KEY),
        pair(bob, done(0.0, 6.0)),
        pair(bob, done(0.5, 6.0), OTHER_KEY),
    )

    assert ask(staff, BULK, body={"users": ["bob", "ada"], "course_keys": BOTH}) == expected
    assert ask(staff, BULK, body={"user_ids": [bob.pk, learner.pk], "course_keys": BOTH}) == expected
    # Named in both ways, once; and by a text with commas.
    assert ask(staff, BULK, body={"users": "ada", "user_ids": [bob.pk, learner.pk], "course_keys": ",".join(BOTH)}) == (
        expected
    )
    assert ask(staff, BULK, body={"users": ["ada"], "course_keys": BOTH[::-1]}) == answer(
        pair(learner, done(1.0, 6.0), OTHER_KEY), pair(learner, done(2.0, 6.0))
    )


def test_optional_blocks_are_told_on_request(learner: Any) -> None:
    publish_course([block("course/course", "html/h1", "html/h2"), block("html/h1"), block("html/h2", optional=True)])
    complete(learner, "html/h2")
    aggregate_stale()

    found = ask(learner, BULK, body={"users": ["me"], "course_keys": [str(COURSE_KEY)], "include_optional": True})

    expected = pair(learner, done(0.0, 1.0)) | {"optional_completion": done(1.0, 1.0)}
    assert found == answer(expected)


@pytest.mark.parametrize("how", [{"users": ["me"]}, {"users": ["ADA"]}, {"users": ["ada", "ME"]}, {"user_ids": None}])
def test_a_learner_asks_for_oneself(learner: Any, bob: Any, how: dict[str, Any]) -> None:
    if "user_ids" in how:
        how = {"user_ids": [learner.pk]}

    found = ask(learner, BULK, body={**how, "course_keys": BOTH})

    assert found == answer(pair(learner, done(2.0, 6.0)), pair(learner, done(1.0, 6.0), OTHER_KEY))


def test_what_is_stored_is_told_with_a_word_on_its_age(learner: Any, bob: Any, staff: Any) -> None:
    complete(learner, "html/h3")
    late = EnrollmentFactory(user=UserFactory(username="late")).user
    StaleCompletion.objects.filter(user=late).delete()
    publish_course(
        [block("course/course", "html/h1", course_key=OTHER_KEY), block("html/h1", course_key=OTHER_KEY)], OTHER_KEY
    )
    StaleCompletion.objects.filter(course_key=str(OTHER_KEY)).delete()

    found = ask(staff, BULK, body={"users": ["ada", "bob", "late"], "course_keys": BOTH})

    assert found == answer(
        pair(learner, done(2.0, 6.0), is_stale=True),
        pair(learner, done(1.0, 6.0), OTHER_KEY, is_stale=True),
        pair(bob, done(0.0, 6.0)),
        pair(bob, done(0.5, 6.0), OTHER_KEY, is_stale=True),
        pair(late, UNKNOWN, is_stale=True),
    )


def test_a_row_that_only_serves_as_a_lock_tells_nothing(learner: Any, bob: Any) -> None:
    CourseAggregate.objects.filter(user=learner, course__course_key=str(COURSE_KEY)).update(computed_at=None)

    found = ask(learner, BULK, body={"users": ["me"], "course_keys": BOTH[:1]})

    assert found == answer(pair(learner, UNKNOWN, is_stale=True))


def test_pairs_without_an_active_enrollment_are_left_out(learner: Any, bob: Any, staff: Any) -> None:
    Enrollment.objects.filter(user=learner, course_id=COURSE_KEY).update(is_active=False)
    Enrollment.objects.filter(user=bob, course_id=OTHER_KEY).delete()
    keys = [*BOTH, str(new_course_key()), str(COURSE_KEY).lower()]

    found = ask(staff, BULK, body={"users": ["ada", "bob"], "course_keys": keys})

    assert found == answer(pair(learner, done(1.0, 6.0), OTHER_KEY), pair(bob, done(0.0, 6.0)))


def test_who_is_not_there_is_named(learner: Any, bob: Any, staff: Any) -> None:
    ids = [0, -1, 10**30, 2_000_000_000]

    found = ask(
        staff,
        BULK,
        body={"users": ["nobody", "ada", "Bob", "Ünïcödé 🦉"], "user_ids": ids, "course_keys": BOTH[:1]},
    )

    assert found == answer(pair(learner, done(2.0, 6.0)), users=["nobody", "Bob", "Ünïcödé 🦉"], ids=sorted(ids))


def test_keys_of_either_form_are_told_in_their_plain_form(learner: Any) -> None:
    publish_course(small_course(THIRD_KEY), THIRD_KEY)
    EnrollmentFactory(user=learner, course_id=THIRD_KEY)
    aggregate_stale()
    keys = [f"{COURSE_KEY}+branch@draft", str(COURSE_KEY), str(THIRD_KEY)]

    found = ask(learner, BULK, body={"users": ["me"], "course_keys": keys})

    assert found == answer(pair(learner, done(0.0, 6.0)), pair(learner, done(0.0, 6.0), THIRD_KEY))


def test_very_many_pairs_have_the_same_answer(
    learner: Any, bob: Any, staff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    EnrollmentFactory(user=bob, course_id=THIRD_KEY)
    complete(bob, "html/h3")
    body = {"users": ["ada", "bob"], "course_keys": BOTH[:1]}
    expected = ask(staff, BULK, body=body)
    monkeypatch.setattr(bulk, "MAX_PAIRS", 1)

    assert ask(staff, BULK, body=body) == expected
    assert [each["username"] for each in expected["results"]] == ["ada", "bob"]


def test_limits(learner: Any, staff: Any) -> None:
    names, ids = [f"user{number}" for number in range(500)], list(range(1, 501))
    keys = [str(new_course_key()) for _ in range(100)]

    assert ask(staff, BULK, body={"users": names, "user_ids": ids, "course_keys": keys})["results"] == []
    assert ask(staff, BULK, body={"users": names, "user_ids": [*ids, 501], "course_keys": keys}, status=400) == {
        "detail": "users and user_ids may name at most 1000 at once."
    }
    assert ask(staff, BULK, body={"users": names, "course_keys": [*keys, str(COURSE_KEY)]}, status=400) == {
        "detail": "course_keys may name at most 100 at once."
    }


def test_nobody_and_nothing_named(learner: Any, staff: Any) -> None:
    for body in ({}, {"users": []}, {"users": None, "user_ids": []}):
        assert ask(staff, BULK, body={**body, "course_keys": BOTH[:1]}, status=400) == {
            "detail": "Name learners in users or user_ids."
        }
        ask(learner, BULK, body={**body, "course_keys": BOTH[:1]}, status=403)
    for body in ({}, {"course_keys": []}, {"course_keys": ""}):
        for user in (staff, learner):
            assert ask(user, BULK, body={**body, "users": ["ada"]}, status=400) == {
                "detail": "Name courses in course_keys."
            }


def test_what_is_no_course_key_is_refused(staff: Any) -> None:
    for text in ("nonsense", "library-v1:Org+Lib", "course-v1:Org+Course"):
        assert ask(staff, BULK, body={"users": ["me"], "course_keys": [*BOTH, text]}, status=400) == {
            "detail": "course_keys names something that is no course key."
        }


def test_it_is_asked_by_post_alone(staff: Any) -> None:
    ask(staff, BULK, {"users": "me", "course_keys": str(COURSE_KEY)}, status=405)


def test_rows_that_are_left_to_copy_are_told_of(learner: Any, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "_is_over", False)
    Takeover.objects.all().delete()
    Takeover.objects.create(copied=3, total=7)

    found = ask(learner, BULK, body={"users": ["me"], "course_keys": BOTH[:1]})

    assert found == answer(pair(learner, done(2.0, 6.0))) | {"migration": {"copied": 3, "total": 7}}
