"""`python -m tests.differential.peer`, in the peer's environment."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import django
from django.core.management import call_command

from benchmarks.measure import Measure, serve


def load() -> dict[str, Callable[..., None]]:
    warnings.simplefilter("ignore")
    django.setup()
    call_command("migrate", verbosity=0)
    call_command("migrate", verbosity=0, run_syncdb=True)
    # Models may be imported only now.
    from benchmarks.peer.lms import platform
    from benchmarks.peer.lms.models import CohortMembership, CourseAccessRole, CourseEnrollment, CourseUserGroup
    from completion_aggregator import core, signals
    from tests.differential import asking, world

    platform.connect()

    def publish(course: world.Course) -> None:
        platform.publish(course)
        signals.course_published_handler(course.course_key)
        for name in course.cohorts:
            CourseUserGroup.objects.create(course_id=course.course_key, name=name)

    def build(measure: Measure) -> None:
        world.build(
            publish=publish,
            enroll=CourseEnrollment.objects.create,
            add_role=CourseAccessRole.objects.create,
            add_cohort_member=lambda user_id, cohort_id, course: CohortMembership.objects.create(
                user_id=user_id, course_user_group_id=cohort_id, course_id=course.course_key
            ),
            aggregate=lambda course, user: core.update_aggregators(user, course.course_key, force=True),
        )

    return {"build": build, "answer": asking.answer, "call": asking.call}


if __name__ == "__main__":
    serve(load)
