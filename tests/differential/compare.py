"""Finds where two answers differ: as small as possible, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose
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
    """Return all divergences. Where even the statuses differ, nothing else is looked at.

    Numbers are compared to the ninth digit: the two sides add and divide in another order.
    """
    if peer["status"] != ours["status"]:
        return [Divergence("status", peer["status"], ours["status"])]
    return list(_differ("body", peer["body"], ours["body"]))


def _differ(path: str, peer: Any, ours: Any) -> Iterator[Divergence]:
    if isinstance(peer, list) and isinstance(ours, list):
        name = _name_of(peer + ours)
        peer, ours = _by_name(peer, name), _by_name(ours, name)
        common = [[key for key in one if key in other] for one, other in ((peer, ours), (ours, peer))]
        if common[0] != common[1]:
            yield Divergence(f"{path}/order", *common)
    if isinstance(peer, dict) and isinstance(ours, dict):
        for key in {**peer, **ours}:
            yield from _differ(f"{path}/{key}", peer.get(key, ABSENT), ours.get(key, ABSENT))
    elif isinstance(peer, float) and isinstance(ours, float):
        if not isclose(peer, ours, rel_tol=1e-9):
            yield Divergence(path, peer, ours)
    elif peer != ours or type(peer) is not type(ours):
        yield Divergence(path, peer, ours)


def _name_of(values: list[Any]) -> str | None:
    """Return the key that tells the objects of a list apart; None: only their places do."""
    for name in ("block_key", "username", "course_key"):
        if all(isinstance(value, dict) and isinstance(value.get(name), str) for value in values):
            return name
    return None


def _by_name(values: list[Any], name: str | None) -> dict[str, Any]:
    return {str(place if name is None else value[name]): value for place, value in enumerate(values)}
