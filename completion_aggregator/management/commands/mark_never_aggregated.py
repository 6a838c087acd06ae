"""`manage.py mark_never_aggregated`: has those aggregated who were in the LMS before this app was."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from completion_aggregator.compat import get_lms
from completion_aggregator.services import mark_never_aggregated


class Command(BaseCommand):
    help = "Mark every active enrollment that was never aggregated, for the service's next pass."

    def handle(self, *args: Any, **options: Any) -> None:
        enrolled = get_lms().enrollments().order_by("course_id").values_list("course_id", flat=True).distinct()
        learners = 0
        # Enrollments may outlive their course.
        for course_key in get_lms().course_versions(list(enrolled)):
            if marked := mark_never_aggregated(course_key):
                self.stdout.write(f"{course_key}: {marked} learners")
            learners += marked
        self.stdout.write(f"marked: {learners} learners")
