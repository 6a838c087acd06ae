"""Whatever is sent to any path, by anybody: a sensible status, never an exception, nothing changed.

test_bad_input.py has the statuses of single parameters; here everything is sent everywhere.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.test import Client

from completion_aggregator.services import aggregate_stale
from tests.acceptance.helpers import stored_rows
from tests.acceptance.routes import Route, routes
from tests.factories import COURSE_KEY, RoleFactory, key

pytestmark = pytest.mark.anywhere

MOUNT = "/api/completion/"
#: All that any of the views or forms reads.
PARAMETERS = (
    *("at_risk", "cohort", "cohorts", "cursor", "exclude_roles", "format", "inactive_days", "include_optional"),
    *("mobile_only", "ordering", "page", "page_size", "percent_from", "percent_max", "percent_min", "percent_to"),
    *("requested_fields", "role", "roles", "root_block", "search", "status", "type", "user_ids", "username"),
)
VALUES: dict[str, Any] = {
    "NUL": "a\0b",
    "half a surrogate pair": b"\xed\xa0\x80",
    "no UTF-8": b"\xff\xfe",
    "digits of another script": "٣٤",
    "2^63": str(2**63),
    "-2^63-1": str(-(2**63) - 1),
    "10^400": "1" + "0" * 400,
    "5,000 digits": "9" * 5_000,
    "SQL": "'; DROP TABLE auth_user; --",
    "SQL pattern": "%_\\",
    "template": "{{ 7*7 }}{% debug %}",
    "HTML": "<script>alert(1)</script>",
    "format": "%(name)s{0.__class__}",
    "path": "../../../../etc/passwd",
    "line breaks": "a\r\nSet-Cookie: b=c",
}
KEYS = {**VALUES, "100 kB": "x" * 100_000, "dots": "..", "plus": "a+b+c", "block": key("html/h1"), "ids": "1" * 19}

by_path = pytest.mark.parametrize("route", list(routes()), ids=lambda route: route.path)


@pytest.fixture
def clients(learner: Any, staff: Any) -> list[Client]:
    """A learner, course staff, staff."""
    users = [learner, RoleFactory().user, staff]
    aggregate_stale()
    found = []
    for user in users:
        client = Client()
        client.force_login(user)
        found.append(client)
    return found


@pytest.fixture(autouse=True)
def _as_often_as_it_takes(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_EXPENSIVE_RATE = settings.COMPLETION_AGGREGATOR_REFRESH_RATE = None


def send(client: Client, route: Route, query: str = "", *, hostile: Any = None) -> None:
    names = {"course_key": str(COURSE_KEY), "block_key": key("html/h1"), "chapter_id": "c1", "user_id": "1"}
    for name in [each for each in names if f"{{{each}}}" in route.path] if hostile is not None else [""]:
        values = names | ({name: hostile} if name else {})
        path = MOUNT + route.path.format(**{each: quote(value, safe="") for each, value in values.items()})
        for method in route.methods:
            body = json.dumps({"username": "nobody", "users": ["nobody"], "course_keys": [str(COURSE_KEY)]})
            response = client.generic(
                method, f"{path}?{query}", "" if method == "GET" else body, content_type="application/json"
            )
            assert response.status_code in (200, 202, 302, 400, 403, 404, 405), (method, path[:200])
            if route.path.startswith("v") and response.status_code >= 400:
                assert list(response.json()) == ["detail"]
            if response.streaming:
                assert b"".join(response.streaming_content) is not None


@by_path
def test_any_value_of_any_parameter(clients: list[Client], route: Route) -> None:
    before = stored_rows()
    for value in VALUES.values():
        # All at once finds what fails in the first that is read, …
        send(clients[-1], route, urlencode(dict.fromkeys(PARAMETERS, value)))
    for name in () if route.path.startswith("v") else PARAMETERS:
        # … each by itself what comes after; test_bad_input.py does so for the API.
        for kind in ("NUL", "half a surrogate pair", "2^63", "10^400"):
            send(clients[-1], route, urlencode({"username": "ada", "type": "csv", name: VALUES[kind]}))
    if "refresh" not in route.path:
        assert stored_rows() == before


@by_path
def test_queries_of_a_megabyte(clients: list[Client], route: Route) -> None:
    many = ("page=1&" * 10_000, "&".join(f"a{number}=1" for number in range(10_000)), "&" * 100_000)
    large = (f"{name}={letter * 1_000_000}" for name in ("username", "search", "cursor") for letter in "x,")
    for query in (*many, *large):
        send(clients[-1], route, query)


@by_path
def test_any_value_in_the_path(clients: list[Client], route: Route) -> None:
    for hostile in KEYS.values():
        for client in clients:
            send(client, route, "username=ada&type=csv", hostile=hostile)
