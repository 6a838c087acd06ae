from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models, transaction
from opaque_keys.edx.django.models import CourseKeyField
from openedx_events.learning.data import CourseAccessRoleData, UserData, UserPersonalData
from openedx_events.learning.signals import COURSE_ACCESS_ROLE_ADDED, COURSE_ACCESS_ROLE_REMOVED


class UserProfile(models.Model):
    """What people call themselves: the platform leaves the names of the user model empty."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False, related_name="profile"
    )
    name = models.CharField(blank=True, max_length=255, db_index=True)

    class Meta:
        app_label = "student"


class AuthzAssignment(models.Model):
    """Stands in for what openedx-authz knows of roles."""

    # No way back from the user: the sample LMS has a model of the same name.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False, related_name="+")
    org = models.CharField(max_length=64, blank=True)
    course_id = CourseKeyField(max_length=255, blank=True)
    role = models.CharField(max_length=64)

    class Meta:
        app_label = "student"


class NoneToEmptyManager(models.Manager[Any]):
    """Takes None for the empty course key."""

    def filter(self, *args: Any, **kwargs: Any) -> Any:
        if "course_id" in kwargs and kwargs["course_id"] is None:
            kwargs["course_id"] = CourseKeyField.Empty
        return super().filter(*args, **kwargs)


class CourseAccessRole(models.Model):
    # No way back from the user: the sample LMS has a model of the same name.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False, related_name="+")
    org = models.CharField(max_length=64, db_index=True, blank=True)
    course_id = CourseKeyField(max_length=255, db_index=True, blank=True)
    role = models.CharField(max_length=64, db_index=True)

    objects: ClassVar[Any] = NoneToEmptyManager()

    class Meta:
        app_label = "student"
        unique_together = (("user", "org", "course_id", "role"),)

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        self._send(COURSE_ACCESS_ROLE_ADDED)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        data = self._data()
        result = super().delete(*args, **kwargs)
        transaction.on_commit(lambda: COURSE_ACCESS_ROLE_REMOVED.send_event(course_access_role_data=data))
        return result

    def _send(self, signal: Any) -> None:
        data = self._data()
        transaction.on_commit(lambda: signal.send_event(course_access_role_data=data))

    def _data(self) -> CourseAccessRoleData:
        pii = UserPersonalData(username=self.user.username, email=self.user.email)
        user = UserData(pii=pii, id=self.user_id, is_active=self.user.is_active)
        return CourseAccessRoleData(user=user, org_key=self.org, course_key=self.course_id, role=self.role)
