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
    from benchmarks.peer.lms.models import CourseAccessRole, CourseEnrollment
    from completion_aggregator import core
    from tests.differential import asking, world

    platform.connect()

    def build(measure: Measure) -> None:
        world.build(
            publish=platform.publish,
            enroll=CourseEnrollment.objects.create,
            add_role=CourseAccessRole.objects.create,
            add_cohort_member=lambda *args: None,
            aggregate=lambda course, user: core.update_aggregators(user, course.course_key, force=True),
        )

    return {"build": build, "answer": asking.answer}


if __name__ == "__main__":
    serve(load)
