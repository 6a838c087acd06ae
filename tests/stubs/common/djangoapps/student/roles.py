"""Who may do what in which course; remembers a user's roles on the user object, as the platform does.

Where the flag is on, roles are kept in another place, and rows of CourseAccessRole may be absent.
"""

from __future__ import annotations

from typing import Any

from common.djangoapps.student.models import AuthzAssignment, CourseAccessRole
from django.contrib.auth import get_user_model
from openedx.core.toggles import AUTHZ_COURSE_AUTHORING_FLAG


class GlobalStaff:
    def has_user(self, user: Any) -> bool:
        return bool(user and user.is_staff)


class RoleBase:
    ROLE = ""

    def __init__(self, org: str = "", course_key: Any = None) -> None:
        self.org = org
        self.course_key = course_key

    def has_user(self, user: Any, check_user_activation: bool = True) -> bool:
        if check_user_activation and not (user.is_authenticated and user.is_active):
            return False
        if not hasattr(user, "_roles"):
            held = [*CourseAccessRole.objects.filter(user=user), *AuthzAssignment.objects.filter(user=user)]
            user._roles = {(role.role, role.course_id, role.org) for role in held}
        return (self.ROLE, self.course_key, self.org) in user._roles

    def users_with_role(self) -> Any:
        held = self._model().objects.filter(role=self.ROLE, org=self.org, course_id=self._course_id())
        return get_user_model().objects.filter(pk__in=held.values("user_id"))

    def add_users(self, *users: Any) -> None:
        for user in users:
            self._model().objects.get_or_create(user=user, role=self.ROLE, org=self.org, course_id=self._course_id())
            user.__dict__.pop("_roles", None)

    def _model(self) -> Any:
        return AuthzAssignment if AUTHZ_COURSE_AUTHORING_FLAG.is_enabled(self.course_key) else CourseAccessRole

    def _course_id(self) -> Any:
        return self.course_key or CourseAccessRole.course_id.field.Empty


class CourseRole(RoleBase):
    def __init__(self, course_key: Any) -> None:
        super().__init__(course_key.org, course_key)


class OrgRole(RoleBase):
    def __init__(self, org: str) -> None:
        super().__init__(org)


class CourseStaffRole(CourseRole):
    ROLE = "staff"


class CourseLimitedStaffRole(CourseStaffRole):
    ROLE = "limited_staff"


class CourseInstructorRole(CourseRole):
    ROLE = "instructor"


class CourseBetaTesterRole(CourseRole):
    ROLE = "beta_testers"


class CourseDataResearcherRole(CourseRole):
    ROLE = "data_researcher"


class OrgStaffRole(OrgRole):
    ROLE = "staff"


class OrgInstructorRole(OrgRole):
    ROLE = "instructor"


class OrgDataResearcherRole(OrgRole):
    ROLE = "data_researcher"
