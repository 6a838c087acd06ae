from __future__ import annotations

from common.djangoapps.student.signals.signals import ENROLL_STATUS_CHANGE, ENROLLMENT_TRACK_UPDATED, UNENROLL_DONE

__all__ = ["ENROLLMENT_TRACK_UPDATED", "ENROLL_STATUS_CHANGE", "UNENROLL_DONE"]
