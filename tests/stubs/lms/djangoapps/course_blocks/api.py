from __future__ import annotations

from typing import Any

from edx_when.field_data import DateOverrideTransformer
from lms.djangoapps.course_blocks.transformers import library_content, start_date, user_partitions, visibility
from lms.djangoapps.course_blocks.usage_info import CourseUsageInfo
from openedx.core.djangoapps.content.block_structure.api import get_block_structure_manager
from openedx.core.djangoapps.content.block_structure.transformers import BlockStructureTransformers


def get_course_block_access_transformers(user: Any) -> list[Any]:
    return [
        library_content.ContentLibraryTransformer(),
        library_content.ContentLibraryOrderTransformer(),
        start_date.StartDateTransformer(),
        user_partitions.UserPartitionTransformer(),
        visibility.VisibilityTransformer(),
        DateOverrideTransformer(user),
    ]


def get_course_blocks(
    user: Any,
    starting_block_usage_key: Any,
    transformers: Any = None,
    collected_block_structure: Any = None,
    allow_start_dates_in_future: bool = False,
    include_completion: bool = False,
    include_has_scheduled_content: bool = False,
) -> Any:
    if not transformers:
        transformers = BlockStructureTransformers(get_course_block_access_transformers(user))
    course_key = starting_block_usage_key.course_key
    transformers.usage_info = CourseUsageInfo(
        course_key, user, allow_start_dates_in_future, include_has_scheduled_content
    )
    return get_block_structure_manager(course_key).get_transformed(
        transformers, starting_block_usage_key, collected_block_structure, user
    )
