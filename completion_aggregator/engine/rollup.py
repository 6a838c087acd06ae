"""Completions -> what every aggregator has earned, for one learner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from operator import itemgetter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from completion_aggregator.engine.tree import CourseTree


class Sortable(Protocol):
    """What sorts by time: datetimes, or texts in which a later moment is greater."""

    def __lt__(self, other: Any, /) -> bool: ...


Moment = TypeVar("Moment", bound=Sortable)


class Completion(NamedTuple):
    """What one learner has done on one block."""

    #: 0.0-1.0; values outside (not possible through edx-completion) count as the nearest bound.
    value: float
    modified: datetime


class Tally(NamedTuple):
    """What one learner has done of one block. Unit: blocks. `0 <= earned <= possible`, for the optional two too."""

    earned: float
    #: None: not known, because the learner was never aggregated.
    possible: int | None
    optional_earned: float = 0.0
    optional_possible: int | None = 0
    #: When the newest completion behind it was written; None without any.
    last_modified: datetime | None = None

    @property
    def percent(self) -> float:
        """0.0-1.0; nothing to do is done, not known is nothing done."""
        return percent(self.earned, self.possible)

    @property
    def optional_percent(self) -> float:
        return percent(self.optional_earned, self.optional_possible)


def percent(earned: float, possible: float | None) -> float:
    """Return earned / possible; 1.0 when there is nothing to do, 0.0 when that is not known."""
    if possible:
        return earned / possible
    return 0.0 if possible is None else 1.0


class Sums(NamedTuple, Generic[Moment]):
    """What one learner has done, by aggregator in the order of `tree.aggregators`. Unit: blocks."""

    earned: list[float]
    optional_earned: list[float]
    #: When the newest completion behind each was written.
    last_modified: list[Moment | None]


def sum_up(tree: CourseTree, completions: Mapping[str, tuple[float, Moment]]) -> Sums[Moment]:
    """Sum one learner's completions up the course.

    Args:
        completions: value and moment by block key; absent means nothing done. Blocks that do not count in the tree
            are ignored. Moments are of any type that sorts by time.
    Returns:
        The same whatever the order of completions: they are added in course order, so that equal input gives
        equal floats.
    Cost: O(completions x depth + aggregators), no I/O.
    """
    earned = [0.0] * len(tree.aggregators)
    optional_earned = [0.0] * len(tree.aggregators)
    last_modified: list[Moment | None] = [None] * len(tree.aggregators)
    find, ancestors, optional = tree.leaves.get, tree.ancestors, tree.optional
    counted = [(leaf, done) for key, done in completions.items() if (leaf := find(key)) is not None]
    counted.sort(key=itemgetter(0))
    for leaf, (value, modified) in counted:
        if not 0.0 <= value <= 1.0:
            value = min(max(0.0, value), 1.0)  # in this order NaN becomes 0.0
        sums = optional_earned if optional[leaf] else earned
        for i in ancestors[leaf]:
            sums[i] += value
            newest = last_modified[i]
            if newest is None or newest < modified:
                last_modified[i] = modified
    return Sums(earned, optional_earned, last_modified)


def roll_up(tree: CourseTree, completions: Mapping[str, Completion]) -> list[Tally]:
    """Sum one learner's completions up the course; see `sum_up`.

    Returns:
        One Tally per aggregator, in the order of `tree.aggregators`.
    """
    earned, optional_earned, last_modified = sum_up(tree, completions)
    return list(map(Tally, earned, tree.possible, optional_earned, tree.optional_possible, last_modified))


def tally_leaf(tree: CourseTree, completions: Mapping[str, Completion], key: str) -> Tally:
    """Return what one learner has done of one completable block; nothing of nothing if it does not count."""
    leaf = tree.leaves.get(key)
    if leaf is None:
        return Tally(0.0, 0)
    done = completions.get(key)
    value = min(max(0.0, done.value), 1.0) if done else 0.0
    modified = done.modified if done else None
    return Tally(0.0, 0, value, 1, modified) if tree.optional[leaf] else Tally(value, 1, 0.0, 0, modified)


def affected(tree: CourseTree, changed: Iterable[str]) -> set[str]:
    """Return the keys of the aggregators in whose sums the changed blocks count.

    Args:
        changed: keys of completable blocks; those that do not count in the tree affect nothing.
    """
    found: set[int] = set()
    for key in changed:
        leaf = tree.leaves.get(key)
        if leaf is not None:
            found.update(tree.ancestors[leaf])
    return {tree.aggregators[i] for i in found}
