"""Item banks: only what was drawn for the learner stays; who has drawn nothing yet draws now."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from eventtracking import tracker
from lms.djangoapps.courseware.models import StudentModule
from openedx.core.djangoapps.content.block_structure.transformer import (
    BlockStructureTransformer,
    FilteringTransformerMixin,
)
from xblock.core import XBlock
from xblock.plugin import PluginMissingError
from xmodule.item_bank_block import ItemBankMixin


def _is_item_bank(block_key: Any) -> bool:
    try:
        return issubclass(XBlock.load_class(block_key.block_type), ItemBankMixin)
    except PluginMissingError:
        return False


class ContentLibraryTransformer(FilteringTransformerMixin, BlockStructureTransformer):
    WRITE_VERSION = 1
    READ_VERSION = 1

    @classmethod
    def name(cls) -> str:
        return "library_content"

    @classmethod
    def collect(cls, block_structure: Any) -> None:
        block_structure.request_xblock_fields("max_count", "category")

    def transform_block_filters(self, usage_info: Any, block_structure: Any) -> list[Callable[[Any], bool]]:
        selected = set()
        in_bank = set()
        for block_key in list(block_structure.topological_traversal()):
            if not _is_item_bank(block_key):
                continue
            children = list(block_structure.get_children(block_key))
            in_bank.update(children)
            drawn = self._draw(
                usage_info, block_key, children, block_structure.get_xblock_field(block_key, "max_count")
            )
            selected.update(child for child in children if (child.block_type, child.block_id) in drawn)
        return [block_structure.create_removal_filter(lambda key: key in in_bank and key not in selected)]

    def _draw(self, usage_info: Any, block_key: Any, children: list[Any], max_count: int) -> set[Any]:
        state = StudentModule.get_state(usage_info.user, usage_info.course_key, block_key)
        keys = ItemBankMixin.make_selection(state.get("selected", ()), children, max_count)
        if any(keys[change] for change in ("invalid", "overlimit", "added")):
            state["selected"] = sorted(keys["selected"])
            StudentModule.save_state(
                usage_info.user, usage_info.course_key, block_key, defaults={"state": json.dumps(state)}
            )
            tracker.emit("edx.librarycontentblock.content.assigned", {"location": str(block_key)})
        return keys["selected"]


class ContentLibraryOrderTransformer(BlockStructureTransformer):
    WRITE_VERSION = 1
    READ_VERSION = 1

    @classmethod
    def name(cls) -> str:
        return "library_content_randomize"

    def transform(self, usage_info: Any, block_structure: Any) -> None:
        for block_key in block_structure.get_block_keys():
            if _is_item_bank(block_key):
                children = block_structure.get_children(block_key)
                state = StudentModule.get_state(usage_info.user, usage_info.course_key, block_key)
                order = [tuple(each) for each in state.get("selected", ())]
                if {(child.block_type, child.block_id) for child in children} == set(order):
                    children.sort(key=lambda child: order.index((child.block_type, child.block_id)))
