"""What is measured, in what unit, and what is to be reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One row of the table. The steps of this name, in `ours`, `limit` and `peer`, say what is done."""

    name: str
    title: str
    #: What a time is for; times are in seconds.
    unit: str
    #: At most so many times the limit.
    of_limit: float | None = None
    #: At least so many times as fast as the peer.
    times_faster: float | None = None
    #: At most so many INSERT statements.
    inserts: int | None = None
    #: Does not change from round to round.
    is_constant: bool = False

    @property
    def reach(self) -> str:
        parts = []
        if self.of_limit is not None:
            parts.append(f"≤ {self.of_limit:g} × limit")
        if self.times_faster is not None:
            parts.append(f"≥ {self.times_faster:g} × peer")
        if self.inserts is not None:
            parts.append(f"{self.inserts} INSERT")
        return ", ".join(parts)

    def is_reached(self, result: dict[str, Any]) -> bool | None:
        """Tell whether it is reached, as far as it was measured; None: nothing of it was."""
        checks = []
        if self.of_limit is not None and result["of_limit"] is not None:
            checks.append(result["of_limit"] <= self.of_limit)
        if self.times_faster is not None and result["times_faster"] is not None:
            checks.append(result["times_faster"] >= self.times_faster)
        if self.inserts is not None:
            checks.append(result["inserts"] <= self.inserts)
        return all(checks) if checks else None


LEARNER, CALL = "per learner", "per call"
#: In the order in which they run: the first ones empty tables that the later ones fill.
SCENARIOS = (
    Scenario(name="rebuild_new", title="re-aggregate, no rows yet", unit=LEARNER, of_limit=1.4, times_faster=12),
    Scenario(name="rebuild_changed", title="the same, every row changed", unit=LEARNER, of_limit=1.4, times_faster=40),
    Scenario(name="rebuild_same", title="the same, nothing changed", unit=LEARNER, times_faster=120),
    Scenario(name="one_block", title="one block completed by each learner", unit=LEARNER, times_faster=40),
    Scenario(name="storage", title="bytes stored, as written", unit="bytes per row", times_faster=6, is_constant=True),
    Scenario(name="hook", title="one completion saved", unit="per completion", of_limit=1.35),
    Scenario(name="detail_fresh", title="learner detail, all fields, fresh", unit=CALL, times_faster=3),
    Scenario(name="detail_stale", title="learner detail, all fields, stale", unit=CALL, times_faster=15),
    Scenario(name="list", title="list of 30 courses", unit=CALL, times_faster=5),
    Scenario(name="page_all", title="page of 100 learners, all fields", unit=CALL, times_faster=8),
    Scenario(name="page_course", title="page of 1,000 learners, course level", unit=CALL, times_faster=3),
    Scenario(name="stats", title="stats, 100,000 enrollments", unit=CALL, of_limit=1.3, times_faster=15),
    Scenario(name="stats_filtered", title="the same without staff", unit=CALL, of_limit=1.3, times_faster=15),
    Scenario(name="publish_mark", title="publish to 10,000 learners: mark", unit="per publication", inserts=1),
    Scenario(name="publish_drain", title="then all aggregated", unit=LEARNER, times_faster=60),
)
