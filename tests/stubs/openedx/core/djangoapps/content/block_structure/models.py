from __future__ import annotations

from typing import Any

from django.db import models, transaction
from opaque_keys.edx.django.models import UsageKeyField


class BlockStructureModel(models.Model):
    """Which structure of each course was collected last. `data` stands in for the file storage."""

    VERSION_FIELDS = (
        "data_version",
        "data_edit_timestamp",
        "transformers_schema_version",
        "block_structure_schema_version",
    )

    data_usage_key = UsageKeyField(blank=False, max_length=255, unique=True)
    data_version = models.CharField(blank=True, null=True, max_length=255)
    data_edit_timestamp = models.DateTimeField(blank=True, null=True)
    transformers_schema_version = models.CharField(blank=False, max_length=255)
    block_structure_schema_version = models.CharField(blank=False, max_length=255)
    data = models.BinaryField(default=b"")
    created = models.DateTimeField(auto_now_add=True)
    modified = models.DateTimeField(auto_now=True)

    class Meta:
        app_label = "block_structure"
        db_table = "block_structure"

    def __str__(self) -> str:
        return ", ".join(f"{field}: {getattr(self, field)}" for field in ("data_usage_key", *self.VERSION_FIELDS))

    @classmethod
    def update_or_create(
        cls, serialized_data: bytes, data_usage_key: Any, **kwargs: Any
    ) -> tuple[BlockStructureModel, bool]:
        with transaction.atomic():
            model, created = cls.objects.update_or_create(defaults=kwargs, data_usage_key=data_usage_key)
            model.data = serialized_data
            model.save()
        return model, created
