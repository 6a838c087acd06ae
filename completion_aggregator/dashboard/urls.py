"""Paths of the pages, under the names that they have in openedx-completion-aggregator."""

from __future__ import annotations

from django.urls import re_path

from completion_aggregator.dashboard import views

# Only an old key (Org/Course/Run) holds slashes; it holds two.
COURSE_KEY = r"(?P<course_key>[^/+]+/[^/+]+/[^/+]+|[^/]+)"

urlpatterns = [
    re_path(
        rf"^progress_bar/{COURSE_KEY}/$", views.CompletionProgressBarView.as_view(), name="completion-progress-bar"
    ),
    re_path(
        rf"^progress_bar/{COURSE_KEY}/(?P<chapter_id>.+)/$",
        views.CompletionProgressBarView.as_view(),
        name="completion-progress-bar",
    ),
]
