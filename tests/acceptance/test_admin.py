"""The admin pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from completion_aggregator import admin as pages
from completion_aggregator.models import BlockAggregate, Course, CourseSnapshot, ReachedThreshold, StaleCompletion
from completion_aggregator.services import aggregate_stale, mark_learners, take_snapshots, verify_sample
from tests.factories import COURSE_KEY, UserFactory, complete

ADMIN = "/admin/completion_aggregator"


@pytest.fixture
def admin(client: Client, db: None) -> Client:
    client.force_login(UserFactory(username="root", is_staff=True, is_superuser=True))
    return client


def test_the_courses_are_listed_and_shown_without_their_structure(admin: Client, learner: Any) -> None:
    aggregate_stale()

    assert str(COURSE_KEY) in admin.get(f"{ADMIN}/course/?q={quote(str(COURSE_KEY))}").content.decode()
    shown = admin.get(f"{ADMIN}/course/{Course.objects.get().pk}/change/").content.decode()
    assert str(COURSE_KEY) in shown
    # The structure names every block.
    assert "html/h1" not in shown


def test_open_markers_say_why_they_failed(admin: Client, learner: Any) -> None:
    complete(learner, "html/h1")
    StaleCompletion.objects.update(attempts=3, last_error="CourseNotFoundError: gone")

    listed = admin.get(f"{ADMIN}/stalecompletion/").content.decode()

    assert "CourseNotFoundError: gone" in listed


def test_aggregated_chunks_are_listed_newest_first(admin: Client, learner: Any) -> None:
    aggregate_stale()
    complete(learner, "html/h1")
    aggregate_stale()

    listed = admin.get(f"{ADMIN}/aggregatedchunk/").context["cl"].result_list

    # All of the learner's rows, then those above one block.
    assert [chunk.written for chunk in listed] == [5, 11]


def test_reached_thresholds_are_listed_and_what_is_unsent_is_found(admin: Client, learner: Any) -> None:
    complete(learner, "html/h1", "html/h2", "problem/p1")
    aggregate_stale()
    ReachedThreshold.objects.filter(threshold=0.5).update(due_at=timezone.now(), sent_at=None)

    def listed(query: str) -> list[float]:
        rows = admin.get(f"{ADMIN}/reachedthreshold/?{query}").context["cl"].result_list
        return sorted(row.threshold for row in rows)

    assert listed("") == [0.25, 0.5]
    assert listed("due_at__isempty=0") == [0.5]
    row = ReachedThreshold.objects.get(threshold=0.5)
    assert str(COURSE_KEY) in admin.get(f"{ADMIN}/reachedthreshold/").content.decode()
    # It would be told a second time.
    assert admin.get(f"{ADMIN}/reachedthreshold/{row.pk}/delete/").status_code == 403


@pytest.mark.django_db(transaction=True)
def test_snapshots_are_listed_newest_first_and_kept(admin: Client, learner: Any) -> None:
    complete(learner, "html/h1", "html/h2", "problem/p1")
    now = timezone.now() + timedelta(hours=1)
    for days in range(2):
        mark_learners(COURSE_KEY, [learner.pk])
        aggregate_stale()
        take_snapshots(now + timedelta(days=days))

    listed = admin.get(f"{ADMIN}/coursesnapshot/?q={quote(str(COURSE_KEY))}").context["cl"].result_list

    newest, oldest = CourseSnapshot.objects.order_by("-day")
    assert list(listed) == [newest, oldest]
    assert str(COURSE_KEY) in admin.get(f"{ADMIN}/coursesnapshot/{newest.pk}/change/").content.decode()
    assert admin.get(f"{ADMIN}/coursesnapshot/{newest.pk}/delete/").status_code == 403


def test_the_last_verification_is_shown_and_kept(admin: Client, learner: Any) -> None:
    aggregate_stale()
    BlockAggregate.objects.update(earned=0.5)
    last = verify_sample()

    assert last is not None
    (shown,) = admin.get(f"{ADMIN}/verification/").context["cl"].result_list
    assert (shown.drifted, shown.causes) == (1, {"value": 1})
    assert "{&quot;value&quot;: 1}" in admin.get(f"{ADMIN}/verification/{last.pk}/change/").content.decode()
    assert admin.get(f"{ADMIN}/verification/{last.pk}/delete/").status_code == 403


@pytest.mark.parametrize(
    "model", ["course", "stalecompletion", "aggregatedchunk", "reachedthreshold", "coursesnapshot", "verification"]
)
def test_nothing_is_added_by_hand(admin: Client, model: str) -> None:
    assert admin.get(f"{ADMIN}/{model}/add/").status_code == 403


def test_courses_are_not_deleted_by_hand(admin: Client, learner: Any) -> None:
    aggregate_stale()

    assert admin.get(f"{ADMIN}/course/{Course.objects.get().pk}/delete/").status_code == 403


@pytest.mark.parametrize("query", ["attempts=0", "attempts__gt=1", "last_error__contains=gone", "user__username=ada"])
def test_lists_are_filtered_by_nothing_else(admin: Client, query: str) -> None:
    assert admin.get(f"{ADMIN}/stalecompletion/?{query}").status_code == 400


def test_a_list_is_not_counted_to_its_end(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_ROWS", 250)
    StaleCompletion.objects.bulk_create(StaleCompletion(user_id=1, course_key=str(COURSE_KEY)) for _ in range(300))

    shown = admin.get(f"{ADMIN}/stalecompletion/").context["cl"]

    assert (shown.result_count, list(shown.paginator.page_range)) == (250, [1, 2, 3])
    assert len(admin.get(f"{ADMIN}/stalecompletion/?p=3").context["cl"].result_list) == 50


def test_a_list_stays_in_the_order_of_an_index(admin: Client) -> None:
    for attempts in (2, 1, 3):
        StaleCompletion.objects.create(user_id=1, course_key=str(COURSE_KEY), attempts=attempts)

    listed = admin.get(f"{ADMIN}/stalecompletion/?o=5").context["cl"].result_list

    assert [marker.attempts for marker in listed] == [3, 1, 2]


@pytest.mark.parametrize(
    ("term", "found"),
    [
        (str(COURSE_KEY), [1, 2]),
        ("Org", []),
        ("1", [1]),
        ("9" * 5_000, []),
        ("", [1, 2, 3]),
    ],
)
def test_markers_are_found_by_course_or_learner(admin: Client, term: str, found: list[int]) -> None:
    for user_id, course_key in ((1, COURSE_KEY), (2, COURSE_KEY), (3, "course-v1:Org+Other+Run")):
        StaleCompletion.objects.create(user_id=user_id, course_key=str(course_key))

    listed = admin.get(f"{ADMIN}/stalecompletion/?q={quote(term)}").context["cl"].result_list

    assert sorted(marker.user_id for marker in listed) == found


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", ["course", "reachedthreshold", "coursesnapshot"])
def test_lists_do_not_read_the_structures_of_courses(admin: Client, learner: Any, model: str) -> None:
    complete(learner, "html/h1", "html/h2", "problem/p1")
    aggregate_stale()
    take_snapshots(timezone.now())

    with CaptureQueriesContext(connection) as captured:
        assert admin.get(f"{ADMIN}/{model}/").context["cl"].result_list

    assert not [each["sql"] for each in captured.captured_queries if '"structure"' in each["sql"].replace("`", '"')]
