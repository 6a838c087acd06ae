"""What a transformer is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any


class BlockStructureTransformer:
    WRITE_VERSION = 0
    READ_VERSION = 0

    @classmethod
    def name(cls) -> str:
        raise NotImplementedError

    @classmethod
    def collect(cls, block_structure: Any) -> None:
        pass

    @abstractmethod
    def transform(self, usage_info: Any, block_structure: Any) -> None:
        raise NotImplementedError


class FilteringTransformerMixin(BlockStructureTransformer):
    @abstractmethod
    def transform_block_filters(self, usage_info: Any, block_structure: Any) -> list[Callable[[Any], bool]]:
        raise NotImplementedError

    def transform(self, usage_info: Any, block_structure: Any) -> None:
        for keep in self.transform_block_filters(usage_info, block_structure):
            block_structure.filter_topological_traversal(keep)
