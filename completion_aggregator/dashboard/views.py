"""The progress bar: a small page to be framed by others."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.generic import View
from opaque_keys import InvalidKeyError as OpaqueKeyError
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.dashboard.charts import whole_percent
from completion_aggregator.dashboard.headers import framed_page
from completion_aggregator.dashboard.pages import get_course_key, page_url
from completion_aggregator.exceptions import InvalidKeyError, UnknownBlockError
from completion_aggregator.selectors import get_course_completion, is_enrolled
from completion_aggregator.utils import parse_block_key


@method_decorator(framed_page, name="dispatch")
class CompletionProgressBarView(View):
    """How far the learner has come in a course, or in one of its chapters.

    Whoever is not enrolled sees an empty bar, and so does whoever is not logged in, with a way to log in: a redirect
    would show nothing at all, since login pages refuse to be framed.
    """

    template_name = "completion_aggregator/progress_bar.html"

    def get(self, request: HttpRequest, course_key: str, chapter_id: str | None = None) -> HttpResponse:
        key = get_course_key(course_key)
        user = request.user
        learner = user if user.is_authenticated and is_enrolled(user, key) else None
        share = 0.0 if learner is None else _share(learner, key, chapter_id)
        context = {
            "label": _("Course progress") if chapter_id is None else _("Chapter progress"),
            "share": share,
            "percent": whole_percent(share),
            "login_url": None if user.is_authenticated else resolve_url(settings.LOGIN_URL),
            "page_url": None if learner is None else page_url(request, "completion-my-course", course_key=key),
        }
        return render(request, self.template_name, context)


def _share(learner: AbstractBaseUser, course_key: CourseKey, chapter_id: str | None) -> float:
    try:
        chapter = None if chapter_id is None else _chapter_key(chapter_id, course_key)
        return get_course_completion(learner, course_key, root_block=chapter, with_dates=False).percent
    except (InvalidKeyError, UnknownBlockError):
        # A chapter that left the course; the page that frames the bar does not know yet.
        return 0.0


def _chapter_key(text: str, course_key: CourseKey) -> str:
    """Read the key of a block, or the last part of a chapter's key.

    Raises:
        InvalidKeyError: it is neither.
    """
    if "@" not in text and ":" not in text:
        try:
            text = str(course_key.make_usage_key("chapter", text))
        except OpaqueKeyError:
            raise InvalidKeyError("Invalid block key.") from None
    return parse_block_key(text, course_key)
