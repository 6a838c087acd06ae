from __future__ import annotations

from typing import Any

from openedx.core.djangoapps.content.block_structure.transformer import BlockStructureTransformer


class BlockCompletionTransformer(BlockStructureTransformer):
    """Only what it collects is used here."""

    WRITE_VERSION = 1
    READ_VERSION = 1

    @classmethod
    def name(cls) -> str:
        return "blocks_api:completion"

    @classmethod
    def collect(cls, block_structure: Any) -> None:
        block_structure.request_xblock_fields("completion_mode")

    def transform(self, usage_info: Any, block_structure: Any) -> None:
        raise NotImplementedError
