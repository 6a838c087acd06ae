"""Log records that people and machines read: docs/reference/logs.rst lists each event with its fields.

The message is the event and its fields as `name=value`. The same are attributes of the record, so that any
formatter for JSON shows them. Fields are numbers, keys of courses and ids of learners, never names of people.
"""

from __future__ import annotations

import json
from logging import Logger
from typing import Any


def log_event(log: Logger, level: int, event: str, **fields: Any) -> None:
    """Log that something has happened."""
    if log.isEnabledFor(level):
        text = " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())
        log.log(level, "%s %s", event, text, extra={"event": event, **fields}, stacklevel=2)


def _quoted(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    # One event is one line, whatever an error says.
    return text if text.isprintable() and " " not in text else json.dumps(text)
