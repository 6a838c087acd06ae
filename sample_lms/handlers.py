"""What happens in the sample LMS that makes learners stale."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models.signals import post_delete, post_save
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.services import mark_course, mark_learner_in_org, mark_learners
from sample_lms.models import CohortMembership, CourseAccessRole, Enrollment, LibrarySelection
from sample_lms.publishing import course_published


def connect() -> None:
    """Connect the receivers; called once, when the app is ready."""
    course_published.connect(published, dispatch_uid="sample_lms.published")
    for model in (Enrollment, CohortMembership, LibrarySelection, CourseAccessRole):
        post_save.connect(view_changed, sender=model, dispatch_uid=f"sample_lms.{model.__name__}.saved")
        post_delete.connect(view_changed, sender=model, dispatch_uid=f"sample_lms.{model.__name__}.deleted")


def published(sender: object, course_key: CourseKey, **kwargs: Any) -> None:
    mark_course(course_key)


def view_changed(
    sender: object, instance: Enrollment | CohortMembership | LibrarySelection | CourseAccessRole, **kwargs: Any
) -> None:
    """A learner may see another part of the course now, or must be counted in it."""
    origin = kwargs.get("origin")
    if issubclass(getattr(origin, "model", type(origin)), get_user_model()):
        return  # The user is being deleted: nobody is left to mark.
    if instance.course_id:
        mark_learners(instance.course_id, [instance.user_id])
        return
    mark_learner_in_org(instance.user_id, getattr(instance, "org", ""))
