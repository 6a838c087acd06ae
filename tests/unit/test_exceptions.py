"""The errors have one base class."""

from __future__ import annotations

from completion_aggregator import engine, exceptions


def test_every_error_that_callers_may_meet_has_the_same_base() -> None:
    found = {name: getattr(exceptions, name) for name in exceptions.__all__}

    assert all(issubclass(error, exceptions.CompletionAggregatorError) for error in found.values())
    assert sorted(found) == exceptions.__all__


def test_the_engine_has_the_same_base_class() -> None:
    assert exceptions.CompletionAggregatorError is engine.CompletionAggregatorError
    assert exceptions.CourseTreeError is engine.CourseTreeError
    assert engine.CompletionAggregatorError.__bases__ == (Exception,)
