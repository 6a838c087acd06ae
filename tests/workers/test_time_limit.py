"""Chunks that take too long are cut in halves, until they fit; a learner who takes too long alone has failed."""

from __future__ import annotations

from typing import Any

import pytest

from completion_aggregator.models import CourseAggregate, StaleCompletion
from tests.workers.checks import assert_all_is_right
from tests.workers.site import Site, eventually

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("in_database", [False, True])
def test_chunks_are_halved_until_they_fit(site: Site, learners: list[Any], settings: Any, in_database: bool) -> None:
    slow, *others = learners
    seconds = {learner.pk: 0.15 for learner in others}
    site.settings |= {
        "COMPLETION_AGGREGATOR_TASK_TIME_LIMIT": 1,
        "WORKERS_LMS": {"seconds": seconds | {slow.pk: 4.0}, "in_database": in_database},
    }
    settings.COMPLETION_AGGREGATOR_TASK_TIME_LIMIT = 1
    site.start_worker()

    site.run_pass()

    # All but one are aggregated; the processes that were interrupted are in order.
    eventually(lambda: list(StaleCompletion.objects.values_list("user_id", "attempts")) == [(slow.pk, 1)], seconds=40)
    eventually(lambda: not CourseAggregate.objects.exclude(queued_until=None).exists())
    failed = StaleCompletion.objects.get()
    assert failed.last_error.startswith("SoftTimeLimitExceeded")
    failed.delete()
    assert_all_is_right(others)
