from __future__ import annotations

from common.djangoapps.student.models.course_enrollment import CourseEnrollment
from common.djangoapps.student.models.user import AuthzAssignment, CourseAccessRole, UserProfile

__all__ = ["AuthzAssignment", "CourseAccessRole", "CourseEnrollment", "UserProfile"]
