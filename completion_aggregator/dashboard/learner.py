"""The learner's own pages: how far I have come in all my courses, and in one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from django.contrib.auth.models import AbstractBaseUser
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
        learner = cast(AbstractBaseUser, self.request.user)
        page = Paginator(get_learner_courses(learner), PAGE_SIZE).get_page(self.request.GET.get("page"))
        entries = _read_entries(learner, list(page.object_list))
        return super().get_context_data(
            page=page,
            unfinished=[entry for entry in entries if not entry.path.is_done],
            finished=[entry for entry in entries if entry.path.is_done],
            **kwargs,
        )


class MyCourseView(Page):
    """One course of the learner's, section by section."""

    template_name = "completion_aggregator/my_course.html"
    section = "my"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        key, learner = get_course_key(kwargs["course_key"]), cast(AbstractBaseUser, self.request.user)
        if not is_enrolled(learner, key):
            raise Http404(_("You are not enrolled in this course."))
        path = get_learner_path(learner, key)
        return super().get_context_data(path=path, mean=get_course_means([key])[key], **kwargs)


def _read_entries(learner: AbstractBaseUser, course_keys: Sequence[CourseKey]) -> list[CourseEntry]:
    means = get_course_means(course_keys)
    return [CourseEntry(path, means[path.course_key]) for path in get_learner_paths(learner, course_keys)]
