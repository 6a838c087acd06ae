"""Blocks that show each learner some of their children, drawn at random."""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import Any

from xblock.completable import XBlockCompletionMode

#: How a child is written in a learner's state: block type and block id.
Selection = tuple[str, str]


class ItemBankMixin:
    completion_mode = XBlockCompletionMode.AGGREGATOR
    has_children = True

    @classmethod
    def make_selection(
        cls, old_selected: Collection[Any], children: Collection[Any], max_count: int
    ) -> dict[str, set[Selection]]:
        """Keep what was drawn as far as it is still there and allowed, draw what is missing."""
        pool = {(child.block_type, child.block_id) for child in children}
        selected = {(block_type, block_id) for block_type, block_id in old_selected}
        invalid = selected - pool
        selected -= invalid
        wanted = len(pool) if max_count < 0 else min(max_count, len(pool))
        overlimit = set(sorted(selected)[wanted:])
        selected -= overlimit
        added = set(random.sample(sorted(pool - selected), wanted - len(selected)))
        return {"selected": selected | added, "invalid": invalid, "overlimit": overlimit, "added": added}
