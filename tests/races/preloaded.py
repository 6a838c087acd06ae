"""What every process of a race has in memory from the start: it is forked from one that has imported this."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

# What the actors import.
from completion_aggregator import services  # noqa: E402, F401
from tests import factories  # noqa: E402, F401
