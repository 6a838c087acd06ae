"""A measuring process: it reads requests, one JSON object a line, runs the step that each names, and answers.

Both sides import it, each in its own environment.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import statistics
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from django.db import connection

T = TypeVar("T")


class Measure:
    """The measurements of one step in one round. A step prepares, untimed, then calls `time` or `repeat`."""

    def __init__(self, round_number: int) -> None:
        #: Round 0 warms up: its times do not count, its statements are counted.
        self.round = round_number
        self.laps: list[float] = []
        #: In one lap: learners, calls, or whatever the unit of the scenario is.
        self.units = 1
        #: Rows written in one lap.
        self.rows: int | None = None
        #: Instead of a time, where a scenario measures something else.
        self.value: float | None = None
        #: What both sides must agree on.
        self.answer: Any = None
        self._statements: Counter[str] = Counter()
        self._peak = 0.0

    @property
    def is_warm_up(self) -> bool:
        return self.round == 0

    def time(self, work: Callable[[], T]) -> T:
        """Do the work once."""
        with self._watched():
            return self._lap(work)

    def repeat(self, work: Callable[[], object], seconds: float = 1.0) -> None:
        """Do the work again and again for so long, at least once; the time is the median."""
        with self._watched():
            end = time.perf_counter() + seconds
            while not self.laps or time.perf_counter() < end:
                self._lap(work)

    def _lap(self, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = work()
        self.laps.append(time.perf_counter() - start)
        return result

    @contextmanager
    def _watched(self) -> Iterator[None]:
        gc.collect()
        _reset_peak()
        with ExitStack() as stack:
            if self.is_warm_up:
                stack.enter_context(connection.execute_wrapper(self._count))
            yield
        self._peak = _read_peak()

    def _count(self, execute: Any, sql: str, *arguments: Any) -> Any:
        self._statements[sql.split(None, 1)[0].upper()] += 1
        return execute(sql, *arguments)

    def result(self) -> dict[str, Any]:
        per_unit = len(self.laps) * self.units or 1
        value = statistics.median(self.laps) / self.units if self.laps else None
        return {
            "value": value if self.value is None else self.value,
            "units": self.units,
            "rows": self.rows,
            "queries": sum(self._statements.values()) / per_unit,
            "inserts": self._statements["INSERT"] / per_unit,
            "peak_mb": self._peak,
            "answer": self.answer,
        }


def _reset_peak() -> None:
    """Make the process's peak of memory start from what it uses now; where there is no /proc, it starts at birth."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def _read_peak() -> float:
    """Return the peak of resident memory. Unit: MB."""
    try:
        with open("/proc/self/status") as file:
            kilobytes = next(line.split()[1] for line in file if line.startswith("VmHWM"))
        return int(kilobytes) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def serve(load: Callable[[], Mapping[str, Callable[..., None]]]) -> None:
    """Answer requests until there are no more; first, tell which steps there are.

    Args:
        load: returns the steps, by name.
    """
    # Whatever the libraries print goes elsewhere.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    steps = load()
    print(json.dumps(sorted(steps)), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        measure = Measure(request.pop("round", 1))
        try:
            steps[request.pop("step")](measure, **request)
            answer = measure.result()
        except Exception as error:  # noqa: BLE001 - the process that asked tells of it
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
