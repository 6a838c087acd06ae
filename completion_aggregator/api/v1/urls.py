"""Paths of version 1."""

from __future__ import annotations

from django.urls import re_path

from completion_aggregator.api.v1 import bulk, explain, export, refresh, summary, views

app_name = "completion_aggregator"

# A course key may hold slashes (Org/Course/Run); whether it is one, the view says.
COURSE_KEY = r"(?P<course_key>(?s:.+?))"

urlpatterns = [
    re_path(r"^course/?$", views.CompletionListView.as_view(), name="list"),
    re_path(rf"^course/{COURSE_KEY}/?$", views.CompletionDetailView.as_view(), name="detail"),
    re_path(rf"^export/{COURSE_KEY}/?$", export.CompletionExportView.as_view(), name="export"),
    re_path(r"^bulk/?$", bulk.BulkCompletionView.as_view(), name="bulk"),
    re_path(rf"^explain/{COURSE_KEY}/?$", explain.CompletionExplanationView.as_view(), name="explain"),
    re_path(rf"^refresh/{COURSE_KEY}/?$", refresh.CompletionRefreshView.as_view(), name="refresh"),
    re_path(rf"^stats/{COURSE_KEY}/?$", views.CourseLevelCompletionStatsView.as_view(), name="stats"),
    re_path(rf"^summary/{COURSE_KEY}/?$", summary.CourseSummaryView.as_view(), name="summary"),
]
