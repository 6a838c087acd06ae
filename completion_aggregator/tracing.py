"""Spans, where OpenTelemetry is installed; without it they cost nothing worth mentioning.

Which spans there are, with which attributes, says docs/howto/monitor.rst. Carrying a trace from a request through the
broker to a worker is the task of opentelemetry-instrumentation-celery.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from completion_aggregator import __version__

_NAME = "completion_aggregator"


class _Absent:
    """Stands for every span, and what makes them, where OpenTelemetry is not installed."""

    @contextmanager
    def start_as_current_span(self, name: str) -> Iterator[_Absent]:
        yield self

    def set_attribute(self, name: str, value: Any) -> None:
        pass


if TYPE_CHECKING or find_spec("opentelemetry"):
    from opentelemetry.trace import Span, get_tracer
else:
    Span = _Absent

    def get_tracer(name: str, version: str) -> _Absent:
        return _Absent()


_tracer = get_tracer(_NAME, __version__)


@contextmanager
def span(name: str, **attributes: Any) -> Iterator[Span]:
    """Run a block, or a function that wears it, in a span of its own below the one that is under way."""
    with _tracer.start_as_current_span(f"{_NAME}.{name}") as current:
        describe(current, **attributes)
        yield current


def describe(current: Span, **attributes: Any) -> None:
    """Give a span attributes."""
    for name, value in attributes.items():
        current.set_attribute(f"{_NAME}.{name}", value)
