"""Paths of the pages; the progress bar has the name that it has in openedx-completion-aggregator."""

from __future__ import annotations

from django.urls import path, re_path
from django.views.generic import RedirectView

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
    # STUB until the learner's pages are merged: replace.
    path("my/", RedirectView.as_view(url="/"), name="my-progress"),
]
