"""What has not begun is not there yet; earlier for beta testers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from common.djangoapps.student.roles import CourseBetaTesterRole
from django.utils import timezone
from openedx.core.djangoapps.content.block_structure.transformer import (
    BlockStructureTransformer,
    FilteringTransformerMixin,
)


class StartDateTransformer(FilteringTransformerMixin, BlockStructureTransformer):
    WRITE_VERSION = 1
    READ_VERSION = 1
    MERGED_START_DATE = "merged_start_date"

    @classmethod
    def name(cls) -> str:
        return "start_date"

    @classmethod
    def collect(cls, block_structure: Any) -> None:
        block_structure.request_xblock_fields("days_early_for_beta")
        for block_key in block_structure.topological_traversal():
            start = block_structure.get_xblock(block_key).start
            parents = [
                block_structure.get_transformer_block_field(parent, cls, cls.MERGED_START_DATE)
                for parent in block_structure.get_parents(block_key)
            ]
            above = None if None in parents else min(parents, default=None)
            merged = max((each for each in (start, above) if each is not None), default=None)
            block_structure.set_transformer_block_field(block_key, cls, cls.MERGED_START_DATE, merged)

    def transform_block_filters(self, usage_info: Any, block_structure: Any) -> list[Callable[[Any], bool]]:
        if usage_info.allow_start_dates_in_future or usage_info.has_staff_access:
            return [block_structure.create_universal_filter()]
        now = timezone.now()
        days_early = block_structure.get_xblock_field(block_structure.root_block_usage_key, "days_early_for_beta")
        if days_early and CourseBetaTesterRole(usage_info.course_key).has_user(usage_info.user):
            now += timedelta(days=days_early)

        def has_not_begun(block_key: Any) -> bool:
            start = block_structure.get_transformer_block_field(block_key, self, self.MERGED_START_DATE)
            return start is not None and start > now

        return [block_structure.create_removal_filter(has_not_begun)]
