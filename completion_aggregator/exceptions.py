"""The errors that callers of completion_aggregator may meet; one base class.

An LMS adapter raises them too: an error's text is a sentence that may be shown to the one who asked.
"""

from __future__ import annotations

from completion_aggregator.engine import CompletionAggregatorError, CourseTreeError

__all__ = [
    "CompletionAggregatorError",
    "CourseNotFoundError",
    "CourseTreeError",
    "InvalidCursorError",
    "InvalidKeyError",
    "NotSupportedByLMSError",
    "UnknownBlockError",
    "UnknownUserError",
]


class CourseNotFoundError(CompletionAggregatorError):
    """The LMS has no such course."""


class InvalidCursorError(CompletionAggregatorError):
    """A text that should tell where a page begins does not."""


class InvalidKeyError(CompletionAggregatorError):
    """A text that should be a key is none."""


class NotSupportedByLMSError(CompletionAggregatorError):
    """The LMS lacks what was asked for."""


class UnknownUserError(CompletionAggregatorError):
    """Something is open for a user who does not exist any more."""


class UnknownBlockError(CompletionAggregatorError):
    """The course has no such block."""
