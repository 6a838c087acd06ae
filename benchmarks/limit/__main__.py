"""`python -m benchmarks.limit`: the measuring process of the limit. It relies on what `benchmarks.ours` has left."""

from __future__ import annotations

from collections.abc import Callable

import django

from benchmarks.measure import serve


def load() -> dict[str, Callable[..., None]]:
    django.setup()
    # Models may be imported only now.
    from benchmarks.limit.steps import STEPS

    return {**STEPS}


if __name__ == "__main__":
    serve(load)
