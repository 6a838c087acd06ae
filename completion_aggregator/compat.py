"""The one door to the LMS that the setting COMPLETION_AGGREGATOR_LMS names."""

from __future__ import annotations

from functools import cache

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from completion_aggregator.conf import conf
from completion_aggregator.lms.base import LMS


def get_lms() -> LMS:
    """Return the adapter of the configured LMS.

    Raises:
        ImproperlyConfigured: the setting is empty, or names nothing that could be an adapter.
    """
    path = conf.LMS
    if path and not isinstance(path, str):
        raise ImproperlyConfigured(f"The setting COMPLETION_AGGREGATOR_LMS is not a dotted path: {path!r}")
    return _load(path or "")


@cache
def _load(path: str) -> LMS:
    if not path:
        raise ImproperlyConfigured("The setting COMPLETION_AGGREGATOR_LMS is empty.")
    try:
        adapter = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"COMPLETION_AGGREGATOR_LMS: {error}") from error
    if not (isinstance(adapter, type) and issubclass(adapter, LMS)):
        raise ImproperlyConfigured(f"COMPLETION_AGGREGATOR_LMS: {path} is not a subclass of {LMS.__module__}.LMS.")
    missing = ", ".join(sorted(adapter.__abstractmethods__))
    if missing:
        raise ImproperlyConfigured(f"COMPLETION_AGGREGATOR_LMS: {path} does not answer {missing}.")
    return adapter()
