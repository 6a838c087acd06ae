"""The tables of the sample LMS: courses and their blocks, enrollments, roles, cohorts, library selections.

Only the sample LMS itself imports them; completion_aggregator asks through its port (sample_lms/lms.py).
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from opaque_keys.edx.django.models import CourseKeyField


class Course(models.Model):
    """One row per course; written by publishing."""

    course_key = CourseKeyField(max_length=255, unique=True)
    display_name = models.CharField(max_length=255)
    mobile_available = models.BooleanField(default=False)
    cohorted = models.BooleanField(default=False)
    #: Names what is published now; never the same for two publications, of whatever course.
    version = models.CharField(max_length=64)

    def __str__(self) -> str:
        return str(self.course_key)


class Block(models.Model):
    """One row per block of the published version of a course; all replaced by the next publication."""

    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="blocks")
    # Plain text: blocks are read by the thousand, and parsing keys costs more than reading the rows.
    block_key = models.CharField(max_length=255)
    block_type = models.CharField(max_length=64)
    display_name = models.CharField(max_length=255, blank=True)
    #: Place in the course, depth first, the course block at 0.
    position = models.PositiveIntegerField()
    #: Not shown to learners before this moment; null: no date of its own.
    start = models.DateTimeField(null=True, blank=True)
    staff_only = models.BooleanField(default=False)
    optional = models.BooleanField(default=False)
    #: Names of the cohorts that may see it; empty: everybody.
    cohorts = models.JSONField(default=list, blank=True)
    #: A random library shows each learner this many of its children; null: not a library; -1: all of them.
    max_count = models.IntegerField(null=True, blank=True)

    class Meta:
        ordering = ("course", "position")
        constraints = [
            models.UniqueConstraint(fields=["course", "block_key"], name="sample_block_key"),
            models.UniqueConstraint(fields=["course", "position"], name="sample_block_position"),
        ]

    def __str__(self) -> str:
        return self.block_key


class BlockLink(models.Model):
    """One row per parent and child; a block may have several parents."""

    parent = models.ForeignKey(Block, on_delete=models.CASCADE, related_name="child_links")
    child = models.ForeignKey(Block, on_delete=models.CASCADE, related_name="parent_links")
    #: Place among the children of the parent.
    position = models.PositiveIntegerField()

    class Meta:
        ordering = ("parent", "position")
        constraints = [models.UniqueConstraint(fields=["parent", "child"], name="sample_blocklink")]

    def __str__(self) -> str:
        return f"{self.parent} > {self.child}"


class Enrollment(models.Model):
    """One row per learner and course; unenrolling clears is_active and keeps the row."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    course_id = CourseKeyField(max_length=255)
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "course_id"], name="sample_enrollment")]
        # Who is in this course, in order of user id: the pages of a class.
        indexes = [models.Index(fields=["course_id", "is_active", "user"], name="sample_enrollment_class")]

    def __str__(self) -> str:
        return f"{self.user} in {self.course_id}"


class CourseAccessRole(models.Model):
    """One row per role that somebody holds in a course, or, with an empty course_id, in all of an org."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    org = models.CharField(max_length=64, blank=True)
    course_id = CourseKeyField(max_length=255, blank=True)
    role = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "org", "course_id", "role"], name="sample_role")]
        indexes = [models.Index(fields=["org", "course_id"], name="sample_role_course")]

    def __str__(self) -> str:
        return f"{self.user}: {self.role} of {self.course_id or self.org}"


class Cohort(models.Model):
    """One row per cohort of a course."""

    course_id = CourseKeyField(max_length=255)
    name = models.CharField(max_length=255)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["course_id", "name"], name="sample_cohort")]

    def __str__(self) -> str:
        return self.name


class CohortMembership(models.Model):
    """One row per learner and cohorted course: a learner is in one cohort at most."""

    cohort = models.ForeignKey(Cohort, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    course_id = CourseKeyField(max_length=255)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "course_id"], name="sample_membership")]

    def __str__(self) -> str:
        return f"{self.user} in {self.cohort}"


class LibrarySelection(models.Model):
    """One row per learner and random library once the learner has opened it: the children that were drawn."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    course_id = CourseKeyField(max_length=255)
    library_key = models.CharField(max_length=255)
    #: Block keys, in the order drawn.
    selected = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "course_id", "library_key"], name="sample_selection")]

    def __str__(self) -> str:
        return f"{self.user}: {self.library_key}"
