"""What an aggregation did."""

from __future__ import annotations

from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an aggregation did, in counts."""

    #: Learners in a course that were computed.
    learners: int = 0
    #: Block aggregates and course aggregates inserted or updated.
    written: int = 0
    #: Block aggregates deleted, because the learner does not see the block any more.
    deleted: int = 0
    #: Markers that were counted.
    resolved: int = 0
    #: Learners in a course that could not be computed; their markers are kept.
    failed: int = 0
    #: Learners in a course that somebody else was computing.
    skipped: int = 0
    #: How long the oldest marker that was counted had waited. Unit: seconds.
    lag: float = field(default=0.0, compare=False)

    def __add__(self, other: Report) -> Report:
        sums = {each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}
        return Report(**sums | {"lag": max(self.lag, other.lag)})
