"""What can go wrong around a benchmark."""

from __future__ import annotations


class BenchmarkError(Exception):
    """One line that says why there is no result."""
