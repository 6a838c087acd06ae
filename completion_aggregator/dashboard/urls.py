"""Paths of the pages; the progress bar has the name that it has in openedx-completion-aggregator."""

from __future__ import annotations

from django.urls import path, re_path

from completion_aggregator.dashboard import learner, staff, views, widgets

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
    path("dashboard/", staff.CourseListView.as_view(), name="completion-dashboard"),
    re_path(rf"^dashboard/{COURSE_KEY}/$", staff.CourseView.as_view(), name="completion-dashboard-course"),
    re_path(
        rf"^dashboard/{COURSE_KEY}/learners/(?P<user_id>[0-9]{{1,19}})/$",
        staff.LearnerView.as_view(),
        name="completion-dashboard-learner",
    ),
    path("my/", learner.MyProgressView.as_view(), name="completion-my-progress"),
    re_path(rf"^my/{COURSE_KEY}/$", learner.MyCourseView.as_view(), name="completion-my-course"),
    re_path(rf"^widget/bar/{COURSE_KEY}/$", widgets.BarWidgetView.as_view(), name="completion-widget-bar"),
    re_path(rf"^widget/ring/{COURSE_KEY}/$", widgets.RingWidgetView.as_view(), name="completion-widget-ring"),
]
