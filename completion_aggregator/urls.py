"""What an LMS mounts at api/completion/."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path

from completion_aggregator.api import health
from completion_aggregator.api.metrics import MetricsView

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/", include("completion_aggregator.api.v1.urls", namespace="completion_api_v1")),
    path("v0/", include("completion_aggregator.api.v0.urls", namespace="completion_api_v0")),
    re_path(r"^health/?$", health.HealthView.as_view(), name="completion-health"),
    re_path(r"^health/ready/?$", health.ReadinessView.as_view(), name="completion-health-ready"),
    re_path(r"^health/lag/?$", health.LagView.as_view(), name="completion-health-lag"),
    re_path(r"^metrics/?$", MetricsView.as_view(), name="completion-metrics"),
    path("", include("completion_aggregator.dashboard.urls")),
]
