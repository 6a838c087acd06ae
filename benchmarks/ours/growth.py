"""How cost grows: courses of any size, with any number of learners."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from completion.models import BlockCompletion

from benchmarks.course import Course
from benchmarks.measure import Measure
from benchmarks.ours import data
from benchmarks.seed import empty, settle
from completion_aggregator import services
from completion_aggregator.models import StaleCompletion


def grow(measure: Measure, *, name: str, shape: Sequence[int], learners: int) -> None:
    """Make a course, the only one in which anybody has done anything."""
    empty(BlockCompletion)
    data.forget_aggregates()
    data.add_course(Course(name, tuple(shape)), learners)
    settle()


def grown_new(measure: Measure, *, name: str) -> None:
    """Aggregate everybody in the course, no rows there yet."""
    prepare_new(measure, name=name)
    aggregate(measure)


def grown_same(measure: Measure, *, name: str) -> None:
    """Aggregate everybody in the course again; nothing has changed."""
    data.forget_markers()
    services.mark_course(data.key_of(Course(name)))
    aggregate(measure)


def prepare_new(measure: Measure, *, name: str) -> None:
    data.forget_aggregates()
    services.mark_course(data.key_of(Course(name)))
    settle()


def aggregate(measure: Measure) -> None:
    """Aggregate whoever is stale, perhaps together with other processes."""
    report = measure.time(services.aggregate_stale)
    measure.units = report.learners or 1
    measure.rows = report.written


def check_done(measure: Measure) -> None:
    """Fail when somebody was left out."""
    if left := StaleCompletion.objects.count():
        raise RuntimeError(f"{left} markers are left")


STEPS: dict[str, Callable[..., None]] = {
    step.__name__: step for step in (grow, grown_new, grown_same, prepare_new, aggregate, check_done)
}
