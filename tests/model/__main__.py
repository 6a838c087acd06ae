"""Lets the machine run for as many operations as one likes: `make model OPERATIONS=1000000 DATABASE_URL=…`.

It stops at the first operation after which something is wrong, with the shortest way there that is found.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time

import django


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--operations", type=int, default=10_000, help="at least so many; default: 10,000")
    parser.add_argument("--seed", type=int, default=0, help="of the first 50 examples; each 50 have the next one")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    # What dies is logged at length.
    logging.disable(logging.CRITICAL)

    from django.db import connection
    from waffle.testutils import override_switch

    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        with override_switch("completion.enable_completion_tracking", active=True):
            run(options.operations, options.seed)
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


def run(operations: int, seed: int) -> None:
    import hypothesis
    from django.db import connection
    from hypothesis.stateful import run_state_machine_as_test

    from tests.model.machine import Site, done

    settings = hypothesis.settings(
        max_examples=50,
        stateful_step_count=50,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    begin = time.monotonic()
    while done.total() < operations:
        say(f"{connection.vendor}: {done.total():,} operations, seed {seed}")
        run_state_machine_as_test(hypothesis.seed(seed)(Site), settings=settings)
        seed += 1
    for name, count in done.most_common():
        say(f"{count:10,}  {name}")
    say(f"{done.total():10,}  in all, {done.total() / (time.monotonic() - begin):.1f} a second, no drift")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
