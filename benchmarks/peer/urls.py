"""The peer's paths, where the LMS mounts them."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("api/completion/", include("completion_aggregator.urls"))]
