"""What all pages have in common: who is asked to log in, where they lead."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import Http404, HttpRequest
from django.urls import NoReverseMatch, resolve, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.generic import TemplateView
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.caching import forgiving_cache
from completion_aggregator.compat import get_lms
from completion_aggregator.dashboard.headers import page
from completion_aggregator.exceptions import InvalidKeyError
from completion_aggregator.utils import parse_course_key

#: How long a page does not know that somebody has begun, or ceased, to work in a course. Unit: seconds.
NAVIGATION_TIMEOUT = 300


@method_decorator(page, name="dispatch")
class Page(LoginRequiredMixin, TemplateView):
    """A page in the common look, for whoever is logged in; others are sent to LOGIN_URL."""

    #: Which entry of the navigation the page belongs to: "my" or "courses".
    section = ""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            leads_to_courses=self._leads_to_courses(), logout=_find_logout(), section=self.section, **kwargs
        )

    def _leads_to_courses(self) -> bool:
        """Tell whether the navigation has the dashboard; kept for a while: the LMS may look at all courses."""
        key = f"completion_aggregator.works_in_courses.{self.request.user.pk}"
        kept: bool | None = forgiving_cache.get(key)
        if kept is None:
            kept = self.works_in_courses()
            forgiving_cache.set(key, kept, NAVIGATION_TIMEOUT)
        return kept

    def works_in_courses(self) -> bool:
        """Tell whether there are courses whose dashboard the user may see."""
        user = self.request.user
        return user.is_authenticated and (user.is_staff or bool(get_lms().staff_courses(user)))


def page_url(request: HttpRequest, name: str, **kwargs: Any) -> str:
    """Return the path of another page of the package, at the mount at which it was asked."""
    match = request.resolver_match
    namespace = match.namespace if match else ""
    return reverse(f"{namespace}:{name}" if namespace else name, kwargs=kwargs)


def get_course_key(text: str) -> CourseKey:
    """Read the course key in a path.

    Raises:
        Http404: it is none.
    """
    try:
        return parse_course_key(text)
    except InvalidKeyError:
        raise Http404(_("Invalid course key.")) from None


def _find_logout() -> dict[str, str] | None:
    """Return where and how one logs out of the host; None: nowhere that we know."""
    try:
        path = reverse("logout")
    except NoReverseMatch:
        return None
    view = getattr(resolve(path).func, "view_class", None)
    # Django's own takes nothing but a POST; others are pages to be visited.
    return {"path": path, "method": "get" if view is None or "get" in view.http_method_names else "post"}
