"""The rules of completion, pure: standard library only, no Django, no clock, no I/O.

Anybody may import it; it imports nothing of this package.
"""

from __future__ import annotations

from completion_aggregator.engine.errors import CompletionAggregatorError, CourseTreeError
from completion_aggregator.engine.rollup import Completion, Sums, Tally, affected, percent, roll_up, sum_up, tally_leaf
from completion_aggregator.engine.tree import Block, CompletionMode, CourseTree, put_in_order

__all__ = [
    "Block",
    "Completion",
    "CompletionAggregatorError",
    "CompletionMode",
    "CourseTree",
    "CourseTreeError",
    "Sums",
    "Tally",
    "affected",
    "percent",
    "put_in_order",
    "roll_up",
    "sum_up",
    "tally_leaf",
]
