"""How the acceptance tests ask, and how an answer looks."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from opaque_keys.edx.keys import CourseKey

from tests.factories import COURSE_KEY, key
from tests.openapi.description import assert_as_described

ROOT = "/api/completion/v1/"
LIST = f"{ROOT}course/"
DETAIL = f"{ROOT}course/{COURSE_KEY}/"
STATS = f"{ROOT}stats/{COURSE_KEY}/"
EXPLAIN = f"{ROOT}explain/{COURSE_KEY}/"
BULK = f"{ROOT}bulk/"
REFRESH = f"{ROOT}refresh/{COURSE_KEY}/"
EVERYTHING = "course,chapter,sequential,vertical,username,mean"
OTHER_KEY = CourseKey.from_string("course-v1:Org+Other+Run")
PASSWORD = "correct horse"  # noqa: S105
_WRITES = re.compile(r"\s*(?!SELECT)\w.*\bcompletion_aggregator_", re.DOTALL)


def ask(
    user: Any,
    url: str,
    query: dict[str, Any] | None = None,
    *,
    body: Any = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Any:
    """Ask as this user (None: as nobody), with a body by POST; return the JSON.

    Whatever is asked: the status is the one expected, the answer is JSON, an error has a `detail`, and no row of
    completion_aggregator was written.
    """
    client = client_of(user)
    with nothing_written():
        if body is None:
            response = client.get(url, query or {}, headers=headers)
        else:
            text = body if isinstance(body, str | bytes) else json.dumps(body)
            path = f"{url}?{urlencode(query)}" if query else url
            response = client.post(path, text, content_type="application/json", headers=headers)
    return checked(response, status)


def open_page(user: Any, url: str, query: dict[str, Any] | None = None, **headers: str) -> Any:
    """Ask for a page as this user (None: as nobody); nothing is written, whatever is shown."""
    client = client_of(user)
    with nothing_written():
        return client.get(url, query or {}, headers=headers)


def client_of(user: Any) -> Client:
    """Return a client that is logged in as this user (None: as nobody), the same each time: logging in takes long."""
    if user is None:
        return Client()
    if not hasattr(user, "test_client"):
        user.test_client = Client()
        user.test_client.force_login(user)
    client: Client = user.test_client
    return client


def checked(response: Any, status: int) -> Any:
    """Return the JSON of a response with this status."""
    assert response.status_code == status, response.content[:500]
    assert response.headers["Content-Type"] == "application/json"
    data = response.json()
    if status >= 400:
        assert list(data) == ["detail"]
        assert isinstance(data["detail"], str)
    path = response.request["PATH_INFO"]
    if path.startswith("/api/completion/v"):
        assert_as_described(path, response.request["REQUEST_METHOD"], status, data)
    return data


@contextmanager
def nothing_written() -> Iterator[None]:
    """Fail when a statement in here writes to a table of the app."""
    written = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if _WRITES.match(sql):
            written.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield
    assert written == []


def stored_rows() -> dict[str, list[str]]:
    """Return every row of every table of the app."""
    tables = connection.introspection.table_names(include_views=True)
    models = [m for m in apps.get_app_config("completion_aggregator").get_models() if m._meta.db_table in tables]
    return {model.__name__: sorted(map(repr, model._default_manager.values_list())) for model in models}


def with_password(client: Client, user: Any) -> Client:
    """Let every request of the client carry the user's name and password: then it costs what a request costs."""
    user.set_password(PASSWORD)
    user.save()
    token = b64encode(f"{user.username}:{PASSWORD}".encode()).decode()
    client.defaults["HTTP_AUTHORIZATION"] = f"Basic {token}"
    return client


def page(*results: Any, count: int | None = None, num_pages: int = 1, **links: str) -> dict[str, Any]:
    """Describe a paged answer; the only page unless said otherwise."""
    pagination = {
        "next": links.get("next"),
        "previous": links.get("previous"),
        "count": len(results) if count is None else count,
        "num_pages": num_pages,
    }
    return {"pagination": pagination, "results": list(results)}


def class_page(*results: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Describe a page of a course-wide answer, whose results have a user id, too."""
    return page(*map(listed, results), **kwargs)


def done(earned: float, possible: float) -> dict[str, float]:
    return {"earned": earned, "possible": possible, "percent": earned / possible if possible else 1.0}


#: What a course-wide answer tells of a learner who was never aggregated.
UNKNOWN = {"earned": 0.0, "possible": None, "percent": 0.0}


def result(earned: float, possible: float, course_key: CourseKey = COURSE_KEY, **fields: Any) -> dict[str, Any]:
    return {"course_key": str(course_key), "completion": done(earned, possible), **fields}


def listed(fields: dict[str, Any]) -> dict[str, Any]:
    """Describe the same result in a course-wide answer: there it has the user id, too."""
    return fields | {"user_id": get_user_model().objects.get(username=fields["username"]).pk}


def nested(*rows: tuple[str, float, float], course_key: CourseKey = COURSE_KEY) -> list[dict[str, Any]]:
    """Describe a list of blocks, each as name, earned, possible."""
    return [
        {"course_key": str(course_key), "block_key": key(name, course_key), "completion": done(earned, possible)}
        for name, earned, possible in rows
    ]


def keys(data: Any) -> list[str]:
    """Return the course keys of the results."""
    return [each["course_key"] for each in data["results"]]


def usernames(data: Any) -> list[str]:
    return [each["username"] for each in data["results"]]
