"""Signals that other apps may listen to; docs/howto/events.rst shows how. Their names and arguments are stable."""

from __future__ import annotations

from django.dispatch import Signal

#: Sent after the commit, once for each learner and course of whom `earned` or `possible` have changed, or were
#: computed for the first time; by whichever process has aggregated. At most once: a process that dies between the
#: commit and the sending loses it. What a receiver raises is logged.
#:
#: Arguments: `user_id`, `course_key` (CourseKey), `earned` and `possible` (blocks), `percent` (0.0 to 1.0),
#: `previous_percent` (None: never computed before).
progress_changed = Signal()

#: Sent after the commit, once for ever for each learner, course and threshold of the setting THRESHOLDS: when the
#: percent of the course reaches the threshold from below. It is sent in a transaction that also notes the sending: what
#: a receiver writes to the same database is there exactly once. A receiver that raises has everything of that
#: transaction undone, and is sent it again later.
#:
#: Arguments: `user_id`, `course_key` (CourseKey), `threshold` and `percent` (0.0 to 1.0), the percent as it was when
#: the threshold was reached.
threshold_reached = Signal()
