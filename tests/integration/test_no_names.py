"""Logs and the arguments of tasks tell of people by their ids alone, whatever happens to them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from celery.signals import before_task_publish, task_postrun, task_prerun
from django.core.management import call_command
from django.test import Client
from openedx.core.djangoapps.user_api.accounts.signals import USER_RETIRE_LMS_MISC

from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.handlers import user_retired
from completion_aggregator.models import StaleCompletion
from completion_aggregator.services import aggregate_stale, mark_learners
from completion_aggregator.tasks import clean_up_aggregates, dispatch
from sample_lms.lms import SampleLMS
from sample_lms.models import Course
from tests.factories import COURSE_KEY, CohortFactory, EnrollmentFactory, MembershipFactory, UserFactory, complete

NAMES = ("zenobia_q", "zenobia@mail.example", "Zenobia", "Quillfeather")
ROOT = "/api/completion/"


class TalkativeLMS(SampleLMS):
    """An LMS that names the learner in the text of an error, or of what the error came from."""

    def course_views(self, course_key: Any, user_ids: Any, *, now: Any) -> Any:
        if is_broken[0] is not None:
            try:
                raise KeyError(", ".join(NAMES))
            except KeyError as error:
                raise is_broken[0](f"{' '.join(NAMES)} sees nothing.") from error
        return super().course_views(course_key, user_ids, now=now)


is_broken: list[type[Exception] | None] = [None]


@pytest.fixture(autouse=True)
def _lms(settings: Any) -> Iterator[None]:
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.TalkativeLMS"
    yield
    is_broken[0] = None


@pytest.fixture
def sent() -> Iterator[list[str]]:
    """Everything that goes to workers and comes back."""
    found: list[str] = []

    def note(**kwargs: Any) -> None:
        found.append(repr({name: kwargs.get(name) for name in ("args", "kwargs", "body", "headers", "retval")}))

    for signal in (before_task_publish, task_prerun, task_postrun):
        signal.connect(note, weak=False, dispatch_uid="test_no_names")
    yield found
    for signal in (before_task_publish, task_prerun, task_postrun):
        signal.disconnect(note, dispatch_uid="test_no_names")


def logged(records: list[logging.LogRecord]) -> str:
    """Return all that a formatter may show of the records: text, traceback and fields."""
    # An unexpected error in a request is logged by Django, with its text: that is the site's own log.
    ours = [record for record in records if record.name != "django.request" or record.levelno < logging.ERROR]
    formatter = logging.Formatter()
    # The request has the user, as Django hands it on: no formatter shows it, unless one is made to.
    fields = [{name: value for name, value in vars(each).items() if name != "request"} for each in ours]
    return "\n".join((*map(formatter.format, ours), *map(repr, fields)))


def ask_everything(user: Any) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    about = f"username={NAMES[0]}&requested_fields=chapter,mean&search={NAMES[2]}"
    for path in ("course", "stats", "summary", "export", "explain"):
        response = client.get(f"{ROOT}v1/{path}/{COURSE_KEY}/?{about}&type=csv")
        b"".join(response) if response.streaming else response.content
    for path in (
        "v1/course/",
        "v0/course/",
        f"v0/course/{COURSE_KEY}/",
        "my/",
        "dashboard/",
        f"dashboard/{COURSE_KEY}/",
    ):
        client.get(f"{ROOT}{path}?{about}")
    body = json.dumps({"username": NAMES[0], "users": [NAMES[0]], "course_keys": [str(COURSE_KEY)]})
    for path in ("bulk/", f"refresh/{COURSE_KEY}/", f"course/{COURSE_KEY}/"):
        client.post(f"{ROOT}v1/{path}", body, content_type="application/json")


@pytest.mark.parametrize("error", [None, ZeroDivisionError, CompletionAggregatorError], ids=str)
def test_nobody_is_named(staff: Any, course: Any, caplog: Any, sent: list[str], error: type[Exception] | None) -> None:
    user = UserFactory(username=NAMES[0], email=NAMES[1], first_name=NAMES[2], last_name=NAMES[3])
    outsider = UserFactory()
    Course.objects.update(cohorted=True)
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    MembershipFactory(user=EnrollmentFactory(user=user).user, cohort=CohortFactory())
    complete(user, "html/h1", "html/h2", "problem/p1")
    is_broken[0] = error
    dispatch()
    mark_learners(COURSE_KEY, [user.pk])
    aggregate_stale()
    for who in (user, staff, outsider):
        ask_everything(who)
    call_command("export_progress", str(COURSE_KEY), stdout=io.StringIO(), stderr=io.StringIO())
    call_command("aggregator_status", stdout=io.StringIO())
    clean_up_aggregates()
    USER_RETIRE_LMS_MISC.send(sender=object, user=user)
    user_retired(None, user)

    assert len(sent) >= 2
    told = "\n".join((logged(caplog.records), *sent))
    assert [name for name in NAMES if name in told] == []
    if error is not None:
        # Which error it was, and where it arose, is told.
        assert error.__name__ in told
        assert "in course_views" in told


def test_the_reason_of_a_failure_goes_with_the_learner(course: Any) -> None:
    """It is in the database, for staff; that may name the learner, so it is not kept when the learner is forgotten."""
    user = EnrollmentFactory(user=UserFactory(username=NAMES[0])).user
    is_broken[0] = ZeroDivisionError
    aggregate_stale()
    assert NAMES[0] in StaleCompletion.objects.get().last_error

    user_retired(None, user)

    assert not StaleCompletion.objects.filter(last_error__contains=NAMES[0]).exists()
