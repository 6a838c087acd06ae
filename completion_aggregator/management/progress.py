"""Showing how a long step goes: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from django.core.management.base import CommandError, OutputWrapper
from tqdm import tqdm


class Advance(Protocol):
    """Called with how many more are done."""

    def __call__(self, done: int, /) -> object: ...


@contextmanager
def progress(out: OutputWrapper, title: str, total: int) -> Iterator[Advance]:
    """Show the progress of `total` steps; one plain line per tenth where there is no terminal."""
    if out.isatty():
        with tqdm(desc=title, total=total, file=out, dynamic_ncols=True) as bar:
            yield bar.update
        return
    done = shown = 0

    def advance(more: int) -> None:
        nonlocal done, shown
        done += more
        if total and (tenth := 10 * done // total) > shown:
            shown = tenth
            out.write(f"{title}: {done} of {total}")

    yield advance


def require(condition: object, message: str) -> None:
    """Refuse bad arguments in one line, with exit status 1."""
    if not condition:
        raise CommandError(message)
