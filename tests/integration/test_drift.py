"""Stored values are compared with what they are made from, and what is wrong is told by cause."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any, ClassVar

import pytest
from completion.models import BlockCompletion
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from completion_aggregator import selectors
from completion_aggregator.models import BlockAggregate, Course, CourseAggregate, StaleCompletion, Verification
from completion_aggregator.selectors import Cause, Drift, find_drift, find_learners
from completion_aggregator.services import aggregate_stale, mark_learners, verify_sample
from completion_aggregator.tasks import verify
from sample_lms.lms import SampleLMS
from tests.factories import (
    COURSE_KEY,
    SMALL_COURSE,
    EnrollmentFactory,
    UserFactory,
    complete,
    key,
    new_course_key,
    publish_course,
    usage_key,
)

pytestmark = pytest.mark.django_db

GONE = 2_000_000_000
#: The small course, less something to do.
WITHOUT_H2 = [replace(block, staff_only=block.key == key("html/h2")) for block in SMALL_COURSE]


@pytest.fixture
def learners(course: Any) -> list[Any]:
    """Four learners who have been aggregated."""
    users = [EnrollmentFactory().user for _ in range(4)]
    for user in users:
        complete(user, "html/h1")
    aggregate_stale()
    return users


def compare() -> Drift:
    (drift,) = find_drift(COURSE_KEY, find_learners(COURSE_KEY))
    return drift


def causes() -> list[tuple[int, str]]:
    return [(each.user_id, each.cause.value) for each in compare().found]


def rows(user: Any, name: str) -> Any:
    return BlockAggregate.objects.filter(user_id=user.pk, block__block_key=key(name))


def test_what_is_right_is_not_told(learners: list[Any]) -> None:
    assert compare() == Drift(learners=4, stale=0, given_up=0, found=[])


def test_a_wrong_value_is_told_with_both_values(learners: list[Any]) -> None:
    rows(learners[0], "vertical/v1").update(earned=2.0)
    rows(learners[0], "vertical/v2").delete()

    (found,) = compare().found

    assert (found.user_id, found.cause) == (learners[0].pk, Cause.VALUE)
    assert [(key_, stored and stored[:2], computed and computed[:2]) for key_, stored, computed in found.blocks] == [
        (key("vertical/v1"), (2.0, 2), (1.0, 2)),
        (key("vertical/v2"), None, (0.0, 1)),
    ]


def test_a_wrong_moment_is_a_wrong_value(learners: list[Any]) -> None:
    rows(learners[0], "vertical/v1").update(last_modified=timezone.now())

    assert causes() == [(learners[0].pk, "value")]


def test_a_course_aggregate_that_is_wrong_alone_is_told(learners: list[Any]) -> None:
    CourseAggregate.objects.filter(user_id=learners[0].pk).update(percent=0.9)

    assert causes() == [(learners[0].pk, "course")]


def test_values_of_a_block_that_a_learner_does_not_see_are_told(learners: list[Any]) -> None:
    course = Course.objects.get()
    other = course.blocks.create(block_key=key("vertical/gone"), block_type="vertical")
    row = rows(learners[0], "vertical/v1").get()
    row.block = other
    row.save(force_insert=True)

    (found,) = compare().found

    assert (found.user_id, found.cause) == (learners[0].pk, Cause.ORPHAN)
    assert [(each.block_key, each.computed) for each in found.blocks] == [(key("vertical/gone"), None)]


def test_somebody_who_was_never_computed_is_told(learners: list[Any]) -> None:
    enrolled = EnrollmentFactory().user
    busy = UserFactory()
    BlockCompletion.objects.submit_completion(busy, usage_key("html/h1"), 1.0)
    CourseAggregate.objects.filter(user_id=learners[0].pk).update(computed_at=None)
    StaleCompletion.objects.all().delete()

    assert causes() == [(learners[0].pk, "missing"), (enrolled.pk, "missing"), (busy.pk, "missing")]


def test_rows_of_a_user_who_does_not_exist_are_told(learners: list[Any]) -> None:
    CourseAggregate.objects.filter(user_id=learners[0].pk).update(user_id=GONE)

    assert (GONE, "unknown_learner") in causes()


def test_a_version_that_nobody_was_told_of_is_the_cause(learners: list[Any]) -> None:
    publish_course(WITHOUT_H2)
    StaleCompletion.objects.all().delete()

    assert causes() == [(user.pk, "version") for user in learners]


def test_a_version_that_changes_nothing_for_a_learner_is_no_drift(learners: list[Any]) -> None:
    publish_course()
    StaleCompletion.objects.all().delete()

    assert compare().found == []


def test_a_release_date_that_the_next_pass_notices_is_no_drift(learners: list[Any]) -> None:
    rows(learners[0], "vertical/v1").update(earned=2.0)
    Course.objects.update(next_change_at=timezone.now() - timedelta(seconds=1))

    assert compare().found == []


def test_whoever_has_an_open_marker_is_stale_and_not_compared(learners: list[Any], settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_MAX_ATTEMPTS = 3
    for user in learners[:2]:
        rows(user, "vertical/v1").update(earned=2.0)
        mark_learners(COURSE_KEY, [user.pk])
    StaleCompletion.objects.filter(user_id=learners[0].pk).update(attempts=3)

    assert compare() == Drift(learners=4, stale=2, given_up=1, found=[])


class Meanwhile(SampleLMS):
    """An LMS in which something happens, once, after what is stored was read and before what it is made from is."""

    happens: ClassVar[list[Callable[[], object]]] = []

    def course_views(self, course_key: Any, user_ids: Any, *, now: Any) -> Any:
        if self.happens:
            self.happens.pop()()
        return super().course_views(course_key, user_ids, now=now)


@pytest.mark.parametrize("is_counted", [False, True])
@pytest.mark.parametrize("what", ["completion", "publication"])
def test_what_happens_meanwhile_is_no_drift(learners: list[Any], settings: Any, what: str, is_counted: bool) -> None:
    def happen() -> None:
        if what == "completion":
            complete(learners[0], "html/h2")
        else:
            publish_course(WITHOUT_H2)
        if is_counted:
            aggregate_stale()

    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.Meanwhile"
    Meanwhile.happens.append(happen)

    assert compare() == Drift(learners=4, stale=1 if what == "completion" else 4, given_up=0, found=[])
    assert Meanwhile.happens == []


def test_the_number_of_queries_does_not_grow_with_the_learners(learners: list[Any]) -> None:
    user_ids = find_learners(COURSE_KEY)
    counts = []
    for size in (1, 4):
        list(find_drift(COURSE_KEY, user_ids[:size]))
        with CaptureQueriesContext(connection) as queries:
            list(find_drift(COURSE_KEY, user_ids[:size]))
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_chunks_are_bounded_by_the_rows_that_they_hold(learners: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors.drift, "_MAX_ROWS", 30)  # ten aggregators each

    assert [drift.learners for drift in find_drift(COURSE_KEY, find_learners(COURSE_KEY))] == [3, 1]


def test_a_sample_is_drawn_from_everybody(learners: list[Any]) -> None:
    other = UserFactory()
    BlockCompletion.objects.submit_completion(other, usage_key("html/h1"), 1.0)

    everybody = sorted([*(user.pk for user in learners), other.pk])
    assert find_learners(COURSE_KEY) == find_learners(COURSE_KEY, sample=9) == everybody
    drawn = [find_learners(COURSE_KEY, sample=2) for _ in range(200)]
    assert {len(each) for each in drawn} == {2}
    assert {user_id for each in drawn for user_id in each} == set(everybody)


def run(*args: str, differ: int = 0) -> str:
    out = StringIO()
    expected: Any = pytest.raises(CommandError, match=f"^Learners who differ: {differ}$") if differ else nullcontext()
    with expected as error:
        call_command("verify_aggregates", *args, stdout=out, stderr=StringIO())
    assert error is None or error.value.returncode == 3
    return out.getvalue()


def test_the_command_tells_what_differs(learners: list[Any]) -> None:
    rows(learners[0], "vertical/v1").update(earned=2.0)
    moment = rows(learners[0], "vertical/v1").values_list(selectors.drift.MomentText("last_modified"), flat=True).get()

    assert run(str(COURSE_KEY), differ=1).splitlines() == [
        f"{COURSE_KEY}: 4 learners compared, 1 differ; 0 stale, 0 of them given up",
        "  value: 1",
        f"    learner {learners[0].pk}: value",
        f"      {key('vertical/v1')}: stored 2.0/2, {moment}, computed 1.0/2, {moment}",
    ]


def test_the_command_ends_well_when_nothing_differs(learners: list[Any]) -> None:
    assert run("--all") == f"{COURSE_KEY}: 4 learners compared, 0 differ; 0 stale, 0 of them given up\n"
    assert Verification.objects.values_list("courses", "learners", "drifted").get() == (1, 4, 0)


def test_after_a_repair_and_a_pass_nothing_differs(learners: list[Any]) -> None:
    rows(learners[0], "vertical/v1").update(earned=2.0)
    CourseAggregate.objects.filter(user_id=learners[1].pk).delete()
    BlockAggregate.objects.filter(user_id=learners[2].pk).update(user_id=GONE)
    CourseAggregate.objects.filter(user_id=learners[2].pk).update(user_id=GONE)

    document = json.loads(run(str(COURSE_KEY), "--repair", "--json", differ=4))

    (course,) = document["courses"]
    assert (course["marked"], course["forgotten"]) == (3, 1)
    assert course["causes"] == {"value": 1, "missing": 2, "unknown_learner": 1}
    assert not BlockAggregate.objects.filter(user_id=GONE).exists()
    # Whoever does something now comes before them.
    assert set(StaleCompletion.objects.values_list("bulk", flat=True)) == {True}
    aggregate_stale()
    assert run(str(COURSE_KEY), "--repair") == run(str(COURSE_KEY))
    assert compare() == Drift(learners=4, stale=0, given_up=0, found=[])


def test_json_is_one_document(learners: list[Any]) -> None:
    rows(learners[0], "vertical/v2").delete()

    assert json.loads(run(str(COURSE_KEY), "--json", differ=1)) == {
        "drifted": 1,
        "courses": [
            {
                "course_key": str(COURSE_KEY),
                "learners": 4,
                "stale": 0,
                "given_up": 0,
                "drifted": 1,
                "causes": {"value": 1},
                "found": [
                    {
                        "user_id": learners[0].pk,
                        "cause": "value",
                        "blocks": [
                            {"block_key": key("vertical/v2"), "stored": None, "computed": [0.0, 1, 0.0, 0, None]}
                        ],
                    }
                ],
                "marked": 0,
                "forgotten": 0,
                "error": None,
            }
        ],
    }


class Broken(SampleLMS):
    """An LMS that describes one course as something that is none."""

    def course_views(self, course_key: Any, user_ids: Any, *, now: Any) -> Any:
        if course_key != COURSE_KEY:
            raise selectors.drift.CourseNotFoundError("It is gone.")
        return super().course_views(course_key, user_ids, now=now)


def test_a_course_that_cannot_be_compared_does_not_stop_the_others(learners: list[Any], settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.Broken"
    other = new_course_key()
    publish_course(course_key=other)
    EnrollmentFactory(course_id=other)
    out = StringIO()

    with pytest.raises(CommandError, match=r"^Courses that could not be compared: 1$"):
        call_command("verify_aggregates", "--all", stdout=out, stderr=StringIO())

    assert f"{COURSE_KEY}: 4 learners compared" in out.getvalue()
    assert "  could not be compared: CourseNotFoundError: It is gone." in out.getvalue()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "Name one or more courses, or --all."),
        (("--all", str(COURSE_KEY)), "Name one or more courses, or --all."),
        (("--all", "--sample", "0"), "--sample must be above 0."),
        (("nonsense",), "'nonsense' is not a course key."),
        (("course-v1:No+Such+Course",), "The LMS has no course course-v1:No+Such+Course."),
    ],
)
def test_wrong_arguments_are_refused(args: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError) as error:
        call_command("verify_aggregates", *args)

    assert str(error.value) == message


def test_the_daily_sample_logs_what_is_wrong_and_keeps_the_counts(
    learners: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    rows(learners[0], "vertical/v1").update(earned=2.0)

    with caplog.at_level(logging.ERROR):
        verify.apply().get()

    assert Verification.objects.values_list("courses", "failed_courses", "learners", "drifted", "causes").get() == (
        *(1, 0, 4, 1),
        {"value": 1},
    )
    (record,) = caplog.records
    assert (
        record.getMessage() == f"Drift in {COURSE_KEY}: 1 of 4 learners (value: 1), the first are [{learners[0].pk}]. "
    )
    rows(learners[0], "vertical/v1").update(earned=1.0)
    verify.apply().get()
    assert Verification.objects.get().drifted == 0


def test_the_sample_has_a_size(learners: list[Any], settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_VERIFY_SAMPLE = 3
    verification = verify_sample()
    assert verification is not None
    assert verification.learners == 3
    settings.COMPLETION_AGGREGATOR_VERIFY_SAMPLE = 0
    assert verify_sample() is None
