"""The base of every error of the package, and the errors of the engine."""

from __future__ import annotations


class CompletionAggregatorError(Exception):
    """Something that completion_aggregator refuses, said in a sentence."""


class CourseTreeError(CompletionAggregatorError):
    """These blocks do not make a course: no root, a key twice, a child that is not there, a cycle, or too many."""
