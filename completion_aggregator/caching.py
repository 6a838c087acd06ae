"""What is kept in the default cache may be lost: while it is away nothing is found in it, and nobody is refused."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.cache import cache

from completion_aggregator.logs import log_event

log = logging.getLogger(__name__)


class ForgivingCache:
    """The methods of Django's cache that are used here; each that fails is logged and does nothing.

    Cost: one round trip; while the cache is away, as long as its client waits for it.
    """

    def get(self, key: str, default: Any = None) -> Any:
        with _forgiven():
            return cache.get(key, default)
        return default

    def set(self, key: str, value: Any, timeout: float | None = None) -> None:
        with _forgiven():
            cache.set(key, value, timeout)

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        with _forgiven():
            return dict(cache.get_many(keys))
        return {}

    def set_many(self, values: Mapping[str, Any], timeout: float | None = None) -> None:
        with _forgiven():
            cache.set_many(dict(values), timeout)


forgiving_cache = ForgivingCache()


@contextmanager
def _forgiven() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - each cache has exceptions of its own
        log_event(log, logging.WARNING, "cache_failed", cause=type(error).__name__)
