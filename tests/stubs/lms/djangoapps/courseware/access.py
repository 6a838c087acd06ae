from __future__ import annotations

from typing import Any

from common.djangoapps.student.roles import (
    CourseInstructorRole,
    CourseLimitedStaffRole,
    CourseStaffRole,
    GlobalStaff,
    OrgInstructorRole,
    OrgStaffRole,
)


def has_access(user: Any, action: str, obj: Any, course_key: Any = None) -> bool:
    """Answer for a course key and the action "staff"."""
    if action != "staff":
        raise ValueError(f"This stand-in knows nothing of {action}.")
    return _has_access_to_course(user, action, obj)


def _has_access_to_course(user: Any, access_level: str, course_key: Any) -> bool:
    if user is None or not user.is_authenticated:
        return False
    if GlobalStaff().has_user(user):
        return True
    course = (CourseStaffRole(course_key), CourseLimitedStaffRole(course_key), CourseInstructorRole(course_key))
    org = (OrgStaffRole(course_key.org), OrgInstructorRole(course_key.org))
    return any(role.has_user(user) for role in (*course, *org))
