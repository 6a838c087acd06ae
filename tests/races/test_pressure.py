"""Bulk work beside what learners do, by several processes at once: nobody waits for it, and it keeps to its budget."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from completion_aggregator.models import BulkBudget, CourseAggregate, StaleCompletion
from completion_aggregator.services import aggregate_stale, mark_course, mark_never_aggregated
from completion_aggregator.services.aggregation import aggregate_chunk
from completion_aggregator.services.queue import Chunk
from tests.factories import COURSE_KEY, EnrollmentFactory, UserFactory, complete, publish_course
from tests.races import actors
from tests.races.test_races import assert_all_is_right, running

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def learners() -> list[Any]:
    """Forty learners in the small course, aggregated."""
    publish_course()
    found = [EnrollmentFactory().user for _ in range(40)]
    aggregate_stale()
    return found


def test_three_services_together_grant_what_one_may(learners: list[Any], tmp_path: Path) -> None:
    grants = [tmp_path / name for name in ("one", "two", "three")]
    BulkBudget.objects.create(pk=1, seconds_per_learner=0.1)
    began = time.monotonic()
    with running(*(partial(actors.grant, grants=str(path)) for path in grants)):
        time.sleep(3)
    passed = time.monotonic() - began

    granted = [int(path.read_text()) for path in grants]
    # The first grant is that of a minute, 30 seconds of work; then half a second each second. Each is rounded up.
    assert 300 <= sum(granted) <= 300 + 5 * passed + 1, granted


def test_no_learner_is_claimed_by_two_services(learners: list[Any], tmp_path: Path) -> None:
    mark_course(COURSE_KEY)
    BulkBudget.objects.create(pk=1, granted_at=timezone.now() - timedelta(seconds=1), seconds_per_learner=0.03)
    claims = [tmp_path / name for name in ("one", "two")]
    with running(*(partial(actors.claim_once, claims=str(path)) for path in claims)):
        time.sleep(1)

    claimed = [int(user_id) for path in claims for user_id in path.read_text().split()]
    assert len(claimed) == len(set(claimed)) > 0
    assert CourseAggregate.objects.exclude(queued_until=None).count() == len(claimed)


def test_learners_work_and_read_while_two_services_rebuild(learners: list[Any]) -> None:
    UserFactory(is_staff=True)
    with running(actors.serve, actors.serve, actors.learn, actors.learn, actors.publish, actors.read_everybody):
        time.sleep(5)

    assert_all_is_right()


@pytest.mark.parametrize("mark", [mark_course, mark_never_aggregated])
def test_a_completion_waits_neither_for_bulk_work_nor_for_its_marking(learners: list[Any], mark: Any) -> None:
    """All that a chunk locks is locked while another connection saves a completion of one of its learners."""
    if mark is mark_never_aggregated:
        CourseAggregate.objects.all().delete()
        StaleCompletion.objects.all().delete()
    else:
        mark_course(COURSE_KEY)
    with transaction.atomic():
        mark(COURSE_KEY)
        aggregate_chunk(Chunk(str(COURSE_KEY), [user.pk for user in learners]))
        with running(partial(actors.complete_at_once, user_ids=[user.pk for user in learners])):
            pass

    assert StaleCompletion.objects.filter(bulk=False).count() == len(learners)


def test_a_learner_who_has_done_something_is_aggregated_before_a_rebuild(learners: list[Any]) -> None:
    """The service of one process; what a publication has left is far more than the budget of the time it runs."""
    mark_course(COURSE_KEY)
    BulkBudget.objects.create(pk=1, granted_at=timezone.now(), debt=1000.0)
    complete(learners[-1], "html/h1")
    with running(actors.serve):
        deadline = time.monotonic() + 30
        while StaleCompletion.objects.filter(bulk=False).exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    # Nothing but that: the learner's own bulk marker went along.
    assert StaleCompletion.objects.filter(bulk=True).count() == len(learners) - 1
