"""`python -m benchmarks`: measures side by side, prints a table, writes benchmarks/results."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from functools import partial
from typing import Any

from benchmarks import databases, engine, growth, plot, pressure, report, runner
from benchmarks.child import ROOT, Child
from benchmarks.errors import BenchmarkError
from benchmarks.peer import environment
from benchmarks.scenarios import SCENARIOS

NAMES = [scenario.name for scenario in SCENARIOS]
START = time.monotonic()
PEER_VERSION = "4.5.0"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=f"only these: {', '.join(NAMES)}")
    what.add_argument("--growth", action="store_true", help="only how cost grows")
    what.add_argument("--pressure", action="store_true", help="only what learners notice of a rebuild; needs Redis")
    parser.add_argument("--rounds", type=_count, default=5, metavar="N", help="a figure is the median of N (5)")
    parser.add_argument("--database", choices=["mariadb", "postgresql", "sqlite"], default="mariadb")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError("must be a whole number above 0")
    return int(text)


def main(options: argparse.Namespace) -> None:
    names = [databases.OURS]
    if options.database == "mariadb":
        names.append(databases.PEER)
    with databases.fresh(options.database, *names):
        results: dict[str, Any] = {}
        start = partial(_start, "benchmarks.ours", options.database)
        with start() as ours:
            results["machine"] = report.machine(ours.ask("environment")["answer"])
            if not options.growth and not options.pressure:
                results["scenarios"] = _scenarios(options, ours, results["machine"])
        if options.pressure:
            results["pressure"] = pressure.run(start, _settings(options.database), say)
        if options.growth or (options.database == "mariadb" and not options.only and not options.pressure):
            results["growth"] = growth.run(start, say)
            plot.draw(results["growth"], report.PLOT)
    if not options.growth and not options.only and not options.pressure:
        results["engine"] = engine.run()
    report.save(results, report.path_of(options.database))
    show(results)


def _start(module: str, database: str) -> Child:
    return Child(sys.executable, module, _settings(database))


def _settings(database: str) -> dict[str, str]:
    return {
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "sample_lms.settings",
        "DATABASE_URL": databases.url(database, databases.OURS),
        "CACHE_URL": "locmemcache://",
        "DEBUG": "0",
    }


def _start_peer(database: str) -> Child:
    say("the peer's environment")
    settings = {
        # It finds the benchmarks after what is installed there; see `environment`.
        "PYTHONPATH": "",
        "DJANGO_SETTINGS_MODULE": "benchmarks.peer.settings",
        "DATABASE_URL": databases.url(database, databases.PEER),
    }
    child = Child(environment.ensure(), "benchmarks.peer", settings)
    found = child.ask("check")["answer"]
    if found != PEER_VERSION:
        raise BenchmarkError(f"The peer's environment has version {found}, not {PEER_VERSION}.")
    return child


def _scenarios(options: argparse.Namespace, ours: Child, machine: dict[str, Any]) -> dict[str, Any]:
    with ExitStack() as stack:
        sides = {"ours": ours}
        if options.database == "mariadb":
            sides["peer"] = stack.enter_context(_start_peer(options.database))
        sides["limit"] = stack.enter_context(_start("benchmarks.limit", options.database))
        chosen = [scenario for scenario in SCENARIOS if not options.only or scenario.name in options.only]
        found: dict[str, Any] = {}
        for scenario in chosen:
            found[scenario.name] = runner.run(scenario, sides, rounds=options.rounds, say=say)
            # A run takes long: what is measured is kept, whatever comes.
            report.save({"machine": machine, "scenarios": found}, report.path_of(options.database))
        return found


def say(text: str) -> None:
    """Tell what runs now; the table goes to standard output, this does not."""
    sys.stderr.write(f"{time.monotonic() - START:6.0f} s  {text}\n")
    sys.stderr.flush()


def show(results: dict[str, Any]) -> None:
    lines = [report.table(results["scenarios"])] if "scenarios" in results else []
    lines += [f"{name:60} {value}" for name, value in results.get("engine", {}).items()]
    for kind in ("learners", "blocks", "workers"):
        lines += [str(report.rounded(point)) for point in results.get("growth", {}).get(kind, [])]
    lines += [f"{name}: {report.rounded(figures)}" for name, figures in results.get("pressure", {}).items()]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    try:
        main(parse())
    except BenchmarkError as problem:
        sys.exit(f"benchmarks: {problem}")
    except KeyboardInterrupt:
        sys.exit("benchmarks: interrupted")
