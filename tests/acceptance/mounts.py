"""Paths of an LMS with this package at two places, one of them beside edx-completion's own.

The views of edx-completion need the platform; their paths are those of completion/api/v1/urls.py.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path


def batch(request: HttpRequest) -> HttpResponse:
    return HttpResponse("batch")


def subsection(request: HttpRequest, username: str, course_key: str, subsection_id: str) -> HttpResponse:
    return HttpResponse(f"{username} {course_key} {subsection_id}")


COURSE_KEY = r"(?P<course_key>[^/+]+(/|\+)[^/+]+(/|\+)[^/?]+)"

edx_completion = [
    path("v1/completion-batch", batch),
    re_path(rf"^v1/subsection-completion/(?P<username>[^/]*)/{COURSE_KEY}/(?P<subsection_id>[^/]*)", subsection),
]
urlpatterns = [
    path("api/completion/", include(("completion_aggregator.urls", "completion_aggregator"), namespace="first")),
    path("api/completion/", include(edx_completion)),
    path(
        "completion-aggregator/", include(("completion_aggregator.urls", "completion_aggregator"), namespace="second")
    ),
]
