"""`python -m tests.differential.ours`, in the environment of the tests."""

from __future__ import annotations

from collections.abc import Callable

import django
from django.core.management import call_command

from benchmarks.measure import Measure, serve


def load() -> dict[str, Callable[..., None]]:
    django.setup()
    call_command("migrate", verbosity=0)
    # Models may be imported only now.
    from benchmarks.ours.data import publish_course
    from completion_aggregator import services
    from sample_lms.models import CohortMembership, CourseAccessRole, Enrollment
    from tests.differential import asking, world

    def build(measure: Measure) -> None:
        world.build(
            publish=publish_course,
            enroll=Enrollment.objects.create,
            add_role=CourseAccessRole.objects.create,
            add_cohort_member=lambda user_id, cohort_id, course: CohortMembership.objects.create(
                user_id=user_id, cohort_id=cohort_id, course_id=course.course_key
            ),
            aggregate=lambda course, user: services.aggregate(course.course_key, [user.pk]),
        )

    return {"build": build, "answer": asking.answer, "call": asking.call}


if __name__ == "__main__":
    serve(load)
