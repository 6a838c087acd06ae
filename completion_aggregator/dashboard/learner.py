"""The learner's own pages: how far I have come in all my courses, and in one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.core.paginator import Paginator
from django.http import Http404
from django.utils.translation import gettext as _
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.dashboard.pages import Page, get_course_key
from completion_aggregator.selectors import (
    LearnerPath,
    get_course_means,
    get_learner_courses,
    get_learner_path,
    get_learner_paths,
    is_enrolled,
)

#: Unit: courses.
PAGE_SIZE = 20


class CourseEntry(NamedTuple):
    """One course in the list."""

    path: LearnerPath
    #: How far its learners have come on average, 0.0-1.0.
    mean: float


class MyProgressView(Page):
    """All courses in which the learner is enrolled; what is completed comes last."""

    template_name = "completion_aggregator/my_progress.html"
    section = "my"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        page = Paginator(get_learner_courses(self.request.user), PAGE_SIZE).get_page(self.request.GET.get("page"))
        entries = self._entries(list(page.object_list))
        return super().get_context_data(
            page=page,
            unfinished=[entry for entry in entries if not entry.path.is_done],
            finished=[entry for entry in entries if entry.path.is_done],
            **kwargs,
        )

    def _entries(self, course_keys: Sequence[CourseKey]) -> list[CourseEntry]:
        means = get_course_means(course_keys)
        return [CourseEntry(path, means[path.course_key]) for path in get_learner_paths(self.request.user, course_keys)]


class MyCourseView(Page):
    """One course of the learner's, section by section."""

    template_name = "completion_aggregator/my_course.html"
    section = "my"

    def get_context_data(self, *, course_key: str, **kwargs: Any) -> dict[str, Any]:
        key = get_course_key(course_key)
        if not is_enrolled(self.request.user, key):
            raise Http404(_("You are not enrolled in this course."))
        path = get_learner_path(self.request.user, key)
        return super().get_context_data(path=path, mean=get_course_means([key])[key], **kwargs)
