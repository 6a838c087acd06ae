"""A course as a graph of blocks, with what transformers have collected of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from openedx.core.djangoapps.content.block_structure.exceptions import UsageKeyNotInBlockStructure


class _Relations:
    def __init__(self) -> None:
        self.parents: list[Any] = []
        self.children: list[Any] = []


class BlockData:
    def __init__(self, usage_key: Any) -> None:
        self.location = usage_key
        self.fields: dict[str, Any] = {}
        self.transformer_data: dict[str, dict[str, Any]] = {}


def _name(transformer: Any) -> str:
    return transformer if isinstance(transformer, str) else transformer.name()


class BlockStructure:
    def __init__(self, root_block_usage_key: Any) -> None:
        self.root_block_usage_key = root_block_usage_key
        self._relations: dict[Any, _Relations] = {root_block_usage_key: _Relations()}

    def __iter__(self) -> Iterator[Any]:
        return self.topological_traversal()

    def __contains__(self, usage_key: Any) -> bool:
        return usage_key in self._relations

    def __len__(self) -> int:
        return len(self._relations)

    def get_parents(self, usage_key: Any) -> list[Any]:
        return self._relations[usage_key].parents if usage_key in self else []

    def get_children(self, usage_key: Any) -> list[Any]:
        return self._relations[usage_key].children if usage_key in self else []

    def get_block_keys(self) -> Iterator[Any]:
        return iter(self._relations)

    def set_root_block(self, usage_key: Any) -> None:
        if usage_key not in self:
            raise UsageKeyNotInBlockStructure(usage_key)
        self.root_block_usage_key = usage_key
        self._prune_unreachable()

    def topological_traversal(
        self,
        filter_func: Callable[[Any], bool] | None = None,
        yield_descendants_of_unyielded: bool = False,
        start_node: Any = None,
    ) -> Iterator[Any]:
        """Give parents before their children, siblings in order; what is filtered out hides what is below it."""
        start = start_node or self.root_block_usage_key
        waiting, done, shown = [start], set(), set()
        while waiting:
            node = waiting.pop()
            parents = [] if node == start else self.get_parents(node)
            if node in done or any(parent not in done for parent in parents):
                continue
            done.add(node)
            is_below = node == start or yield_descendants_of_unyielded or any(parent in shown for parent in parents)
            if is_below and (filter_func is None or filter_func(node)):
                shown.add(node)
                yield node
            waiting.extend(reversed(self.get_children(node)))

    def _add_relation(self, parent: Any, child: Any) -> None:
        self._relations.setdefault(child, _Relations()).parents.append(parent)
        self._relations.setdefault(parent, _Relations()).children.append(child)

    def _remove(self, usage_key: Any, keep_descendants: bool) -> None:
        relations = self._relations.pop(usage_key)
        for parent in relations.parents:
            siblings = self._relations[parent].children
            place = siblings.index(usage_key)
            siblings[place : place + 1] = [
                child for child in (relations.children if keep_descendants else ()) if child not in siblings
            ]
        for child in relations.children:
            parents = self._relations[child].parents
            parents.remove(usage_key)
            if keep_descendants:
                parents.extend(parent for parent in relations.parents if parent not in parents)

    def _prune_unreachable(self) -> None:
        reachable, waiting = set(), [self.root_block_usage_key]
        while waiting:
            node = waiting.pop()
            if node not in reachable:
                reachable.add(node)
                waiting.extend(self.get_children(node))
        for usage_key in set(self._relations) - reachable:
            del self._relations[usage_key]
        for relations in self._relations.values():
            relations.parents = [parent for parent in relations.parents if parent in reachable]


class BlockStructureBlockData(BlockStructure):
    VERSION = 2

    def __init__(self, root_block_usage_key: Any) -> None:
        super().__init__(root_block_usage_key)
        self._block_data_map: dict[Any, BlockData] = {}
        self.transformer_data: dict[str, dict[str, Any]] = {}

    def __getitem__(self, usage_key: Any) -> BlockData:
        return self._block_data_map[usage_key]

    def copy(self) -> BlockStructureBlockData:
        return deepcopy(self)

    def get_xblock_field(self, usage_key: Any, field_name: str, default: Any = None) -> Any:
        data = self._block_data_map.get(usage_key)
        return data.fields.get(field_name, default) if data else default

    def override_xblock_field(self, usage_key: Any, field_name: str, value: Any) -> None:
        if usage_key not in self:
            raise AttributeError(usage_key)
        self._data(usage_key).fields[field_name] = value

    def get_transformer_data(self, transformer: Any, key: str, default: Any = None) -> Any:
        return self.transformer_data.get(_name(transformer), {}).get(key, default)

    def set_transformer_data(self, transformer: Any, key: str, value: Any) -> None:
        self.transformer_data.setdefault(_name(transformer), {})[key] = value

    def get_transformer_block_field(self, usage_key: Any, transformer: Any, key: str, default: Any = None) -> Any:
        data = self._block_data_map.get(usage_key)
        return data.transformer_data.get(_name(transformer), {}).get(key, default) if data else default

    def set_transformer_block_field(self, usage_key: Any, transformer: Any, key: str, value: Any) -> None:
        self._data(usage_key).transformer_data.setdefault(_name(transformer), {})[key] = value

    def remove_block(self, usage_key: Any, keep_descendants: bool) -> None:
        self._remove(usage_key, keep_descendants)
        self._block_data_map.pop(usage_key, None)

    def remove_block_traversal(self, removal_condition: Callable[[Any], bool], keep_descendants: bool = False) -> None:
        self.filter_topological_traversal(self.create_removal_filter(removal_condition, keep_descendants))

    def create_universal_filter(self) -> Callable[[Any], bool]:
        return lambda usage_key: True

    def create_removal_filter(
        self, removal_condition: Callable[[Any], bool], keep_descendants: bool = False
    ) -> Callable[[Any], bool]:
        def keep(usage_key: Any) -> bool:
            if not removal_condition(usage_key):
                return True
            self.remove_block(usage_key, keep_descendants)
            return False

        return keep

    def filter_topological_traversal(self, filter_func: Callable[[Any], bool], **kwargs: Any) -> None:
        for _ in list(self.topological_traversal(yield_descendants_of_unyielded=True)):
            if _ in self:
                filter_func(_)
        self._prune_unreachable()

    def _data(self, usage_key: Any) -> BlockData:
        return self._block_data_map.setdefault(usage_key, BlockData(usage_key))

    def _transformer_version(self, transformer: Any) -> int:
        return self.get_transformer_data(transformer, "_version", 0)


class BlockStructureModulestoreData(BlockStructureBlockData):
    """What transformers are given to collect from."""

    def __init__(self, root_block_usage_key: Any) -> None:
        super().__init__(root_block_usage_key)
        self._xblocks: dict[Any, Any] = {}
        self._requested: set[str] = set()

    def request_xblock_fields(self, *field_names: str) -> None:
        self._requested.update(field_names)

    def get_xblock(self, usage_key: Any) -> Any:
        return self._xblocks[usage_key]

    def add_xblock(self, xblock: Any) -> None:
        self._xblocks[xblock.location] = xblock
        for child in xblock.children:
            self._add_relation(xblock.location, child)

    def collected(self) -> BlockStructureBlockData:
        """Return what was collected, without the XBlocks."""
        for usage_key, xblock in self._xblocks.items():
            for name in self._requested:
                if hasattr(xblock, name):
                    self._data(usage_key).fields[name] = getattr(xblock, name)
        result = BlockStructureBlockData(self.root_block_usage_key)
        result._relations, result._block_data_map = self._relations, self._block_data_map
        result.transformer_data = self.transformer_data
        return result
