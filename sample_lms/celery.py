"""The Celery app: `celery -A sample_lms worker`."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sample_lms.settings")

app = Celery("sample_lms")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
