"""Paths of version 0, under the names that they have in openedx-completion-aggregator."""

from __future__ import annotations

from django.urls import re_path

from completion_aggregator.api.v0 import views
from completion_aggregator.api.v1.urls import COURSE_KEY

app_name = "completion_aggregator"

urlpatterns = [
    re_path(r"^course/?$", views.CompletionListView.as_view(), name="aggregator-list"),
    re_path(
        rf"^course/{COURSE_KEY}/blocks/(?P<block_key>(?s:.+?))/?$",
        views.CompletionBlockUpdateView.as_view(),
        name="blockcompletion-update",
    ),
    re_path(rf"^course/{COURSE_KEY}/?$", views.CompletionDetailView.as_view(), name="aggregator-detail"),
]
