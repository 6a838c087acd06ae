from __future__ import annotations

import pickle
from typing import Any

from django.db import models
from opaque_keys.edx.django.models import LearningContextKeyField


class _Pickled(models.BinaryField):
    """Stands in for the documents in MongoDB."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return pickle.loads(bytes(value))

    def get_prep_value(self, value: Any) -> bytes:
        return pickle.dumps(list(value))


class SplitModulestoreCourseIndex(models.Model):
    """Which version of each course is published."""

    course_id = LearningContextKeyField(max_length=255, unique=True)
    published_version = models.CharField(max_length=24, blank=True)
    edited_on = models.DateTimeField()
    content = _Pickled()

    class Meta:
        app_label = "split_modulestore_django"
