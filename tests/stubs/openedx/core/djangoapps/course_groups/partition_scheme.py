"""The schemes that the platform installs: by cohort, by enrollment track, at random."""

from __future__ import annotations

import random
from typing import Any

from common.djangoapps.student.models import CourseEnrollment
from openedx.core.djangoapps.course_groups.cohorts import get_cohort
from openedx.core.djangoapps.course_groups.models import CourseUserGroupPartitionGroup
from openedx.core.djangoapps.user_api.models import UserCourseTag
from xmodule.partitions.partitions import Group

#: Group ids of the enrollment tracks.
ENROLLMENT_GROUP_IDS = {"audit": 1, "verified": 2, "honor": 3}


class CohortPartitionScheme:
    name = "cohort"

    @classmethod
    def get_group_for_user(cls, course_key: Any, user: Any, user_partition: Any, use_cached: bool = True) -> Any:
        cohort = get_cohort(user, course_key, use_cached=use_cached)
        if cohort is None:
            return None
        link = CourseUserGroupPartitionGroup.objects.filter(course_user_group=cohort).first()
        if link is None or link.partition_id != user_partition.id:
            return None
        return next((group for group in user_partition.groups if group.id == link.group_id), None)


class EnrollmentTrackPartitionScheme:
    name = "enrollment_track"

    @classmethod
    def get_group_for_user(cls, course_key: Any, user: Any, user_partition: Any, **kwargs: Any) -> Any:
        mode, is_active = CourseEnrollment.enrollment_mode_for_user(user, course_key)
        if not (mode and is_active):
            return None
        return Group(ENROLLMENT_GROUP_IDS[mode], mode)


class RandomUserPartitionScheme:
    name = "random"

    @classmethod
    def get_group_for_user(
        cls, course_key: Any, user: Any, user_partition: Any, assign: bool = True, **kwargs: Any
    ) -> Any:
        """Return the group that was drawn at the first question."""
        if not user.is_authenticated:
            return random.choice(user_partition.groups)
        key = f"xblock.partition_service.partition_{user_partition.id}"
        tag = UserCourseTag.objects.filter(user_id=user.id, course_id=course_key, key=key).first()
        if tag is None:
            group = random.choice(user_partition.groups)
            tag = UserCourseTag.objects.create(user=user, course_id=course_key, key=key, value=str(group.id))
        return next(group for group in user_partition.groups if group.id == int(tag.value))
