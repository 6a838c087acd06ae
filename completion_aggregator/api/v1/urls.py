"""Paths of version 1."""

from __future__ import annotations

from django.urls import re_path

from completion_aggregator.api.v1 import views
from completion_aggregator.api.v1.bulk import BulkCompletionView
from completion_aggregator.api.v1.explain import CompletionExplanationView
from completion_aggregator.api.v1.refresh import CompletionRefreshView

app_name = "completion_aggregator"

# A course key may hold slashes (Org/Course/Run); whether it is one, the view says.
COURSE_KEY = r"(?P<course_key>(?s:.+?))"

urlpatterns = [
    re_path(r"^course/?$", views.CompletionListView.as_view(), name="list"),
    re_path(rf"^course/{COURSE_KEY}/?$", views.CompletionDetailView.as_view(), name="detail"),
    re_path(rf"^stats/{COURSE_KEY}/?$", views.CourseLevelCompletionStatsView.as_view(), name="stats"),
    re_path(rf"^explain/{COURSE_KEY}/?$", CompletionExplanationView.as_view(), name="explain"),
    re_path(r"^bulk/?$", BulkCompletionView.as_view(), name="bulk"),
    re_path(rf"^refresh/{COURSE_KEY}/?$", CompletionRefreshView.as_view(), name="refresh"),
]
