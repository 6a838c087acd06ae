"""The admin: looking at what is stored. Nothing is edited by hand, since it would be computed anew anyway."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from completion_aggregator.models import AggregatedChunk, Course, CourseSnapshot, ReachedThreshold, StaleCompletion


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not a generic at run time
    """No adding and no changing; counting a large table for every page is left out."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Course)
class CourseAdmin(ReadOnlyAdmin):
    list_display = ("course_key", "version", "next_change_at")
    search_fields = ("course_key",)
    exclude = ("structure",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(StaleCompletion)
class StaleCompletionAdmin(ReadOnlyAdmin):
    """Deleting a marker gives its learner up; an open one that has failed says why."""

    list_display = ("course_key", "user_id", "block_key", "bulk", "created", "attempts", "not_before", "last_error")
    search_fields = ("course_key",)


@admin.register(AggregatedChunk)
class AggregatedChunkAdmin(ReadOnlyAdmin):
    """What was aggregated lately, newest first."""

    list_display = ("finished_at", "seconds", "learners", "written", "deleted", "resolved", "failed", "skipped")
    ordering = ("-finished_at",)


@admin.register(ReachedThreshold)
class ReachedThresholdAdmin(ReadOnlyAdmin):
    """Which thresholds were reached, the newest first, and whether that was told."""

    list_display = ("reached_at", "course", "user_id", "threshold", "percent", "due_at", "attempts", "sent_at")
    list_filter = (("due_at", admin.EmptyFieldListFilter),)
    list_select_related = ("course",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # It would be told a second time.
        return False


@admin.register(CourseSnapshot)
class CourseSnapshotAdmin(ReadOnlyAdmin):
    """How far each class was on each day, the newest first."""

    list_display = ("day", "course", "enrolled", "started", "completed", "mean", "computed_at")
    list_select_related = ("course",)
    ordering = ("-day", "-id")
    search_fields = ("course__course_key",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
