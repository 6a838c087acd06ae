"""The tables of an LMS that the peer reads, with the names that it reads them by."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import QuerySet
from opaque_keys.edx.django.models import CourseKeyField


class CourseEnrollment(models.Model):
    """One row per learner and course."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    course_id = CourseKeyField(max_length=255, db_index=True)
    is_active = models.BooleanField(default=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        unique_together = [("user", "course_id")]
        ordering = ("user", "course_id")

    def __str__(self) -> str:
        return f"{self.user} in {self.course_id}"

    @classmethod
    def is_enrolled(cls, user: object, course_key: object) -> bool:
        return cls.objects.filter(user=user, course_id=course_key, is_active=True).exists()


class CourseAccessRole(models.Model):
    """One row per role that somebody holds in a course."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    org = models.CharField(max_length=64, db_index=True, blank=True)
    course_id = CourseKeyField(max_length=255, db_index=True, blank=True)
    role = models.CharField(max_length=64, db_index=True)

    def __str__(self) -> str:
        return f"{self.user}: {self.role}"


class CourseUserGroup(models.Model):
    """One row per cohort of a course."""

    course_id = CourseKeyField(max_length=255, db_index=True)
    name = models.CharField(max_length=255)

    def __str__(self) -> str:
        return self.name


class CohortMembership(models.Model):
    """One row per learner and cohorted course."""

    course_user_group = models.ForeignKey(CourseUserGroup, on_delete=models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    course_id = CourseKeyField(max_length=255)

    def __str__(self) -> str:
        return f"{self.user} in {self.course_user_group}"


def users_enrolled_in(course_key: object) -> QuerySet[models.Model]:
    """Select the users with an active enrollment."""
    users = models.Q(courseenrollment__course_id=course_key, courseenrollment__is_active=True)
    return CourseEnrollment._meta.get_field("user").related_model.objects.filter(users)
