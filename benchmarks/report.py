"""What the results look like: a table for people, JSON for everything else."""

from __future__ import annotations

import json
import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PLOT = RESULTS / "growth.svg"
HEADINGS = ("scenario", "unit", "ours", "peer", "limit", "× peer", "× limit", "rows/s", "queries", "MB", "reach", "")


def path_of(database: str) -> Path:
    return RESULTS / ("latest.json" if database == "mariadb" else f"latest-{database}.json")


def save(results: dict[str, Any], path: Path) -> None:
    """Write results; what was not measured this time stays as it was.

    A part of a run thus renews a part of the file; each scenario carries its own date.
    """
    kept = json.loads(path.read_text()) if path.exists() else {}
    scenarios = kept.get("scenarios", {}) | results.get("scenarios", {})
    RESULTS.mkdir(exist_ok=True)
    merged = rounded(kept | results | {"scenarios": scenarios})
    path.write_text(json.dumps(merged, indent=2, ensure_ascii=False) + "\n")


def rounded(value: Any) -> Any:
    """Leave four digits that mean something."""
    if isinstance(value, dict):
        return {key: rounded(below) for key, below in value.items()}
    if isinstance(value, list):
        return [rounded(below) for below in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def machine(environment: dict[str, Any]) -> dict[str, Any]:
    """Describe what the figures were taken on."""
    return {
        "cpu": _find("/proc/cpuinfo", r"model name\s*:\s*(.+)") or platform.processor(),
        "cores": os.cpu_count(),
        "memory_mb": int(_find("/proc/meminfo", r"MemTotal:\s*(\d+)") or 0) // 1024,
        "python": platform.python_version(),
        **environment,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def _find(path: str, pattern: str) -> str | None:
    try:
        found = re.search(pattern, Path(path).read_text())
    except OSError:
        return None
    return found[1].strip() if found else None


def table(scenarios: dict[str, Any]) -> str:
    rows = [HEADINGS, *(_row(name, result) for name, result in scenarios.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def _row(name: str, result: dict[str, Any]) -> tuple[str, ...]:
    show = _bytes if result["unit"].startswith("bytes") else _time
    return (
        name,
        result["unit"],
        show(result["ours"]),
        show(result["peer"]),
        show(result["limit"]),
        _number(result["times_faster"]),
        _number(result["of_limit"]),
        _number(result["rows_per_second"]),
        f"{_number(result['queries'])} / {_number(result['peer_queries'])}",
        _number(result["peak_mb"]),
        result["reach"],
        {True: "reached", False: "NOT reached", None: ""}[result["reached"]],
    )


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1_000 * seconds:,.3g} ms"


def _bytes(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
