"""A Tutor plugin: completion-aggregator in Open edX, with its workers."""

from __future__ import annotations

__version__ = "1.0.0.dev0"
