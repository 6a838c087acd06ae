"""The view that looks like the table of openedx-completion-aggregator 4.5."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import Avg, Count
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.models import Aggregator, BlockAggregate
from completion_aggregator.services import aggregate_stale
from tests.factories import (
    COURSE_KEY,
    SMALL_COURSE,
    EnrollmentFactory,
    UserFactory,
    block,
    complete,
    key,
    publish_course,
    usage_key,
)

pytestmark = pytest.mark.django_db

COLUMNS = [
    "aggregation_name",
    "block_key",
    "course_key",
    "created",
    "earned",
    "id",
    "last_modified",
    "modified",
    "optional_earned",
    "optional_percent",
    "optional_possible",
    "percent",
    "possible",
    "user_id",
]


def test_the_view_has_the_columns_of_the_table_it_replaces() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM completion_aggregator_aggregator")
        assert sorted(column[0] for column in cursor.description) == COLUMNS


def test_a_row_of_the_view_shows_all_of_a_block_aggregate(learner: Any) -> None:
    publish_course([replace(each, optional=each.key == key("html/h2")) for each in SMALL_COURSE])
    complete(learner, "html/h1", value=0.5)
    complete(learner, "html/h2", value=0.25)
    before = timezone.now()
    aggregate_stale()
    behind = BlockAggregate.objects.get(block__block_key=key("sequential/s1"))

    (row,) = Aggregator.objects.filter(block_key=usage_key("sequential/s1")).values()

    assert before <= row["modified"] <= timezone.now()
    assert row == {
        "id": learner.pk * 2**32 + behind.block_id,
        "user_id": learner.pk,
        "course_key": COURSE_KEY,
        "aggregation_name": "sequential",
        "block_key": usage_key("sequential/s1"),
        "earned": 0.5,
        "possible": 2.0,
        "percent": 0.25,
        "optional_earned": 0.25,
        "optional_possible": 1.0,
        "optional_percent": 0.25,
        "last_modified": behind.last_modified,
        "created": behind.modified,
        "modified": behind.modified,
    }
    assert isinstance(row["possible"], float)
    assert isinstance(row["course_key"], CourseKey)
    assert isinstance(row["block_key"], UsageKey)


def test_the_queries_of_others_keep_working(course: Any) -> None:
    users = [EnrollmentFactory().user for _ in range(3)]
    complete(users[0], "html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")
    complete(users[1], "html/h1")
    aggregate_stale()

    finished = Aggregator.objects.filter(course_key=COURSE_KEY, aggregation_name="course", percent__gte=0.9)

    assert [row.user for row in finished] == [users[0]]
    assert Aggregator.objects.filter(user=users[1], earned__gt=0).count() == 4
    assert str(finished.get()) == f"{users[0].pk}: course {usage_key('course/course')} 100%"


def test_ids_are_unique_and_stay_the_same(course: Any) -> None:
    for _ in range(3):
        EnrollmentFactory()
    aggregate_stale()

    ids = list(Aggregator.objects.order_by("id").values_list("id", flat=True))

    assert len(set(ids)) == BlockAggregate.objects.count() == 30
    assert list(Aggregator.objects.order_by("id").values_list("id", flat=True)) == ids


def test_a_course_with_nothing_to_do_is_complete_in_the_view_too(learner: Any) -> None:
    publish_course([block("course/course")])
    aggregate_stale()

    values = Aggregator.objects.values_list("earned", "possible", "percent", "optional_percent", "last_modified")
    assert list(values) == [(0.0, 0.0, 1.0, 1.0, None)]


def test_others_join_it_with_users_and_sum_it_up(course: Any) -> None:
    users = [EnrollmentFactory(user=UserFactory(username=name)).user for name in ("ada", "bob")]
    complete(users[0], "html/h1", "problem/p1", "html/h3")
    aggregate_stale()
    courses = Aggregator.objects.filter(course_key=str(COURSE_KEY), aggregation_name="course")

    names = courses.order_by("-percent").values_list("user__username", "percent")
    assert list(names) == [("ada", 0.5), ("bob", 0.0)]
    assert courses.aggregate(mean=Avg("percent")) == {"mean": 0.25}
    assert courses.select_related("user").get(user__username="ada").user == users[0]
    assert courses.values("course_key").annotate(learners=Count("user")).get()["learners"] == 2
    done = get_user_model().objects.filter(aggregator__aggregation_name="course", aggregator__percent__gte=0.5)
    assert list(done) == [users[0]]
    assert users[1].aggregator_set.filter(block_key=key("chapter/c1")).get().possible == 4.0


def test_a_user_who_is_deleted_leaves_the_view_alone(learner: Any) -> None:
    aggregate_stale()

    learner.delete()

    assert not get_user_model().objects.filter(aggregator__percent__gte=0.0).exists()
