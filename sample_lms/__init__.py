"""A small real Django LMS: the tests, the demo and the benchmarks run on it. Not in the wheel."""

from __future__ import annotations

# Whoever runs the LMS has its Celery app: tasks find it wherever they are called.
from sample_lms.celery import app as celery_app

__all__ = ["celery_app"]
