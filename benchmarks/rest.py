"""Asking the REST API without a server: both sides are asked alike, past middleware and authentication.

Both import it, each in its own environment.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.urls import resolve
from rest_framework.test import APIRequestFactory, force_authenticate

from benchmarks.course import ALL_FIELDS, COURSE_PAGE, PAGE, READER, Course

ROOT = "/api/completion/v1"


def question(path: str, user_id: int, **parameters: str | int) -> Callable[[], bytes]:
    """Return a function that asks and returns the rendered answer."""
    user = User.objects.get(pk=user_id)
    factory = APIRequestFactory()
    match = resolve(path)

    def ask() -> bytes:
        request = factory.get(path, parameters)
        force_authenticate(request, user)
        response = match.func(request, *match.args, **match.kwargs)
        if hasattr(response, "render"):  # some answers are made at once
            response.render()
        content: bytes = response.content
        if response.status_code != 200:
            raise RuntimeError(f"{path} answers {response.status_code}: {content[:200]!r}")
        return content

    return ask


def detail(course: Course) -> Callable[[], bytes]:
    """One learner, all fields."""
    name = User.objects.get(pk=READER).username
    return question(f"{ROOT}/course/{course.key}/", READER, username=name, requested_fields=ALL_FIELDS)


def courses(user_id: int, number: int) -> Callable[[], bytes]:
    """All courses of one learner."""
    name = User.objects.get(pk=user_id).username
    return question(f"{ROOT}/course/", user_id, username=name, page_size=number)


def full_page(course: Course, staff: int) -> Callable[[], bytes]:
    return question(f"{ROOT}/course/{course.key}/", staff, page_size=PAGE, requested_fields=ALL_FIELDS)


def course_page(course: Course, staff: int) -> Callable[[], bytes]:
    return question(f"{ROOT}/course/{course.key}/", staff, page_size=COURSE_PAGE)


def stats(course: Course, staff: int, **parameters: str) -> Callable[[], bytes]:
    return question(f"{ROOT}/stats/{course.key}/", staff, **parameters)


def percents(content: bytes) -> dict[str, float]:
    """Return every percent of an answer, by its place in it: what both sides must agree on."""
    found: dict[str, float] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict):
            name = next((str(value[key]) for key in ("block_key", "username", "course_key") if key in value), "")
            for key, below in value.items():
                walk(f"{path}/{name}/{key}", below)
        elif isinstance(value, list):
            for below in value:
                walk(path, below)
        elif path.endswith("/percent"):
            found[path] = round(value, 6)

    walk("", json.loads(content)["results"])
    return found
