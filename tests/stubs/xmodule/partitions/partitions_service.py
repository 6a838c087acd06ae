"""Which groups somebody is in."""

from __future__ import annotations

from typing import Any


def get_all_partitions_for_course(course: Any, active_only: bool = False) -> list[Any]:
    return [each for each in course.user_partitions if each.active or not active_only]


def get_user_partition_groups(
    course_key: Any, user_partitions: Any, user: Any, partition_dict_key: str = "name"
) -> dict[Any, Any]:
    groups = {}
    for partition in user_partitions:
        group = partition.scheme.get_group_for_user(course_key, user, partition)
        if group is not None:
            groups[getattr(partition, partition_dict_key)] = group
    return groups
