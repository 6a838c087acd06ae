"""Listening to what the package tells others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.dispatch import Signal
from eventtracking.tracker import get_tracker

from completion_aggregator.conf import TRACKING_EVENT_PREFIX


@contextmanager
def listening(signal: Signal, *receivers: Callable[..., Any]) -> Iterator[list[dict[str, Any]]]:
    """Give the arguments of each signal that is sent; further receivers are called before it is noted."""
    heard: list[dict[str, Any]] = []

    def note(signal: Signal, sender: Any, **kwargs: Any) -> None:
        heard.append(kwargs)

    for receiver in (*receivers, note):
        signal.connect(receiver, weak=False)
    try:
        yield heard
    finally:
        for receiver in (*receivers, note):
            signal.disconnect(receiver)


class Backend:
    """A backend of the tracker that keeps the events of this package."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def send(self, event: dict[str, Any]) -> None:
        if event["name"].startswith(TRACKING_EVENT_PREFIX):
            self.events.append(event)


@contextmanager
def tracking(backend: Any) -> Iterator[None]:
    """Let a backend of the tracker have the events."""
    backends = get_tracker().backends
    backends["test"] = backend
    try:
        yield
    finally:
        del backends["test"]
