"""Several transformers, run as one."""

from __future__ import annotations

from typing import Any

from openedx.core.djangoapps.content.block_structure.exceptions import (
    TransformerDataIncompatible,
    TransformerException,
)
from openedx.core.djangoapps.content.block_structure.transformer import FilteringTransformerMixin
from openedx.core.djangoapps.content.block_structure.transformer_registry import TransformerRegistry


class BlockStructureTransformers:
    def __init__(self, transformers: Any = None, usage_info: Any = None) -> None:
        self.usage_info = usage_info
        self._transformers: dict[str, list[Any]] = {"supports_filter": [], "no_filter": []}
        if transformers:
            self += transformers

    def __iadd__(self, transformers: Any) -> BlockStructureTransformers:
        unregistered = TransformerRegistry.find_unregistered(transformers)
        if unregistered:
            raise TransformerException(f"The following requested transformers are not registered: {unregistered}")
        for each in transformers:
            filters = isinstance(each, FilteringTransformerMixin)
            self._transformers["supports_filter" if filters else "no_filter"].append(each)
        return self

    @classmethod
    def collect(cls, block_structure: Any) -> None:
        for each in TransformerRegistry.get_registered_transformers():
            if not (each.WRITE_VERSION and each.READ_VERSION):
                raise TransformerException(f"Version attributes are not set on transformer {each}")
            block_structure.set_transformer_data(each, "_version", each.WRITE_VERSION)
            each.collect(block_structure)

    @classmethod
    def verify_versions(cls, block_structure: Any) -> None:
        for each in TransformerRegistry.get_registered_transformers():
            if block_structure._transformer_version(each) < each.READ_VERSION:
                raise TransformerDataIncompatible(each.name())

    def transform(self, block_structure: Any) -> None:
        filters = [
            keep
            for each in self._transformers["supports_filter"]
            for keep in each.transform_block_filters(self.usage_info, block_structure)
        ]
        if filters:
            block_structure.filter_topological_traversal(lambda usage_key: all(keep(usage_key) for keep in filters))
        for each in self._transformers["no_filter"]:
            each.transform(self.usage_info, block_structure)
        block_structure._prune_unreachable()
