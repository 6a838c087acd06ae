"""The soak can fail: each thing that may go wrong is told."""

from __future__ import annotations

import pytest
from completion.models import BlockCompletion
from django.utils import timezone

from completion_aggregator.models import BlockAggregate, CourseAggregate, ReachedThreshold, StaleCompletion
from completion_aggregator.services import aggregate_stale, send_reached_thresholds
from tests.factories import COURSE_KEY, EnrollmentFactory, complete, key, publish_course
from tests.soak.records import Ledger
from tests.soak.verify import is_drained, verify

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ledger() -> Ledger:
    """Promises that a drained site has kept."""
    publish_course()
    ledger = Ledger()
    for _ in range(2):
        user = EnrollmentFactory().user
        complete(user, "problem/p1")
        ledger.acknowledge(user.username, str(COURSE_KEY), key("problem/p1"))
    aggregate_stale()
    send_reached_thresholds()
    return ledger


def first_learner() -> int:
    return int(CourseAggregate.objects.order_by("user_id").values_list("user_id", flat=True)[0])


def test_a_site_that_has_kept_its_promises(ledger: Ledger) -> None:
    assert verify(ledger) == []
    assert is_drained()


def test_an_acknowledged_completion_is_gone(ledger: Ledger) -> None:
    completion = BlockCompletion.objects.order_by("user_id")[0]
    user = completion.user
    # Without a signal: as a lost transaction leaves it, its marker lost with it.
    BlockCompletion.objects.filter(pk=completion.pk)._raw_delete(using="default")
    assert verify(ledger) == [
        f"Lost: {user.username} has done {key('problem/p1')}.",
        f"Stored is not computed: user {user.pk} in {COURSE_KEY}, blocks.",
        f"Stored is not computed: user {user.pk} in {COURSE_KEY}, the course aggregate.",
    ]


def test_an_acknowledged_completion_is_half_done(ledger: Ledger) -> None:
    user = BlockCompletion.objects.order_by("user_id")[0].user
    complete(user, "problem/p1", value=0.5)
    aggregate_stale()
    assert verify(ledger) == [f"Lost: {user.username} has done {key('problem/p1')}."]


def test_an_aggregate_is_wrong(ledger: Ledger) -> None:
    user_id = first_learner()
    BlockAggregate.objects.filter(user_id=user_id, block__block_key=key("vertical/v2")).update(earned=0)
    assert verify(ledger) == [f"Stored is not computed: user {user_id} in {COURSE_KEY}, blocks."]


def test_a_course_aggregate_is_wrong(ledger: Ledger) -> None:
    user_id = first_learner()
    CourseAggregate.objects.filter(user_id=user_id).update(earned=0)
    assert verify(ledger) == [f"Stored is not computed: user {user_id} in {COURSE_KEY}, the course aggregate."]


def test_a_learner_was_never_aggregated(ledger: Ledger) -> None:
    user = EnrollmentFactory().user
    StaleCompletion.objects.all().delete()
    assert verify(ledger) == [
        f"Stored is not computed: user {user.pk} in {COURSE_KEY}, blocks.",
        f"Stored is not computed: user {user.pk} in {COURSE_KEY}, the course aggregate.",
    ]


def test_a_marker_is_left(ledger: Ledger) -> None:
    user_id = first_learner()
    StaleCompletion.objects.create(user_id=user_id, course_key=str(COURSE_KEY), attempts=10, last_error="Broken")
    assert not is_drained()
    (violation,) = verify(ledger)
    assert violation.startswith("A marker is left: ")
    assert violation.endswith(f" in {COURSE_KEY}, attempts: 10, Broken.")


def test_a_claim_is_left(ledger: Ledger) -> None:
    CourseAggregate.objects.filter(user_id=first_learner()).update(queued_until=timezone.now())
    assert not is_drained()
    (violation,) = verify(ledger)
    assert violation.startswith("A claim is left: ")


def test_a_threshold_is_not_told(ledger: Ledger) -> None:
    course = CourseAggregate.objects.all()[0].course
    ReachedThreshold.objects.create(
        course=course, user_id=1, threshold=0.25, percent=0.3, reached_at=timezone.now(), due_at=timezone.now()
    )
    assert not is_drained()
    assert verify(ledger) == ["A threshold is not told: 0.25 by user 1."]
