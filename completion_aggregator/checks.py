"""System checks: a wrong deployment is found by `manage.py check`. Ids are stable; docs/reference/checks.rst."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from completion_aggregator.compat import get_lms
from completion_aggregator.conf import RETIRED, Settings, conf


def check_lms(**kwargs: Any) -> Iterable[CheckMessage]:
    try:
        return get_lms().check()
    except ImproperlyConfigured as error:
        hint = (
            "Outside of Open edX, name your LMS's adapter class in COMPLETION_AGGREGATOR_LMS; see docs/howto/port.rst."
        )
        return [Error(str(error), hint=hint, id="completion_aggregator.E001")]


def check_settings(**kwargs: Any) -> Iterable[CheckMessage]:
    return [
        Error(
            f"The setting {setting.name} must be {setting.expects}.",
            hint=setting.doc,
            id="completion_aggregator.E002",
        )
        for setting in Settings.all()
        # An empty LMS has a check of its own.
        if setting is not Settings.LMS and not setting.valid(setting.__get__(conf, Settings))
    ]


def check_classes(**kwargs: Any) -> Iterable[CheckMessage]:
    """Find paths that name nothing: the first request would fail over them."""
    for setting, paths in (
        (Settings.AUTHENTICATION_CLASSES, conf.AUTHENTICATION_CLASSES),
        (Settings.PAGINATION_CLASS, [conf.PAGINATION_CLASS]),
    ):
        for path in paths if setting.valid(setting.__get__(conf, Settings)) else ():
            try:
                import_string(path)
            except ImportError as error:
                yield Error(f"{setting.name}: {error}", hint=setting.doc, id="completion_aggregator.E003")


def check_retired_settings(**kwargs: Any) -> Iterable[CheckMessage]:
    return [
        Info(
            f"The setting {name} has no effect any more: {reason}.",
            hint="It may be removed.",
            id="completion_aggregator.I001",
        )
        for name, reason in RETIRED.items()
        if hasattr(settings, name)
    ]
