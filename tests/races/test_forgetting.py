"""Users who are retired or deleted while workers aggregate them, on MariaDB and PostgreSQL."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from completion_aggregator.models import (
    BlockAggregate,
    CourseAggregate,
    LearnerSnapshot,
    ReachedThreshold,
    StaleCompletion,
)
from completion_aggregator.services import clean_up, forget_learner, mark_learners
from tests.factories import COURSE_KEY, EnrollmentFactory, complete, publish_course
from tests.races import actors
from tests.races.test_races import assert_all_is_right, running

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
#: Who are forgotten, one after the other.
USERS = 40
PERSONAL = (BlockAggregate, CourseAggregate, LearnerSnapshot, ReachedThreshold, StaleCompletion)


@pytest.fixture
def keeper() -> Any:
    """Somebody who stays."""
    publish_course()
    return EnrollmentFactory().user


def assert_nothing_is_left_of(user_ids: set[int]) -> None:
    for model in PERSONAL:
        assert not model._default_manager.filter(user_id__in=user_ids).exists(), model.__name__


def test_of_users_who_are_deleted_meanwhile_nothing_is_left(keeper: Any) -> None:
    gone: set[int] = set()
    with running(actors.work, actors.work, actors.work, actors.look):
        for number in range(USERS):
            user = EnrollmentFactory().user
            complete(user, "html/h1", "problem/p1")
            complete(keeper, "html/h1", value=0.5 if number % 2 else 1.0)
            time.sleep(0.005 * (number % 5))
            gone.add(user.pk)
            user.delete()

    clean_up()
    assert not get_user_model().objects.filter(pk__in=gone).exists()
    assert_nothing_is_left_of(gone)
    assert_all_is_right()


def test_of_users_who_are_retired_meanwhile_nothing_is_left(keeper: Any) -> None:
    gone: set[int] = set()
    with running(actors.work, actors.work, actors.work, actors.look):
        for number in range(USERS):
            enrollment = EnrollmentFactory()
            complete(enrollment.user, "html/h1", "problem/p1")
            complete(keeper, "html/h1", value=0.5 if number % 2 else 1.0)
            time.sleep(0.005 * (number % 5))
            enrollment.is_active = False
            enrollment.save()
            gone.add(enrollment.user_id)
            forget_learner(enrollment.user_id)

    clean_up()
    assert_nothing_is_left_of(gone)
    assert_all_is_right()


def test_a_learner_who_is_stale_again_and_again_can_be_forgotten_as_often(keeper: Any) -> None:
    with running(actors.work, actors.work, actors.learn):
        for _ in range(USERS):
            mark_learners(COURSE_KEY, [keeper.pk])
            forget_learner(keeper.pk)

    mark_learners(COURSE_KEY, [keeper.pk])
    assert_all_is_right()
