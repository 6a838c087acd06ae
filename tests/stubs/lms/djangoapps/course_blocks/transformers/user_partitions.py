"""What is for some groups is there for their members; A/B tests give way to the branch of the learner's group."""

from __future__ import annotations

from typing import Any

from openedx.core.djangoapps.content.block_structure.transformer import BlockStructureTransformer
from xmodule.partitions.partitions_service import get_all_partitions_for_course, get_user_partition_groups


class SplitTestTransformer(BlockStructureTransformer):
    """Takes A/B tests out; their branches go to their parents, each for the group of that branch."""

    @classmethod
    def name(cls) -> str:
        return "split_test"

    @classmethod
    def collect(cls, block_structure: Any) -> None:
        for block_key in block_structure.topological_traversal():
            if block_key.block_type != "split_test":
                continue
            xblock = block_structure.get_xblock(block_key)
            for group_id, branch in xblock.group_id_to_child.items():
                block_structure.get_xblock(branch).group_access = {xblock.user_partition_id: [int(group_id)]}

    def transform(self, usage_info: Any, block_structure: Any) -> None:
        block_structure.remove_block_traversal(lambda key: key.block_type == "split_test", keep_descendants=True)


class UserPartitionTransformer(BlockStructureTransformer):
    WRITE_VERSION = 1
    READ_VERSION = 1

    @classmethod
    def name(cls) -> str:
        return "user_partitions"

    @classmethod
    def collect(cls, block_structure: Any) -> None:
        SplitTestTransformer.collect(block_structure)
        root = block_structure.get_xblock(block_structure.root_block_usage_key)
        partitions = get_all_partitions_for_course(root, active_only=True)
        block_structure.set_transformer_data(cls, "user_partitions", partitions)
        if not partitions:
            return
        for block_key in block_structure.topological_traversal():
            # Alternatives, one for each path from the course to the block; on each path, all conditions must hold.
            parents = block_structure.get_parents(block_key)
            own = dict(block_structure.get_xblock(block_key).group_access)
            above = [
                path
                for parent in parents
                for path in block_structure.get_transformer_block_field(parent, cls, "merged_group_access")
            ]
            merged = [[*path, own] for path in above or [[]]]
            block_structure.set_transformer_block_field(block_key, cls, "merged_group_access", merged)

    def transform(self, usage_info: Any, block_structure: Any) -> None:
        SplitTestTransformer().transform(usage_info, block_structure)
        partitions = block_structure.get_transformer_data(self, "user_partitions")
        if not partitions:
            return
        groups = get_user_partition_groups(usage_info.course_key, partitions, usage_info.user, "id")

        def may_see(conditions: dict[int, list[int]]) -> bool:
            return all(
                not allowed or (partition_id in groups and groups[partition_id].id in allowed)
                for partition_id, allowed in conditions.items()
            )

        def is_denied(block_key: Any) -> bool:
            if usage_info.has_staff_access:
                return False
            merged = block_structure.get_transformer_block_field(block_key, self, "merged_group_access", [[]])
            return not any(all(map(may_see, path)) for path in merged)

        block_structure.remove_block_traversal(is_denied)
