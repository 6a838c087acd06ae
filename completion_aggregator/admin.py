"""The admin: looking at what is stored. Nothing is edited by hand, since it would be computed anew anyway.

The tables may have millions of rows. No page goes over a whole one: nothing is counted to its end, lists are in the
order of an index, and what is searched for is looked up in one.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from completion_aggregator.models import (
    AggregatedChunk,
    Course,
    CourseSnapshot,
    ReachedThreshold,
    StaleCompletion,
    Verification,
)
from completion_aggregator.utils import MAX_ID

#: Rows that a list leads to; whoever wants another one searches.
MAX_ROWS = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not a generic at run time
    """Pages of the first rows; counts no further."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        counted: int = rows.order_by()[:MAX_ROWS].count()
        return counted


class IndexedChangeList(ChangeList):
    """A list in its own order: in that of another column, the database would sort the whole table."""

    def get_ordering_field(self, field_name: Any) -> None:
        return None


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not a generic at run time
    """No adding, changing or deleting, and no query over a whole table."""

    #: The newest first. Of an index on a moment, MariaDB makes no use for that.
    ordering = ("-id",)
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    #: Filters that may be in the address: any other would go over the table.
    lookups: frozenset[str] = frozenset()
    #: What a search compares with the whole word, and how it is called.
    course_field = ""
    user_field = ""
    #: Large, and not shown.
    deferred: tuple[str, ...] = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return IndexedChangeList

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup in self.lookups

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer(*self.deferred)

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return [name for name in (self.course_field, self.user_field) if name]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find the rows of a course, by its whole key, or of a learner, by id."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if self.user_field and term.isdecimal() and len(term) < len(str(MAX_ID)):
            return queryset.filter(**{self.user_field: int(term)}), False
        if self.course_field:
            return queryset.filter(**{self.course_field: term}), False
        return queryset.none(), False


@admin.register(Course)
class CourseAdmin(ReadOnlyAdmin):
    list_display = ("course_key", "version", "next_change_at")
    exclude = ("structure",)
    course_field = "course_key"
    search_help_text = _("A whole course key.")
    deferred = ("structure",)


@admin.register(StaleCompletion)
class StaleCompletionAdmin(ReadOnlyAdmin):
    """Deleting a marker gives its learner up; an open one that has failed says why."""

    list_display = ("course_key", "user_id", "block_key", "bulk", "created", "attempts", "not_before", "last_error")
    course_field = "course_key"
    user_field = "user_id"
    search_help_text = _("A whole course key, or the id of a learner.")
    # Those that are shown may be deleted at once, not all that there are.
    actions_selection_counter = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)


@admin.register(AggregatedChunk)
class AggregatedChunkAdmin(ReadOnlyAdmin):
    """What was aggregated lately, newest first."""

    list_display = ("finished_at", "seconds", "learners", "written", "deleted", "resolved", "failed", "skipped", "lag")


@admin.register(ReachedThreshold)
class ReachedThresholdAdmin(ReadOnlyAdmin):
    """Which thresholds were reached, the newest first, and whether that was told."""

    list_display = ("reached_at", "course", "user_id", "threshold", "percent", "due_at", "attempts", "sent_at")
    list_filter = (("due_at", admin.EmptyFieldListFilter),)
    list_select_related = ("course",)
    lookups = frozenset({"due_at__isempty"})
    user_field = "user_id"
    search_help_text = _("The id of a learner.")
    deferred = ("course__structure",)

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        # The unsent are few: found by the index, not by going back through all that were sent.
        return ("due_at", "id") if request.GET.get("due_at__isempty") == "0" else ("-id",)


@admin.register(CourseSnapshot)
class CourseSnapshotAdmin(ReadOnlyAdmin):
    """How far each class was on each day, the newest first."""

    list_display = ("day", "course", "enrolled", "started", "completed", "mean", "computed_at")
    list_select_related = ("course",)
    course_field = "course__course_key"
    search_help_text = _("A whole course key.")
    deferred = ("course__structure", "details")


@admin.register(Verification)
class VerificationAdmin(ReadOnlyAdmin):
    """What the last comparison of stored values has found: one row."""

    list_display = ("finished_at", "courses", "failed_courses", "learners", "stale", "drifted", "causes")
