"""Where Open edX mounts the package: beside edx-completion, and where openedx-completion-aggregator was."""

from __future__ import annotations

from django.urls import include, path

from completion_aggregator import urls

_patterns = (urls.urlpatterns, "completion_aggregator")

urlpatterns = [
    path("completion-aggregator/", include(_patterns)),
    path("api/completion/", include(_patterns, namespace="completion_aggregator_api")),
]
