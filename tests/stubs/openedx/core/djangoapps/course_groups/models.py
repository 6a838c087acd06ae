from __future__ import annotations

from django.conf import settings
from django.db import models
from opaque_keys.edx.django.models import CourseKeyField


class CourseUserGroup(models.Model):
    COHORT = "cohort"

    name = models.CharField(max_length=255)
    users = models.ManyToManyField(settings.AUTH_USER_MODEL, db_constraint=False, related_name="course_groups")
    course_id = CourseKeyField(max_length=255, db_index=True)
    group_type = models.CharField(max_length=20, default=COHORT)

    class Meta:
        app_label = "course_groups"
        unique_together = (("name", "course_id"),)


class CourseCohort(models.Model):
    course_user_group = models.OneToOneField(CourseUserGroup, related_name="cohort", on_delete=models.CASCADE)
    assignment_type = models.CharField(max_length=20, default="manual")

    class Meta:
        app_label = "course_groups"


class CohortMembership(models.Model):
    course_user_group = models.ForeignKey(CourseUserGroup, on_delete=models.CASCADE)
    # No way back from the user: the sample LMS has a model of the same name.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False, related_name="+")
    course_id = CourseKeyField(max_length=255)

    class Meta:
        app_label = "course_groups"
        unique_together = (("user", "course_id"),)


class CourseUserGroupPartitionGroup(models.Model):
    course_user_group = models.OneToOneField(CourseUserGroup, on_delete=models.CASCADE)
    partition_id = models.IntegerField()
    group_id = models.IntegerField()

    class Meta:
        app_label = "course_groups"


class CourseCohortsSettings(models.Model):
    is_cohorted = models.BooleanField(default=False)
    course_id = CourseKeyField(unique=True, max_length=255, db_index=True)

    class Meta:
        app_label = "course_groups"
