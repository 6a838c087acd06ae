"""How often a user may ask. The default cache counts, for all processes that share it; nobody who is refused waits.

While the cache is away nobody is counted: answering too much is better than answering nobody.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle, UserRateThrottle

from completion_aggregator.caching import forgiving_cache
from completion_aggregator.conf import conf


class ExpensiveThrottle(UserRateThrottle):
    """Counts the requests of each user to everything that costs more than a page of results, together."""

    scope = "completion_aggregator_expensive"
    cache = forgiving_cache  # type: ignore[assignment] # get and set are all that is asked for

    def get_rate(self) -> str | None:
        return conf.EXPENSIVE_RATE


class RefreshThrottle(SimpleRateThrottle):
    """Counts the requests of each user in each course."""

    scope = "completion_aggregator_refresh"
    cache = forgiving_cache  # type: ignore[assignment] # get and set are all that is asked for

    def get_rate(self) -> str | None:
        return conf.REFRESH_RATE

    def get_cache_key(self, request: Request, view: Any) -> str:
        course_key = view.get_course_key(view.kwargs["course_key"])
        # Not every cache takes every letter, and as many as a course key may have.
        ident = sha256(f"{request.user.pk} {course_key}".encode()).hexdigest()
        return self.cache_format % {"scope": self.scope, "ident": ident}
