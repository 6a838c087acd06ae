"""The same site after the swap: the sample LMS on the database that 4.5.0 has left."""

from __future__ import annotations

from collections.abc import Callable

import django

from benchmarks.measure import Measure, serve
from tests.swap.story import LEARNERS, questions


def load() -> dict[str, Callable[..., None]]:
    django.setup()
    return {"publish": publish, "ask": ask, "ask_meanwhile": ask_meanwhile}


def publish(measure: Measure) -> None:
    """Give the sample LMS the course and the enrollments that the LMS of the old site has in its own tables."""
    from benchmarks.course import MAIN
    from benchmarks.ours.data import enroll, publish_course

    publish_course(MAIN)
    enroll(MAIN, 1, LEARNERS)


def ask(measure: Measure) -> None:
    measure.answer = questions()


def ask_meanwhile(measure: Measure) -> None:
    """Ask for one learner's completion, and whether a course-wide answer says that it is not whole."""
    import json

    from benchmarks import rest
    from benchmarks.course import MAIN, STAFF

    everybody = json.loads(rest.course_page(MAIN, STAFF)())
    measure.answer = {"learner": rest.percents(rest.detail(MAIN)()), "migration": everybody.get("migration")}


if __name__ == "__main__":
    serve(load)
