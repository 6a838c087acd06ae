"""The pure part: compiling a course, rolling a learner up, finding what a change affects."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

from benchmarks.course import SHAPE, TYPES
from completion_aggregator.engine import Block, Completion, CompletionMode, CourseTree, affected, roll_up

COMPLETIONS = 200
ROUNDS = 500


def course(shape: tuple[int, ...] = SHAPE) -> list[Block]:
    """Describe a regular course, in course order."""
    blocks: list[Block] = []

    def add(name: str, depth: int) -> None:
        children = [f"{name}.{n}" for n in range(shape[depth])] if depth < len(shape) else []
        mode = CompletionMode.AGGREGATOR if children else CompletionMode.COMPLETABLE
        blocks.append(Block(key=name, block_type=TYPES[depth], mode=mode, children=tuple(children)))
        for child in children:
            add(child, depth + 1)

    add("course", 0)
    return blocks


def run() -> dict[str, str]:
    """Measure each on the course of SHAPE. Unit: milliseconds, the median and the best of ROUNDS."""
    blocks = course()
    tree = CourseTree.build(blocks)
    now = datetime.now(UTC)
    done = {key: Completion(1.0, now) for key in random.Random(1).sample(list(tree.leaves), COMPLETIONS)}  # noqa: S311
    size = f"{len(tree.leaves)} blocks, {len(tree.aggregators)} aggregators"
    return {
        f"compile a course ({size})": _time(lambda: CourseTree.build(blocks)),
        f"roll a learner up ({COMPLETIONS} completions)": _time(lambda: roll_up(tree, done)),
        "aggregators affected by one block": _time(lambda: affected(tree, [blocks[-1].key])),
    }


def _time(work: Callable[[], object]) -> str:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(1_000 * (time.perf_counter() - start))
    return f"{statistics.median(times):.3f} ms (best {min(times):.3f})"
