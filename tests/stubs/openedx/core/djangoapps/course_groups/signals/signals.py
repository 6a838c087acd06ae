from __future__ import annotations

from django.dispatch import Signal

COHORT_MEMBERSHIP_UPDATED = Signal()
