from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import re_path
from edx_django_utils.plugins import get_plugin_url_patterns
from openedx.core.djangoapps.plugins.constants import ProjectType


def jump_to(request: HttpRequest, course_id: str, location: str) -> HttpResponse:
    return HttpResponse(location)


urlpatterns = [
    re_path(rf"^courses/{settings.COURSE_ID_PATTERN}/jump_to/(?P<location>.*)$", jump_to, name="jump_to"),
    *get_plugin_url_patterns(ProjectType.LMS),
]
