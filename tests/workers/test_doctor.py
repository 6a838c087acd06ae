"""The doctor asks real brokers and real workers."""

from __future__ import annotations

from typing import Any

import pytest

from completion_aggregator.management import doctor
from tests.workers.site import Site, eventually

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def found() -> tuple[str, str]:
    ((level, message),) = doctor.check_broker()
    return level.value, message


def test_a_queue_that_no_worker_takes_from_is_told(site: Site, learners: list[Any]) -> None:
    site.start_worker("--queues", site.broker.other_queue)
    eventually(lambda: "none of the 1 workers" in found()[1] or "has no queue" in found()[1])
    site.run_pass("--batch-size", "4")

    level, message = found()

    assert level == "error"
    assert message.startswith(f"3 tasks wait in the queue {site.broker.queue}, and none of the 1 workers")
    site.start_worker()
    eventually(lambda: found()[0] == "ok")
    eventually(lambda: found() == ("ok", f"0 tasks wait in the queue {site.broker.queue}, 1 workers take from it."))
