"""What an adapter answers from the database that overrides nothing."""

from __future__ import annotations

from typing import Any

import pytest
from opaque_keys.edx.keys import CourseKey

from sample_lms.models import Enrollment
from tests.factories import EnrollmentFactory, UserFactory
from tests.unit.test_lms_base import PlainLMS

pytestmark = pytest.mark.django_db


class LearnersLMS(PlainLMS):
    """Has enrollments; its staff are called by the run of their course."""

    def enrollments(self) -> Any:
        return Enrollment.objects.filter(is_active=True)

    def is_course_staff(self, user: Any, course_key: CourseKey) -> bool:
        return bool(user.username == course_key.run)


def test_staff_courses_are_found_among_those_with_learners() -> None:
    keys = [CourseKey.from_string(f"course-v1:Org+Course+{run}") for run in ("ada", "bob")]
    for course_key in (*keys, keys[0]):
        EnrollmentFactory(course_id=course_key)

    assert list(LearnersLMS().staff_courses(UserFactory(username="ada"))) == [keys[0]]


def test_names_are_those_of_the_user_model() -> None:
    ada, bob = UserFactory(first_name="Ada", last_name="Lovelace"), UserFactory(first_name="Bob")
    nameless = UserFactory()

    assert LearnersLMS().learner_names([ada.pk, bob.pk, nameless.pk]) == {ada.pk: "Ada Lovelace", bob.pk: "Bob"}


@pytest.mark.parametrize("text", ["ELACE", "da", "user"])
def test_learners_are_found_by_the_names_of_the_user_model(text: str) -> None:
    ada = UserFactory(username="the user", first_name="Ada", last_name="Lovelace")
    UserFactory(username="bob", first_name="Bob")

    found = LearnersLMS().matching_learners(text)

    assert [row["pk"] for row in found] == [ada.pk]
