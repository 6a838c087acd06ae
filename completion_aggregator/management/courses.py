"""The courses that a command is given by name."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.management.base import CommandError
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.exceptions import InvalidKeyError
from completion_aggregator.management.progress import require
from completion_aggregator.utils import parse_course_key


def read_course_keys(texts: Iterable[str]) -> list[CourseKey]:
    """Return the keys, each once.

    Raises:
        CommandError: one is no course key, or the LMS has no such course.
    """
    course_keys = [_parse(text) for text in dict.fromkeys(texts)]
    known = get_lms().course_versions(course_keys)
    for course_key in course_keys:
        require(course_key in known, f"The LMS has no course {course_key}.")
    return course_keys


def _parse(text: str) -> CourseKey:
    try:
        return parse_course_key(text)
    except InvalidKeyError:
        raise CommandError(f"{text!r} is not a course key.") from None
