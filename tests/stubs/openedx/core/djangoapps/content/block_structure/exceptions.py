from __future__ import annotations

from typing import Any


class BlockStructureException(Exception):
    pass


class TransformerException(BlockStructureException):
    pass


class UsageKeyNotInBlockStructure(BlockStructureException):
    pass


class TransformerDataIncompatible(BlockStructureException):
    pass


class BlockStructureNotFound(BlockStructureException):
    def __init__(self, root_block_usage_key: Any) -> None:
        super().__init__(f"Block structure not found; data_usage_key: {root_block_usage_key}")
