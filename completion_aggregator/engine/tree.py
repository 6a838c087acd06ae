"""CourseTree: one view of a course, compiled to integers.

What can be worked out without a learner is worked out here, once per course version and view: which blocks
count, in which sums, and how much there is to earn. Rolling up a learner then only adds.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from completion_aggregator.engine.errors import CourseTreeError

#: A course beyond this is refused: its structure must fit into memory and into one packet of the database.
MAX_BLOCKS = 50_000
#: Blocks from the course block down, itself included. Open edX has five; what is above a block is kept for each.
MAX_DEPTH = 100
_NOWHERE: frozenset[int] = frozenset()


class CompletionMode(enum.StrEnum):
    """How a block takes part in completion.

    Source: XBlockCompletionMode (xblock/completable.py).
    """

    COMPLETABLE = "completable"
    AGGREGATOR = "aggregator"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of a course, as an LMS describes it."""

    #: Text of the usage key; unique in the course.
    key: str
    block_type: str
    mode: CompletionMode = CompletionMode.COMPLETABLE
    #: Set on this block itself; descendants inherit it without saying so.
    optional: bool = False
    #: Keys, in the order shown.
    children: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseTree:
    """A view of a course, ready to roll up; made by `CourseTree.build`.

    Aggregators are known by their index in `aggregators`, countable blocks ("leaves") by theirs in `ancestors`.
    """

    #: Keys of the aggregators that a learner with this view sees, in course order, the course block first.
    aggregators: tuple[str, ...]
    #: For each aggregator: required and optional blocks below it, each once. Unit: blocks.
    possible: tuple[int, ...]
    optional_possible: tuple[int, ...]
    #: Index of each leaf by key.
    leaves: Mapping[str, int]
    #: For each leaf: the aggregators above it, each once however many paths lead there.
    ancestors: tuple[tuple[int, ...], ...]
    #: For each leaf: whether it counts in the optional sums.
    optional: tuple[bool, ...]

    @classmethod
    def build(cls, blocks: Iterable[Block]) -> CourseTree:
        """Compile blocks, given in course order, the course block first.

        A completable block counts as one, whatever lies below it. Excluded blocks and what can only be reached
        through them count nothing. A block is optional when every path to it leads through an optional one.

        Raises:
            CourseTreeError: no blocks, a key twice, an unknown child, a cycle, a root that does not aggregate, more
                than MAX_BLOCKS, or more than MAX_DEPTH one below the other.
        Cost: O(blocks x depth).
        """
        records = list(blocks)
        paths = _walk(records)
        aggregators = [i for i, block in enumerate(records) if block.mode == CompletionMode.AGGREGATOR and i in paths]
        leaves = [i for i, block in enumerate(records) if block.mode == CompletionMode.COMPLETABLE and i in paths]
        rank = {i: rank for rank, i in enumerate(aggregators)}
        above = {path.above: tuple(sorted(rank[i] for i in path.above)) for path in paths.values()}
        ancestors = tuple(above[paths[i].above] for i in leaves)
        optional = tuple(not paths[i].required for i in leaves)
        return cls(
            aggregators=tuple(records[i].key for i in aggregators),
            possible=_count(ancestors, optional, len(aggregators), wanted=False),
            optional_possible=_count(ancestors, optional, len(aggregators), wanted=True),
            leaves={records[i].key: leaf for leaf, i in enumerate(leaves)},
            ancestors=ancestors,
            optional=optional,
        )


@dataclass(slots=True)
class _Paths:
    """What is known of all counted paths from the root to one block."""

    #: Aggregators on them.
    above: frozenset[int] = _NOWHERE
    #: Whether one of them is free of optional blocks.
    required: bool = False


def _walk(records: Sequence[Block]) -> dict[int, _Paths]:
    """Follow every counted path downwards; a block that none leads to is absent."""
    if not records:
        raise CourseTreeError("A course needs at least its course block.")
    if records[0].mode != CompletionMode.AGGREGATOR:
        raise CourseTreeError(f"The first block, {records[0].key}, must be an aggregator: it is the course.")
    paths = {0: _Paths(required=not records[0].optional)}
    children = _links(records)
    for i in put_in_order([block.key for block in records], children):
        here = paths.get(i)
        if here is None or records[i].mode != CompletionMode.AGGREGATOR:
            continue
        above = here.above | {i}
        for child in children[i]:
            known = paths.setdefault(child, _Paths())
            # The usual block has one parent: sharing its set keeps memory at one set per parent.
            known.above = known.above | above if known.above else above
            known.required = known.required or (here.required and not records[child].optional)
    return paths


def _links(records: Sequence[Block]) -> list[list[int]]:
    index = {block.key: i for i, block in enumerate(records)}
    if len(index) != len(records):
        twice = next(block.key for i, block in enumerate(records) if index[block.key] != i)
        raise CourseTreeError(f"Block {twice} is listed twice.")
    try:
        return [[index[child] for child in block.children] for block in records]
    except KeyError as error:
        raise CourseTreeError(f"Block {error.args[0]} is a child but not a block of the course.") from None


def put_in_order(keys: Sequence[str], children: Sequence[Sequence[int]]) -> list[int]:
    """Order the blocks so that every parent comes before its children.

    Args:
        keys: of the blocks.
        children: of each block, by their place in `keys`.
    Raises:
        CourseTreeError: a cycle, more than MAX_BLOCKS, or more than MAX_DEPTH one below the other.
    Cost: O(blocks), without recursion.
    """
    if len(keys) > MAX_BLOCKS:
        raise CourseTreeError(f"The course has {len(keys)} blocks; {MAX_BLOCKS} are the limit.")
    sorter: TopologicalSorter[int] = TopologicalSorter(dict(enumerate(children)))
    try:
        order = list(sorter.static_order())[::-1]
    except CycleError as error:
        cycle = " > ".join(keys[i] for i in reversed(error.args[1]))
        raise CourseTreeError(f"These blocks contain each other: {cycle}.") from None
    depths = [1] * len(keys)
    for i in order:
        if depths[i] > MAX_DEPTH:
            raise CourseTreeError(f"The course has more than {MAX_DEPTH} blocks one below the other.")
        for child in children[i]:
            depths[child] = max(depths[child], depths[i] + 1)
    return order


def _count(
    ancestors: Sequence[Sequence[int]], optional: Sequence[bool], aggregators: int, *, wanted: bool
) -> tuple[int, ...]:
    counts = [0] * aggregators
    for above, is_optional in zip(ancestors, optional, strict=True):
        if is_optional is wanted:
            for i in above:
                counts[i] += 1
    return tuple(counts)
