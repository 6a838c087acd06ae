"""Ending work in the middle, as a killed process does; and having something else happen in the middle of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


class Killed(BaseException):
    """Nobody catches it."""


@contextmanager
def dying(at: int, error: BaseException | type[BaseException] = Killed) -> Iterator[list[int]]:
    """Let the statement of this number, from 1, fail before it runs; give how many there were."""
    count = [0]

    def execute(run: Any, *arguments: Any) -> Any:
        count[0] += 1
        if count[0] == at:
            raise error
        return run(*arguments)

    with connection.execute_wrapper(execute):
        yield count


@contextmanager
def meanwhile(at: int, act: Callable[[], object]) -> Iterator[None]:
    """Do something just before the statement of this number, from 1, as if another process committed it then.

    It may do what waits for none of the locks that the work holds.
    """
    count = 0

    def execute(run: Any, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == at:
            act()
        return run(*arguments)

    with connection.execute_wrapper(execute):
        yield
