"""Finds where two answers differ: as small as possible, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

Answer = dict[str, Any]
ABSENT = "(absent)"


class Divergence(NamedTuple):
    """One place of an answer where the two sides differ."""

    #: "status", or the way to the value: "results/ada/chapter/…+block@c1/completion/earned".
    path: str
    peer: Any
    ours: Any


def compare(peer: Answer, ours: Answer) -> list[Divergence]:
    """Return all divergences; numbers are compared exactly, since both sides compute them from the same values.

    Where even the statuses differ, nothing else is looked at.
    """
    if peer["status"] != ours["status"]:
        return [Divergence("status", peer["status"], ours["status"])]
    return list(_differ("body", peer["body"], ours["body"]))


def _differ(path: str, peer: Any, ours: Any) -> Iterator[Divergence]:
    if isinstance(peer, list) and isinstance(ours, list):
        peer, ours = _by_name(peer), _by_name(ours)
        common = [[key for key in one if key in other] for one, other in ((peer, ours), (ours, peer))]
        if common[0] != common[1]:
            yield Divergence(f"{path}/order", *common)
    if isinstance(peer, dict) and isinstance(ours, dict):
        for key in {**peer, **ours}:
            yield from _differ(f"{path}/{key}", peer.get(key, ABSENT), ours.get(key, ABSENT))
    elif peer != ours or type(peer) is not type(ours):
        yield Divergence(path, peer, ours)


def _by_name(values: list[Any]) -> dict[str, Any]:
    return {_name(value, place): value for place, value in enumerate(values)}


def _name(value: Any, place: int) -> str:
    if isinstance(value, dict):
        for key in ("block_key", "username", "course_key"):
            if isinstance(value.get(key), str):
                return str(value[key])
    return str(place)
