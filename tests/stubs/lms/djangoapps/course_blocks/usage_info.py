from __future__ import annotations

from functools import cached_property
from typing import Any

from lms.djangoapps.courseware.access import _has_access_to_course


class CourseUsageInfo:
    def __init__(
        self,
        course_key: Any,
        user: Any,
        allow_start_dates_in_future: bool = False,
        include_has_scheduled_content: bool = False,
    ) -> None:
        self.course_key = course_key
        self.user = user
        self.allow_start_dates_in_future = allow_start_dates_in_future
        self.include_has_scheduled_content = include_has_scheduled_content

    @cached_property
    def has_staff_access(self) -> bool:
        return _has_access_to_course(self.user, "staff", self.course_key)
