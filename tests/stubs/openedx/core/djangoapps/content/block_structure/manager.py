"""Collects, stores and transforms the structure of one course."""

from __future__ import annotations

import hashlib
import pickle
import zlib
from typing import Any

from openedx.core.djangoapps.content.block_structure.block_structure import (
    BlockStructureBlockData,
    BlockStructureModulestoreData,
)
from openedx.core.djangoapps.content.block_structure.exceptions import (
    BlockStructureNotFound,
    TransformerDataIncompatible,
    UsageKeyNotInBlockStructure,
)
from openedx.core.djangoapps.content.block_structure.models import BlockStructureModel
from openedx.core.djangoapps.content.block_structure.transformer_registry import TransformerRegistry
from openedx.core.djangoapps.content.block_structure.transformers import BlockStructureTransformers


def _cache_key(row: BlockStructureModel) -> str:
    """Return the key as the platform's KEY_FUNCTION shortens it."""
    return hashlib.sha1(str(row).encode()).hexdigest()


class BlockStructureManager:
    def __init__(self, root_block_usage_key: Any, modulestore: Any, cache: Any) -> None:
        self.root_block_usage_key = root_block_usage_key
        self.modulestore = modulestore
        self.cache = cache

    def get_transformed(
        self,
        transformers: BlockStructureTransformers,
        starting_block_usage_key: Any = None,
        collected_block_structure: Any = None,
        user: Any = None,
    ) -> BlockStructureBlockData:
        structure = collected_block_structure.copy() if collected_block_structure else self.get_collected(user)
        if starting_block_usage_key:
            if starting_block_usage_key not in structure:
                raise UsageKeyNotInBlockStructure(starting_block_usage_key)
            structure.set_root_block(starting_block_usage_key)
        transformers.transform(structure)
        return structure

    def get_collected(self, user: Any = None) -> BlockStructureBlockData:
        try:
            structure = self._read()
            BlockStructureTransformers.verify_versions(structure)
        except (BlockStructureNotFound, TransformerDataIncompatible):
            structure = self._update_collected()
        return structure

    def update_collected_if_needed(self) -> None:
        index, _ = self.modulestore.load(self.root_block_usage_key.course_key)
        row = BlockStructureModel.objects.filter(data_usage_key=self.root_block_usage_key).first()
        if row is None or any(getattr(row, name) != value for name, value in self._versions(index).items()):
            self._update_collected()

    def clear(self) -> None:
        row = self._row()
        self.cache.delete(_cache_key(row))
        row.delete()

    def _update_collected(self) -> BlockStructureBlockData:
        index, xblocks = self.modulestore.load(self.root_block_usage_key.course_key)
        root = next(key for key in xblocks if key.map_into_course(index.course_id) == self.root_block_usage_key)
        structure = BlockStructureModulestoreData(root)
        for xblock in xblocks.values():
            structure.add_xblock(xblock)
        structure._prune_unreachable()
        BlockStructureTransformers.collect(structure)
        collected = structure.collected()
        collected.root_block_usage_key = root
        payload = zlib.compress(pickle.dumps(collected))
        row, _ = BlockStructureModel.update_or_create(payload, self.root_block_usage_key, **self._versions(index))
        self.cache.set(_cache_key(row), payload)
        return collected

    def _read(self) -> BlockStructureBlockData:
        row = self._row()
        payload = self.cache.get(_cache_key(row))
        if payload is None:
            payload = bytes(BlockStructureModel.objects.values_list("data", flat=True).get(pk=row.pk))
        structure: BlockStructureBlockData = pickle.loads(zlib.decompress(payload))
        return structure

    def _row(self) -> BlockStructureModel:
        row = BlockStructureModel.objects.defer("data").filter(data_usage_key=self.root_block_usage_key).first()
        if row is None:
            raise BlockStructureNotFound(self.root_block_usage_key)
        return row

    def _versions(self, index: Any) -> dict[str, Any]:
        return {
            "data_version": index.published_version,
            "data_edit_timestamp": index.edited_on,
            "transformers_schema_version": TransformerRegistry.get_write_version_hash(),
            "block_structure_schema_version": str(BlockStructureBlockData.VERSION),
        }
