from __future__ import annotations

from django.dispatch import Signal

ENROLLMENT_TRACK_UPDATED = Signal()
ENROLL_STATUS_CHANGE = Signal()
UNENROLL_DONE = Signal()
