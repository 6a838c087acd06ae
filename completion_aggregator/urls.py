"""What an LMS mounts at api/completion/."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("v1/", include("completion_aggregator.api.v1.urls", namespace="completion_api_v1")),
    path("v0/", include("completion_aggregator.api.v0.urls", namespace="completion_api_v0")),
    path("", include("completion_aggregator.dashboard.urls")),
]
