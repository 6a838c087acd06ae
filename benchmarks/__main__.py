"""`python -m benchmarks`: runs every benchmark and prints a table."""

from __future__ import annotations

from benchmarks import engine

if __name__ == "__main__":
    for name, value in engine.run().items():
        print(f"{name:60} {value}")  # noqa: T201 - a program's output
