"""`python -m tests.soak`: can the product be left alone? See docs/concepts/soak.rst."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.soak import report
from tests.soak.scenarios import SCENARIOS, run_scenario


def main() -> int:
    options = _parse()
    results = []
    for name in [options.database] if options.database else SCENARIOS:
        # Each in a process of its own: Django takes one database for good.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            results.append(pool.submit(run_scenario, name, options).result())
        report.write(results[-1], sys.stdout)
        sys.stdout.flush()
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return int(any(result["violations"] for result in results))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument(
        "--minutes",
        type=float,
        default=0.5,
        help="how long on each server, at least once through all faults (default: %(default)s)",
    )
    parser.add_argument("--database", choices=SCENARIOS, help="only this one (sqlite: a disk that is full)")
    parser.add_argument("--broker", choices=("rabbitmq", "redis"), default="rabbitmq")
    parser.add_argument("--learners", type=int, default=60, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of load, changes and faults (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="keep data and logs in new folders there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
