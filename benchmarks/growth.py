"""How cost grows with learners, with blocks and with workers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from benchmarks.child import Child

#: 100 blocks and 36 aggregators, 20 completions a learner: so that 100,000 learners take minutes, not an hour.
SHAPE = (5, 2, 2, 5)
LEARNERS = (1_000, 10_000, 100_000)
#: 100, 1,000 and 5,000 blocks; 36, 261 and 1,111 aggregators; a fifth of the blocks completed.
SHAPES = (SHAPE, (10, 5, 4, 5), (10, 10, 10, 5))
LEARNERS_OF_SHAPES = 500
WORKERS = (1, 2, 4)
LEARNERS_OF_WORKERS = 10_000
ROUNDS = 3
NOTES = {
    "learners": "a course of 100 blocks and 36 aggregators, 20 completions a learner; 100,000 learners once",
    "blocks": "500 learners, a fifth of the blocks completed",
    "workers": "processes that aggregate the same course of 10,000 learners at once, no rows there yet",
}


def run(start: Callable[[], Child], say: Callable[[str], None]) -> dict[str, Any]:
    """Measure every point; each in a process of its own, so that its memory is its own."""
    return {
        "notes": NOTES,
        "learners": [_learners(start, learners, say) for learners in LEARNERS],
        "blocks": [_blocks(start, shape, say) for shape in SHAPES],
        "workers": _workers(start, say),
    }


def _learners(start: Callable[[], Child], learners: int, say: Callable[[str], None]) -> dict[str, Any]:
    say(f"growth: {learners:,} learners")
    rounds = ROUNDS if learners < max(LEARNERS) else 1
    return {"learners": learners, **_measure(start, f"Learners{learners}", SHAPE, learners, rounds)}


def _blocks(start: Callable[[], Child], shape: tuple[int, ...], say: Callable[[str], None]) -> dict[str, Any]:
    chapters, sections, units, each = shape
    blocks = chapters * sections * units * each
    aggregators = 1 + chapters * (1 + sections * (1 + units))
    say(f"growth: {blocks:,} blocks")
    figures = _measure(start, f"Blocks{blocks}", shape, LEARNERS_OF_SHAPES, ROUNDS)
    return {"blocks": blocks, "aggregators": aggregators, **figures}


def _measure(
    start: Callable[[], Child], name: str, shape: tuple[int, ...], learners: int, rounds: int
) -> dict[str, float]:
    with start() as child:
        child.ask("grow", name=name, shape=shape, learners=learners)
        new = [child.ask("grown_new", name=name) for _ in range(rounds)]
        same = [child.ask("grown_same", name=name) for _ in range(rounds)]
    seconds = statistics.median(each["value"] for each in new)
    return {
        "new": seconds,
        "same": statistics.median(each["value"] for each in same),
        "rows_per_second": new[0]["rows"] / (seconds * new[0]["units"]),
        "peak_mb": max(each["peak_mb"] for each in [*new, *same]),
    }


def _workers(start: Callable[[], Child], say: Callable[[str], None]) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        workers = [stack.enter_context(start()) for _ in range(max(WORKERS))]
        workers[0].ask("grow", name="Workers", shape=SHAPE, learners=LEARNERS_OF_WORKERS)
        for worker in workers:  # Each has read the course before it is timed.
            worker.ask("grown_same", name="Workers")
        points = []
        for number in WORKERS:
            say(f"growth: {number} workers")
            points.append(_together(workers[:number]))
    return points


def _together(workers: list[Child]) -> dict[str, Any]:
    rates = []
    for _ in range(ROUNDS):
        workers[0].ask("prepare_new", name="Workers")
        begin = time.perf_counter()
        for worker in workers:
            worker.send("aggregate")
        rows = sum(worker.receive()["rows"] for worker in workers)
        rates.append(rows / (time.perf_counter() - begin))
        workers[0].ask("check_done")
    return {"workers": len(workers), "rows_per_second": statistics.median(rates)}
