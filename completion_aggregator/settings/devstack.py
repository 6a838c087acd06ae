"""The settings of developers: those of production, whether or not there is any YAML."""

from __future__ import annotations

from completion_aggregator.settings.production import plugin_settings

__all__ = ["plugin_settings"]
