"""`python -m benchmarks.peer`, in the peer's environment: its measuring process."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import django
from django.core.management import call_command

from benchmarks.measure import serve


def load() -> dict[str, Callable[..., None]]:
    warnings.simplefilter("ignore")
    django.setup()
    call_command("migrate", verbosity=0)
    # The LMS's own tables have no migrations, and refer to tables that have.
    call_command("migrate", verbosity=0, run_syncdb=True)
    # Models may be imported only now.
    from benchmarks.peer.lms import platform
    from benchmarks.peer.steps import STEPS

    platform.connect()
    return {**STEPS}


if __name__ == "__main__":
    serve(load)
