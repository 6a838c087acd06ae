"""What is for staff only is there for nobody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openedx.core.djangoapps.content.block_structure.transformer import (
    BlockStructureTransformer,
    FilteringTransformerMixin,
)


class VisibilityTransformer(FilteringTransformerMixin, BlockStructureTransformer):
    WRITE_VERSION = 1
    READ_VERSION = 1
    MERGED = "merged_visible_to_staff_only"

    @classmethod
    def name(cls) -> str:
        return "visibility"

    @classmethod
    def collect(cls, block_structure: Any) -> None:
        for block_key in block_structure.topological_traversal():
            parents = block_structure.get_parents(block_key)
            above = bool(parents) and all(
                block_structure.get_transformer_block_field(parent, cls, cls.MERGED) for parent in parents
            )
            hidden = above or block_structure.get_xblock(block_key).visible_to_staff_only
            block_structure.set_transformer_block_field(block_key, cls, cls.MERGED, hidden)

    def transform_block_filters(self, usage_info: Any, block_structure: Any) -> list[Callable[[Any], bool]]:
        if usage_info.has_staff_access:
            return [block_structure.create_universal_filter()]
        return [
            block_structure.create_removal_filter(
                lambda key: block_structure.get_transformer_block_field(key, self, self.MERGED)
            )
        ]
