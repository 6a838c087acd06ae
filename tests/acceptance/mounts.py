"""Paths of an LMS with this package at two places, one of them beside edx-completion's own."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("api/completion/", include(("completion_aggregator.urls", "completion_aggregator"), namespace="first")),
    path("api/completion/", include(("completion.api.urls", "completion"), namespace="completion")),
    path(
        "completion-aggregator/", include(("completion_aggregator.urls", "completion_aggregator"), namespace="second")
    ),
]
