from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.db import models
from opaque_keys.edx.django.models import CourseKeyField, UsageKeyField


class StudentModule(models.Model):
    """What a learner has left behind in a block: for item banks, what was drawn."""

    module_state_key = UsageKeyField(max_length=255, db_column="module_id")
    student = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False)
    course_id = CourseKeyField(max_length=255)
    state = models.TextField(null=True)

    class Meta:
        app_label = "courseware"
        unique_together = (("student", "module_state_key", "course_id"),)

    @classmethod
    def get_state(cls, student: Any, course_id: Any, module_state_key: Any) -> dict[str, Any]:
        if not student.is_authenticated:
            return {}
        found = cls.objects.filter(student=student, course_id=course_id, module_state_key=module_state_key).first()
        return json.loads(found.state) if found else {}

    @classmethod
    def save_state(cls, student: Any, course_id: Any, module_state_key: Any, defaults: dict[str, Any]) -> None:
        if student.is_authenticated:
            cls.objects.update_or_create(
                student=student, course_id=course_id, module_state_key=module_state_key, defaults=defaults
            )
