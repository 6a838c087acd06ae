"""How often somebody may ask for what costs a lot."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from tests.acceptance.helpers import BULK, DETAIL, EXPLAIN, LIST, ROOT, STATS, ask, checked
from tests.factories import COURSE_KEY, EnrollmentFactory, RoleFactory

EXPORT = f"{ROOT}export/{COURSE_KEY}/"
SUMMARY = f"{ROOT}summary/{COURSE_KEY}/"
EXPENSIVE = (EXPLAIN, SUMMARY, EXPORT, BULK)


def fetch(user: Any, url: str) -> Any:
    client = Client()
    client.force_login(user)
    if url == BULK:
        body = json.dumps({"users": ["ada"], "course_keys": [str(COURSE_KEY)]})
        return client.post(url, body, content_type="application/json")
    return client.get(url, {"username": "ada", "type": "csv"})


def test_what_is_expensive_is_counted_together(learner: Any, staff: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_EXPENSIVE_RATE = "4/day"
    for url in EXPENSIVE:
        assert fetch(staff, url).status_code == 200
    for url in EXPENSIVE:
        response = fetch(staff, url)
        assert "throttled" in checked(response, 429)["detail"]
        assert 0 < int(response.headers["Retry-After"]) <= 24 * 60 * 60
    # Others are not held up, and neither is anything that clients of 4.5 ask for.
    assert fetch(RoleFactory().user, EXPLAIN).status_code == 200
    for url in (LIST, DETAIL, STATS):
        ask(staff, url)
    ask(staff, DETAIL, body={"user_ids": [learner.pk]})


def test_who_is_refused_is_counted_too(learner: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_EXPENSIVE_RATE = "1/day"
    other = EnrollmentFactory().user

    assert [fetch(other, EXPORT).status_code for _ in range(2)] == [403, 429]


@pytest.mark.parametrize("rate", ["300/minute", None])
def test_nobody_meets_the_default(learner: Any, staff: Any, settings: Any, rate: str | None) -> None:
    settings.COMPLETION_AGGREGATOR_EXPENSIVE_RATE = rate
    assert {fetch(staff, EXPLAIN).status_code for _ in range(20)} == {200}
