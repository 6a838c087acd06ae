"""What a run has shown, as a table and as JSON."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, TextIO

from tests.soak.records import Outage, Request


def describe_requests(requests: list[Request], outages: list[Outage]) -> dict[str, dict[str, Any]]:
    """Return for each kind how many there were, their status classes, those that failed, and times in ms."""
    kinds: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        kinds[request.kind].append(request)
    return {
        kind: {
            "count": len(made),
            "statuses": dict(sorted(Counter(f"{each.status // 100}xx" for each in made if each.status).items())),
            "excused": sum(each.failed and is_excused(each, outages) for each in made),
            "failed": sum(each.failed and not is_excused(each, outages) for each in made),
            **{f"p{percent}": percentile(made, percent) for percent in (50, 95, 99)},
        }
        for kind, made in sorted(kinds.items())
    }


def is_excused(request: Request, outages: list[Outage]) -> bool:
    return any(outage.covers(request) for outage in outages)


def percentile(requests: list[Request], percent: int) -> int:
    """Return the time in ms that so many percent of them have not taken longer than."""
    times = sorted(each.ended - each.started for each in requests)
    return round(1000 * times[min(len(times) * percent // 100, len(times) - 1)])


def describe_outages(outages: list[Outage], beginning: float) -> list[dict[str, Any]]:
    """Return each fault, when it was, and after how many seconds there was an answer and an aggregated chunk."""
    return [
        {
            "fault": each.name,
            "at": round(each.started - beginning, 1),
            "answers_after": each.answered and round(each.answered - each.started, 1),
            "aggregates_after": each.aggregated and round(each.aggregated - each.started, 1),
        }
        for each in outages
    ]


def write(result: dict[str, Any], out: TextIO) -> None:
    """Print a result; keys that are not known to all scenarios are simply numbers."""
    out.write(f"\n== {result['database']}\n")
    if result.get("requests"):
        out.write(f"{'requests':<14}{'count':>7}{'2xx':>7}{'3xx':>6}{'4xx':>6}{'excused':>9}{'failed':>8}")
        out.write(f"{'p50 ms':>8}{'p95':>7}{'p99':>7}\n")
        for kind, row in result["requests"].items():
            statuses = "".join(
                f"{row['statuses'].get(each, 0):>{width}}" for each, width in (("2xx", 7), ("3xx", 6), ("4xx", 6))
            )
            out.write(f"{kind:<14}{row['count']:>7}{statuses}{row['excused']:>9}{row['failed']:>8}")
            out.write(f"{row['p50']:>8}{row['p95']:>7}{row['p99']:>7}\n")
    if result.get("faults"):
        out.write(f"\n{'fault':<22}{'at s':>7}{'answers after s':>18}{'aggregates after s':>20}\n")
        for row in result["faults"]:
            out.write(f"{row['fault']:<22}{row['at']:>7}{row['answers_after']!s:>18}{row['aggregates_after']!s:>20}\n")
    out.write("\n")
    for name, value in result.items():
        if isinstance(value, int | float | str) and name != "database":
            out.write(f"{name.replace('_', ' ')}: {value}\n")
    for violation in result["violations"]:
        out.write(f"VIOLATION: {violation}\n")
