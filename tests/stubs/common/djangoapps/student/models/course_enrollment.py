from __future__ import annotations

from typing import Any, ClassVar

from common.djangoapps.student.signals import ENROLL_STATUS_CHANGE, ENROLLMENT_TRACK_UPDATED, UNENROLL_DONE
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import models
from edx_django_utils.cache import RequestCache
from openedx.core.djangoapps.content.course_overviews.models import CourseOverview


class CourseEnrollmentManager(models.Manager[Any]):
    def users_enrolled_in(self, course_id: Any, include_inactive: bool = False, verified_only: bool = False) -> Any:
        filters: dict[str, Any] = {"courseenrollment__course_id": course_id}
        if not include_inactive:
            filters["courseenrollment__is_active"] = True
        if verified_only:
            filters["courseenrollment__mode"] = "verified"
        return get_user_model().objects.filter(**filters)


class CourseEnrollment(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False)
    course = models.ForeignKey(CourseOverview, db_constraint=False, on_delete=models.DO_NOTHING)
    created = models.DateTimeField(auto_now_add=True, null=True, db_index=True)
    is_active = models.BooleanField(default=True)
    mode = models.CharField(default="audit", max_length=100)

    objects: ClassVar[Any] = CourseEnrollmentManager()

    class Meta:
        app_label = "student"
        unique_together = (("user", "course"),)
        indexes = [models.Index(fields=["user", "-created"])]
        ordering = ("user", "course")

    @classmethod
    def enroll(
        cls, user: Any, course_key: Any, mode: str | None = None, check_access: bool = False
    ) -> CourseEnrollment:
        enrollment, _ = cls.objects.get_or_create(
            user=user, course_id=course_key, defaults={"mode": mode or "audit", "is_active": False}
        )
        enrollment.update_enrollment(mode=mode, is_active=True)
        enrollment.send_signal("enroll")
        return enrollment

    @classmethod
    def unenroll(cls, user: Any, course_id: Any, skip_refund: bool = False) -> None:
        enrollment = cls.objects.get(user=user, course_id=course_id)
        enrollment.update_enrollment(is_active=False)
        enrollment.send_signal("unenroll")
        UNENROLL_DONE.send(sender=None, course_enrollment=enrollment, skip_refund=skip_refund)

    def update_enrollment(self, mode: str | None = None, is_active: bool | None = None) -> None:
        mode_changed = mode is not None and mode != self.mode
        if mode is not None:
            self.mode = mode
        if is_active is not None:
            self.is_active = is_active
        self.save()
        if mode_changed:
            ENROLLMENT_TRACK_UPDATED.send(
                sender=None, user=self.user, course_key=self.course_id, mode=self.mode, countdown=30
            )

    def send_signal(self, event: str) -> None:
        ENROLL_STATUS_CHANGE.send(
            sender=None, event=event, user=self.user, mode=self.mode, course_id=self.course_id, cost=None, currency=None
        )

    @classmethod
    def enrollment_mode_for_user(cls, user: Any, course_id: Any) -> tuple[str | None, bool | None]:
        cache = RequestCache("enrollment")
        key = f"{user.id}.{course_id}"
        cached = cache.get_cached_response(key)
        if cached.is_found:
            return cached.value
        found = cls.objects.filter(user_id=user.id, course_id=course_id).values_list("mode", "is_active").first()
        cache.set(key, found or (None, None))
        return found or (None, None)
