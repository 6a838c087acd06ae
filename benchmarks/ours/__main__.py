"""`python -m benchmarks.ours`: the measuring process of this package."""

from __future__ import annotations

from collections.abc import Callable

import django
from django.core.management import call_command

from benchmarks.measure import serve


def load() -> dict[str, Callable[..., None]]:
    django.setup()
    call_command("migrate", verbosity=0)
    # Models may be imported only now.
    from benchmarks.ours import growth, pressure, steps

    return {**steps.STEPS, **growth.STEPS, **pressure.STEPS}


if __name__ == "__main__":
    serve(load)
