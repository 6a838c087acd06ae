"""Fixtures of the worker tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from sample_lms import celery_app
from tests.factories import EnrollmentFactory, publish_course
from tests.workers.brokers import make_broker
from tests.workers.site import Site


@pytest.fixture(params=["redis", "rabbitmq"])
def site(request: pytest.FixtureRequest, transactional_db: None, tmp_path: Path) -> Iterator[Site]:
    """A site with a broker and no worker yet."""
    assert connection.vendor != "sqlite", "Workers need a database that other processes reach: set DATABASE_URL."
    site = Site(make_broker(request.param), tmp_path)
    yield site
    site.close()
    celery_app.set_current()


@pytest.fixture
def learners(transactional_db: None) -> list[Any]:
    """Twelve learners in the small course."""
    publish_course()
    return [EnrollmentFactory().user for _ in range(12)]
