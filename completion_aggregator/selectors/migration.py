"""How far the rows that openedx-completion-aggregator 4.5 has left are taken over."""

from __future__ import annotations

from typing import NamedTuple

from completion_aggregator.models import Takeover

#: This process has seen that nothing is left to take over; nothing is left any more afterwards.
_is_over = False


class Migration(NamedTuple):
    """How far the copy is. Unit: aggregates, one per learner and aggregator block."""

    copied: int
    #: None: not counted yet, since the copy has not begun.
    total: int | None


def find_migration() -> Migration | None:
    """Return how far the copy is; None: 4.5 has left nothing, or all of it is taken over.

    Cost: one query; none in a process that was told None before.
    """
    global _is_over
    if _is_over:
        return None
    row = Takeover.objects.filter(finished_at=None).values_list("copied", "total").first()
    _is_over = row is None
    return None if row is None else Migration(*row)
