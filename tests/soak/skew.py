"""Run a module with a clock that is wrong: `python -m tests.soak.skew SECONDS MODULE …`.

The wall clock of Python is shifted, in this process and in those it forks; time goes on. Monotonic clocks are right,
as they are on a machine whose date is wrong.
"""

from __future__ import annotations

import runpy
import sys
from datetime import UTC, datetime, timedelta

import time_machine

if __name__ == "__main__":
    _, seconds, module, *arguments = sys.argv
    sys.argv = [module, *arguments]
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=float(seconds)), tick=True):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
