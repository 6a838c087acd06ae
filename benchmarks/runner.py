"""Runs scenarios: the sides in turns, round after round; a figure is the median of its rounds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from benchmarks.child import Child
from benchmarks.errors import BenchmarkError
from benchmarks.scenarios import Scenario

Answers = list[dict[str, Any]]


def run(scenario: Scenario, sides: Mapping[str, Child], *, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure one scenario; return its entry in the results.

    Args:
        sides: "ours" first, since the limit uses what ours has left.
    """
    answers: dict[str, Answers] = {side: [] for side, child in sides.items() if scenario.name in child.steps}
    for number in range(1 if scenario.is_constant else rounds + 1):
        say(f"{scenario.name}: {f'round {number} of {rounds}' if number else 'preparing'}")
        for side in answers:
            answers[side].append(sides[side].ask(scenario.name, round=number))
        _compare(scenario, {side: answers[side][-1]["answer"] for side in answers if side != "limit"})
    return _summarize(scenario, answers)


def _compare(scenario: Scenario, answers: dict[str, Any]) -> None:
    """Make sure that both sides have done the same work: speed says nothing otherwise."""
    ours, peer = answers["ours"], answers.get("peer")
    if peer is not None and ours != peer:
        places = sorted(ours.keys() ^ peer.keys()) or [place for place in ours if ours[place] != peer[place]]
        shown = ", ".join(f"{place}: {ours.get(place)} and {peer.get(place)}" for place in places[:2])
        raise BenchmarkError(f"{scenario.name}: ours and the peer answer differently in {len(places)} places: {shown}")


def _summarize(scenario: Scenario, answers: dict[str, Answers]) -> dict[str, Any]:
    values = {side: _median(rounds, "value") for side, rounds in answers.items()}
    ours, peer, limit = values["ours"], values.get("peer"), values.get("limit")
    first, timed = answers["ours"][0], _timed(answers["ours"])
    result: dict[str, Any] = {
        "title": scenario.title,
        "unit": scenario.unit,
        "ours": ours,
        "peer": peer,
        "limit": limit,
        "times_faster": peer / ours if peer else None,
        "of_limit": ours / limit if limit else None,
        "learners": timed[-1]["units"],
        "peer_learners": answers["peer"][-1]["units"] if "peer" in answers else None,
        "rows_per_second": timed[-1]["rows"] / (ours * timed[-1]["units"]) if timed[-1]["rows"] else None,
        "queries": first["queries"],
        "peer_queries": answers["peer"][0]["queries"] if "peer" in answers else None,
        "inserts": first["inserts"],
        "peak_mb": _median(answers["ours"], "peak_mb"),
        "peer_peak_mb": _median(answers["peer"], "peak_mb") if "peer" in answers else None,
        "rounds": {side: [answer["value"] for answer in _timed(rounds)] for side, rounds in answers.items()},
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "reach": scenario.reach,
    }
    return result | {"reached": scenario.is_reached(result)}


def _timed(rounds: Answers) -> Answers:
    """Leave the warm-up out, unless there is nothing else."""
    return rounds[1:] or rounds


def _median(rounds: Answers, name: str) -> float:
    return float(statistics.median(answer[name] for answer in _timed(rounds)))
