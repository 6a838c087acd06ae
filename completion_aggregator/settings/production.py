"""After the operator's YAML was read."""

from __future__ import annotations

from typing import Any

from completion_aggregator.conf import Settings, allow_tracking_events


def plugin_settings(settings: Any) -> None:
    """Take values from the raw YAML, as old platforms need it; newer ones have made settings of them already."""
    tokens = getattr(settings, "ENV_TOKENS", {})
    for setting in Settings.all():
        if setting.name in tokens:
            setattr(settings, setting.name, tokens[setting.name])
    # The operator may have named other block types.
    allow_tracking_events(settings)
