"""POST refresh/<course_key>/, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client

from completion_aggregator.models import CourseAggregate, StaleCompletion
from completion_aggregator.services import Report, aggregate_stale
from sample_lms.lms import SampleLMS
from sample_lms.models import Course, Enrollment
from tests.acceptance.helpers import DETAIL, LIST, OTHER_KEY, REFRESH, ROOT, ask, checked, done, nested, stored_rows
from tests.factories import (
    COURSE_KEY,
    EnrollmentFactory,
    RoleFactory,
    UserFactory,
    block,
    complete,
    publish_course,
    small_course,
)
from tests.truth import assert_stored_is_computed


class BrokenLMS(SampleLMS):
    """An LMS that cannot tell what anybody sees."""

    def course_views(self, course_key: Any, user_ids: Any, *, now: Any) -> Any:
        raise ZeroDivisionError("No view.")


class WatchingLMS(SampleLMS):
    """An LMS that notes whether it is asked for versions within a transaction."""

    seen: list[bool] = []

    def course_versions(self, course_keys: Any) -> Any:
        self.seen.append(connection.in_atomic_block)
        return super().course_versions(course_keys)


def refresh(user: Any, body: dict[str, Any], *, url: str = REFRESH, status: int = 200) -> Any:
    client = Client()
    client.force_login(user)
    return checked(client.post(url, body, content_type="application/json"), status)


def computed_at(user: Any) -> str:
    moment = CourseAggregate.objects.get(user=user).computed_at
    return moment.isoformat().replace("+00:00", "Z") if moment else ""


# --- one learner ----------------------------------------------------------------------------------------------------


def test_a_learner_is_recomputed_and_saved(learner: Any) -> None:
    complete(learner, "html/h1", "html/h4")

    answer = refresh(learner, {"username": "me"})

    assert answer == {
        "course_key": str(COURSE_KEY),
        "completion": done(2.0, 6.0),
        "computed_at": computed_at(learner),
    }
    assert not StaleCompletion.objects.exists()
    assert_stored_is_computed(COURSE_KEY)


def test_the_answer_has_what_is_requested(learner: Any) -> None:
    publish_course(
        [
            block("course/course", "chapter/c1"),
            block("chapter/c1", "html/h1", "html/h2"),
            block("html/h1"),
            block("html/h2", optional=True),
        ]
    )
    complete(learner, "html/h1")

    answer = refresh(
        learner, {"username": "ada", "requested_fields": "chapter,username,mean", "include_optional": True}
    )

    optional = {"optional_completion": done(0.0, 1.0)}
    assert answer == {
        "course_key": str(COURSE_KEY),
        "completion": done(1.0, 1.0),
        **optional,
        "username": "ada",
        "mean": 1.0,
        "chapter": [nested(("chapter/c1", 1.0, 1.0))[0] | optional],
        "computed_at": computed_at(learner),
    }


@pytest.mark.parametrize("is_global", [True, False])
def test_staff_refresh_others(learner: Any, staff: Any, is_global: bool) -> None:
    complete(learner, "html/h1")

    answer = refresh(staff if is_global else RoleFactory().user, {"username": "ada"})

    assert answer["completion"] == done(1.0, 6.0)


def test_what_nobody_was_told_of_is_found(learner: Any) -> None:
    """What is stored is compared as a whole, not only what a marker names."""
    complete(learner, "html/h1")
    aggregate_stale()
    first = computed_at(learner)
    CourseAggregate.objects.update(earned=5.0)

    answer = refresh(learner, {"username": "me"})

    assert answer["completion"] == done(1.0, 6.0)
    assert answer["computed_at"] > first
    assert_stored_is_computed(COURSE_KEY)


def test_only_the_learner_is_recomputed_and_only_in_the_course(learner: Any) -> None:
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    EnrollmentFactory(user=learner, course_id=OTHER_KEY)
    other = EnrollmentFactory().user
    StaleCompletion.objects.all().delete()
    complete(learner, "html/h1", course_key=OTHER_KEY)
    complete(learner, "html/h1")
    complete(other, "html/h1")

    refresh(learner, {"username": "me"})

    assert set(StaleCompletion.objects.values_list("user_id", "course_key")) == {
        (learner.pk, str(OTHER_KEY)),
        (other.pk, str(COURSE_KEY)),
    }


def test_where_somebody_else_is_computing_the_learner_is_queued(learner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    aggregate_stale()
    # What it takes for that to happen is two connections: tests/races.
    monkeypatch.setattr("completion_aggregator.api.v1.refresh.aggregate", lambda *args: Report(skipped=1))

    assert refresh(learner, {"username": "me"}, status=202) == {"queued": 1}

    assert list(StaleCompletion.objects.values_list("user_id", "course_key", "block_key")) == [
        (learner.pk, str(COURSE_KEY), None)
    ]


def test_a_learner_who_cannot_be_computed_keeps_markers_and_values(learner: Any, settings: Any) -> None:
    complete(learner, "html/h1")
    aggregate_stale()
    complete(learner, "html/h2")
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.BrokenLMS"

    answer = refresh(learner, {"username": "me"}, status=503)

    assert answer == {"detail": "The completion cannot be computed at the moment."}
    (marker,) = StaleCompletion.objects.all()
    assert (marker.attempts, marker.last_error) == (1, "ZeroDivisionError: No view.")
    assert CourseAggregate.objects.get().earned == 1.0


def test_whoever_is_not_enrolled_is_not_found(learner: Any, staff: Any) -> None:
    Enrollment.objects.update(is_active=False)
    before = stored_rows()
    for user, username in ((learner, "me"), (staff, "ada"), (staff, "me")):
        answer = refresh(user, {"username": username}, status=404)
        assert answer == {"detail": "The learner is not enrolled in this course."}
    assert stored_rows() == before


# --- everybody ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_global", [True, False])
def test_staff_who_name_nobody_mark_the_course(learner: Any, staff: Any, is_global: bool) -> None:
    asking = staff if is_global else RoleFactory().user
    other = EnrollmentFactory().user
    EnrollmentFactory(is_active=False)
    StaleCompletion.objects.all().delete()

    assert refresh(asking, {}, status=202) == {"queued": 2}

    markers = StaleCompletion.objects.values_list("user_id", "course_key", "block_key")
    assert set(markers) == {(user.pk, str(COURSE_KEY), None) for user in (learner, other)}


@pytest.mark.parametrize("text", ["course-v1:Org+Unknown+Run", str(COURSE_KEY).lower()])
def test_a_course_that_is_not_there_is_not_marked(learner: Any, staff: Any, text: str) -> None:
    before = stored_rows()

    answer = refresh(staff, {}, url=f"{ROOT}refresh/{text}/", status=404)

    assert answer == {"detail": "There is no such course."}
    assert stored_rows() == before


def test_a_course_that_the_lms_has_lost_is_not_found(learner: Any) -> None:
    Course.objects.all().delete()

    assert refresh(learner, {"username": "me"}, status=404) == {"detail": "There is no such course."}


# --- how often ------------------------------------------------------------------------------------------------------


def test_whoever_asks_too_often_is_told_when_to_come_back(learner: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_REFRESH_RATE = "2/day"
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    EnrollmentFactory(user=learner, course_id=OTHER_KEY)
    other = EnrollmentFactory().user
    client = Client()
    client.force_login(learner)
    for url in (REFRESH, f"{ROOT}refresh/{COURSE_KEY}+branch@draft/"):
        checked(client.post(url, {"username": "me"}, content_type="application/json"), 200)
    before = stored_rows()

    response = client.post(REFRESH, {"username": "me"}, content_type="application/json")

    assert "throttled" in checked(response, 429)["detail"]
    assert 0 < int(response.headers["Retry-After"]) <= 24 * 60 * 60
    assert stored_rows() == before
    # Others, other courses and other questions are not held up.
    refresh(other, {"username": "me"})
    refresh(learner, {"username": "me"}, url=f"{ROOT}refresh/{OTHER_KEY}/")
    ask(learner, DETAIL, {"username": "me"})
    ask(learner, LIST, {"username": "me"})


def test_there_need_not_be_a_limit(learner: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_REFRESH_RATE = None
    for _ in range(12):
        refresh(learner, {"username": "me"})


# --- requests -------------------------------------------------------------------------------------------------------


def test_it_is_asked_by_post_alone(learner: Any) -> None:
    ask(learner, REFRESH, {"username": "me"}, status=405)


def test_by_session_the_csrf_token_is_needed(learner: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(learner)
    before = stored_rows()

    checked(client.post(REFRESH, {"username": "me"}, content_type="application/json"), 403)

    assert stored_rows() == before


@pytest.mark.django_db(transaction=True)
def test_it_makes_its_own_transactions_where_a_request_is_one(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    publish_course()
    user = EnrollmentFactory(user=UserFactory()).user
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.WatchingLMS"
    WatchingLMS.seen.clear()

    refresh(user, {"username": "me"})

    assert WatchingLMS.seen
    assert not any(WatchingLMS.seen)
    ask(user, DETAIL, {"username": "me"})
