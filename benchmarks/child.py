"""A measuring process, seen from the one that asks it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.errors import BenchmarkError

ROOT = Path(__file__).resolve().parent.parent


class Child:
    """Runs a module that calls `measure.serve`, for as long as the block runs."""

    def __init__(self, python: str | Path, module: str, environment: Mapping[str, str]) -> None:
        self.module = module
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end of the block
        self._process = subprocess.Popen(  # noqa: S603 - our own modules
            [str(python), "-P", "-m", module],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.steps = frozenset(self._read())

    def ask(self, step: str, **arguments: Any) -> dict[str, Any]:
        """Run one step and return what it measured.

        Raises:
            BenchmarkError: it failed.
        """
        self.send(step, **arguments)
        return self.receive()

    def send(self, step: str, **arguments: Any) -> None:
        """Begin a step, without waiting; `receive` must follow."""
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        print(json.dumps({"step": step, **arguments}), file=self._process.stdin, flush=True)

    def receive(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._read()
        if "error" in answer:
            where = "\n".join(self._log_lines()[-12:])
            raise BenchmarkError(f"{self.module}: {answer['error']}\n{where}")
        return answer

    def _read(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise BenchmarkError(f"{self.module} ended: {self._log_lines()[-1]}")
        return json.loads(line)

    def _log_lines(self) -> list[str]:
        self._log.seek(0)
        return self._log.read().decode(errors="replace").splitlines() or [""]

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # It ends when there is nothing more to read; at an error it may be in the middle of a step.
        if error is not None:
            self._process.kill()
        self._process.communicate()
        self._log.close()
