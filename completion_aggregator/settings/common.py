"""Defaults, before the operator's YAML is read: a value there takes their place by itself."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from completion_aggregator.conf import Settings, allow_tracking_events


def plugin_settings(settings: Any) -> None:
    """Give every setting that is absent its default, Studio the app whose table is aggregated, and events a way out.

    Args:
        settings: the module of the LMS's or Studio's settings.
    """
    for setting in Settings.all():
        if not hasattr(settings, setting.name):
            setattr(settings, setting.name, deepcopy(setting.default))
    if not any(app.partition(".")[0] == "completion" for app in settings.INSTALLED_APPS):
        # edx-completion makes itself known to the LMS alone.
        settings.INSTALLED_APPS.append("completion")
    allow_tracking_events(settings)
