"""Helpers around keys and logs; anybody above the engine may import them."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from opaque_keys import InvalidKeyError as OpaqueKeyError
from opaque_keys.edx.keys import AsideUsageKey, CourseKey, UsageKey

from completion_aggregator.exceptions import InvalidKeyError

#: Longest key that any of the tables holds. Unit: characters.
MAX_KEY_LENGTH = 255
#: What the ids of any database fit into.
MAX_ID = 2**63 - 1


def parse_course_key(text: str) -> CourseKey:
    """Read a course key of either form, without branch and version.

    Raises:
        InvalidKeyError: not a key, or the key of something else (a library).
    """
    try:
        key = CourseKey.from_string(text)
        # Refuses what names a version alone, and no course.
        stripped: CourseKey = without_version(key)
    except (OpaqueKeyError, UnicodeError):
        raise InvalidKeyError("Invalid course key.") from None
    if not key.is_course or not is_storable(text):
        raise InvalidKeyError("Invalid course key.")
    return stripped


def parse_block_key(text: str, course_key: CourseKey) -> str:
    """Read the usage key of a block of the course; return its text, which is how blocks are known here.

    The text of an old key (i4x://…) is the same with and without its run, so texts compare where keys do not.

    Raises:
        InvalidKeyError: not a key, or a key of another course.
    """
    try:
        key = UsageKey.from_string(text)
    except (OpaqueKeyError, UnicodeError):
        raise InvalidKeyError("Invalid block key.") from None
    # Keys of other things (asides, blocks of libraries) refuse to be mapped into a course.
    if isinstance(key, AsideUsageKey) or not is_storable(text) or not key.context_key.is_course:
        raise InvalidKeyError("Not a block of this course.")
    try:
        mapped = key.map_into_course(course_key)
        is_here = mapped == _with_run(key, course_key)
    except OpaqueKeyError:
        # An old key takes more letters than one of this course does.
        is_here = False
    if not is_here:
        raise InvalidKeyError("Not a block of this course.")
    return str(mapped)


def _with_run(key: Any, course_key: CourseKey) -> Any:
    """Give an old key the run of the course, when it is otherwise of that course."""
    if key.course_key.run is None and (key.org, key.course) == (course_key.org, course_key.course):
        return key.map_into_course(course_key)
    return without_version(key)


def without_version(key: Any) -> Any:
    """Take branch and version off a key that can have them."""
    return key.for_branch(None).version_agnostic() if hasattr(key, "version_agnostic") else key


def is_storable(text: str) -> bool:
    """Tell whether every database takes the text as it is: no NUL, nothing that UTF-8 cannot hold."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


class UntoldError(Exception):
    """Stands in a log for an error whose text may name a person."""


def without_text(error: BaseException) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """Return what a logger takes as `exc_info`: which error it is and where it arose, but not what it says.

    What the LMS says of a learner may hold a name or an address; logs leave the site, and outlast the learner.
    """
    return UntoldError, UntoldError(type(error).__qualname__), error.__traceback__
