"""How an explained course is shown: block by block, in words."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import NamedTuple

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from completion_aggregator.dashboard.charts import percent_text
from completion_aggregator.selectors.explain import ExplainedBlock, Reason, Standing

_NOTES = {
    Reason.COUNTED: "",
    Reason.OPTIONAL: gettext_lazy("Optional"),
    Reason.EXCLUDED: gettext_lazy("Does not count"),
    Reason.BELOW_EXCLUDED: gettext_lazy("Does not count"),
    Reason.NOT_RELEASED: gettext_lazy("Not open yet"),
    Reason.STAFF_ONLY: gettext_lazy("For staff only"),
    Reason.OTHER_GROUP: gettext_lazy("For another group"),
    Reason.NOT_SELECTED: gettext_lazy("Not drawn for this learner"),
    Reason.HIDDEN: gettext_lazy("Not shown to this learner"),
}


class Node(NamedTuple):
    """One line of the outline."""

    name: str
    #: Why it counts apart from the others, or not at all; empty: it counts.
    note: str
    #: "part": something below it counts, and is to be shown; else "done", "begun", "missing" or "out": does not count.
    state: str
    #: In words how much of it is done; empty where that does not matter.
    done: str
    #: 0.0-1.0
    share: float
    children: Sequence[Node]

    @property
    def is_begun(self) -> bool:
        return 0.0 < self.share < 1.0


def outline(block: ExplainedBlock) -> Node:
    """Describe a block and all below it."""
    name = block.display_name or block.block_type
    note = _("Told above") if block.repeated else _note(block.standing)
    children = [outline(child) for child in block.children]
    if not block.standing.is_seen or block.repeated:
        return Node(name, note, "out", "", 0.0, ())
    if block.tally is None:
        share = block.value or 0.0
        return Node(name, note, *_leaf(share), share, ())
    is_optional = block.standing.reason == Reason.OPTIONAL
    tally = block.tally
    earned, possible = (
        (tally.optional_earned, tally.optional_possible) if is_optional else (tally.earned, tally.possible)
    )
    done = _("%(done)s of %(all)s") % {"done": amount(earned), "all": amount(possible or 0)}
    return Node(name, note, "part", done, tally.optional_percent if is_optional else tally.percent, children)


def amount(blocks: float) -> str:
    """Write how many blocks were earned, in tenths where need be; never more than there are."""
    tenths = floor(10 * blocks + 1e-6)
    return number_format(tenths / 10, decimal_pos=1 if tenths % 10 else 0, force_grouping=True)


def _leaf(share: float) -> tuple[str, str]:
    if share >= 1.0:
        return "done", _("Done")
    return ("begun", percent_text(share)) if share > 0.0 else ("missing", _("Missing"))


def _note(standing: Standing) -> str:
    if standing.release_date is not None:
        return _("Opens on %(date)s") % {"date": date_format(standing.release_date, "DATE_FORMAT")}
    return str(_NOTES[standing.reason])
