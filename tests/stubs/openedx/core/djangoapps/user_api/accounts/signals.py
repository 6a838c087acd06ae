from __future__ import annotations

from django.dispatch import Signal

USER_RETIRE_LMS_CRITICAL = Signal()
USER_RETIRE_LMS_MISC = Signal()
USER_RETIRE_MAILINGS = Signal()
