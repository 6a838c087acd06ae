"""What lies beyond a limit of docs/reference/limits.rst is refused: in words, once, and with nothing half written."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from completion_aggregator.engine import tree
from completion_aggregator.exceptions import CourseTreeError
from completion_aggregator.lms.base import CourseOutline
from completion_aggregator.models import BlockAggregate, Course, CourseBlock, StaleCompletion
from completion_aggregator.selectors import get_status
from completion_aggregator.services import aggregate_stale, mark_course, structure
from sample_lms.lms import SampleLMS
from tests.acceptance.helpers import REFRESH
from tests.factories import COURSE_KEY, SMALL_COURSE, EnrollmentFactory, block, complete, publish_course

pytestmark = pytest.mark.django_db

TOO_LARGE = f"The course has {len(SMALL_COURSE)} blocks; {len(SMALL_COURSE) - 1} are the limit."
TOO_DEEP = "The course has more than 100 blocks one below the other."
CIRCULAR = "These blocks contain each other: "


def deep(depth: int) -> list[Any]:
    """Return a course of units in units."""
    names = ["course/course", *(f"vertical/v{level}" for level in range(1, depth))]
    return [*(block(*pair) for pair in pairwise(names)), block(names[-1])]


class CircularLMS(SampleLMS):
    """An LMS in which the course is in one of its own chapters."""

    def course_outline(self, course_key: Any) -> CourseOutline:
        outline = super().course_outline(course_key)
        first, second, *others = outline.blocks
        return replace(outline, blocks=(first, replace(second, children=(0,)), *others))

    def course_views(self, course_key: Any, user_ids: Any, *, now: Any) -> Any:
        raise CourseTreeError(CIRCULAR)


@pytest.fixture(params=["too large", "too deep", "circular"])
def refused(request: Any, monkeypatch: pytest.MonkeyPatch, settings: Any) -> str:
    """Publish a course that is refused; return the reason."""
    if request.param == "too deep":
        publish_course(deep(101))
        return TOO_DEEP
    publish_course()
    if request.param == "circular":
        settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.CircularLMS"
        return CIRCULAR
    monkeypatch.setattr(tree, "MAX_BLOCKS", len(SMALL_COURSE) - 1)
    return TOO_LARGE


@pytest.fixture
def learners(refused: str) -> list[Any]:
    return [EnrollmentFactory().user for _ in range(5)]


def test_its_learners_fail_with_the_reason_which_is_logged_once(
    refused: str, learners: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "completion_aggregator"):
        report = aggregate_stale(chunk_size=1)

    # The first chunk; the others are not tried.
    assert (report.failed, report.learners, len(caplog.records)) == (1, 0, 1)
    assert f"CourseTreeError: {refused}" in caplog.text
    assert StaleCompletion.objects.filter(attempts=1).exclude(not_before=None).count() == 5
    ((cause, markers, given_up),) = get_status().failures
    assert cause.startswith(f"CourseTreeError: {refused}")
    assert (markers, given_up) == (5, 0)


def test_nothing_of_it_is_stored(learners: list[Any]) -> None:
    aggregate_stale()

    assert not BlockAggregate.objects.exists()
    assert not CourseBlock.objects.exists()
    assert not Course.objects.exclude(version="").exists()


def test_its_learners_get_an_answer(refused: str, learners: list[Any]) -> None:
    aggregate_stale()
    client = Client()
    client.force_login(learners[0])
    query = {"username": learners[0].username, "requested_fields": "chapter"}

    answer = client.get(f"/api/completion/v1/course/{COURSE_KEY}/", query)
    assert answer.status_code == 200
    (result,) = answer.json()["results"]
    assert result["completion"] == {"earned": 0.0, "possible": None, "percent": 0.0}

    answer = client.post(REFRESH, {"username": learners[0].username}, "application/json")
    assert answer.status_code == 503
    assert answer.json() == {"detail": "The completion cannot be computed at the moment."}


def test_noting_it_takes_as_many_statements_for_many_as_for_few(learners: list[Any]) -> None:
    counts = []
    # The first time, the course has no row yet.
    for more in (0, 0, 30):
        EnrollmentFactory.create_batch(more)
        StaleCompletion.objects.all().delete()
        mark_course(COURSE_KEY)
        with CaptureQueriesContext(connection) as queries:
            aggregate_stale(chunk_size=1)
        counts.append(len(queries))

    assert counts[1] == counts[2]


def test_a_course_that_is_published_within_the_limits_again_is_aggregated(learner: Any) -> None:
    aggregate_stale()
    publish_course(deep(101))
    aggregate_stale()
    complete(learner, "html/h1")
    publish_course()
    StaleCompletion.objects.update(attempts=0, not_before=None)

    aggregate_stale()

    assert not StaleCompletion.objects.exists()


def test_a_course_may_be_as_deep_as_the_limit(learner: Any) -> None:
    publish_course(deep(100))

    assert aggregate_stale().failed == 0
    assert CourseBlock.objects.filter(position=99).exists()


def test_a_long_display_name_is_cut_where_it_is_stored(course: Any) -> None:
    """Course names are the LMS's own; those of blocks come from the outline."""
    outline = SampleLMS().course_outline(COURSE_KEY)
    first, *others = outline.blocks
    structure._store(COURSE_KEY, replace(outline, blocks=(replace(first, display_name="ö" * 300), *others)))

    assert CourseBlock.objects.get(position=0).display_name == "ö" * 255
    assert Course.objects.get().structure[0][0][3] == "ö" * 300
