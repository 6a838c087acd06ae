"""The site that runs openedx-completion-aggregator 4.5.0, in an environment of its own; see benchmarks/peer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import StringIO
from typing import Any

import django
from django.core.management import call_command

from benchmarks.measure import Measure, serve
from tests.swap.story import (
    AGGREGATED,
    CASE_TWIN,
    GONE,
    GONE_BLOCK,
    LEARNERS,
    OLD_STYLE,
    course_block_of,
    questions,
)


def load() -> dict[str, Callable[..., None]]:
    django.setup()
    call_command("migrate", verbosity=0)
    # The LMS's own tables have no migrations, and refer to tables that have.
    call_command("migrate", verbosity=0, run_syncdb=True)
    from benchmarks.course import MAIN
    from benchmarks.peer.lms import platform

    platform.connect()
    platform.publish(MAIN)
    return {"fill": fill, "litter": litter, "mark": mark, "ask": ask, "run": run}


def fill(measure: Measure) -> None:
    """Let 4.5.0 aggregate some learners, and give the others rows like theirs."""
    from django.utils import timezone

    from benchmarks.course import MAIN
    from benchmarks.peer import steps
    from benchmarks.peer.lms.models import CourseEnrollment
    from benchmarks.seed import add_users, complete, insert_for_learners

    add_users(LEARNERS)
    insert_for_learners(CourseEnrollment, 1, LEARNERS, course_id=MAIN.key, created=timezone.now())
    complete(MAIN, 1, LEARNERS)
    steps._aggregate(MAIN, AGGREGATED)
    steps._copy_rows(LEARNERS)


def litter(measure: Measure) -> None:
    """Add what years leave behind: a block and a course that are gone, a key of the old form, keys in other case."""
    from django.contrib.auth.models import User

    from benchmarks.course import MAIN
    from completion_aggregator import models

    others = [
        (MAIN.key, GONE_BLOCK, "vertical"),
        (GONE, f"{GONE.replace('course', 'block', 1)}+type@chapter+block@c", "chapter"),
    ]
    others += [(key, course_block_of(key), "course") for key in (GONE, OLD_STYLE)]
    for course_key, block_key, block_type in others:
        _insert(models.Aggregator, 1, LEARNERS, course_key, block_key, block_type)
    newcomers = [User(id=LEARNERS + number, username=f"newcomer{number}") for number in range(1, 11)]
    User.objects.bulk_create(newcomers)
    _insert(models.Aggregator, LEARNERS + 1, LEARNERS + 10, CASE_TWIN, course_block_of(CASE_TWIN), "course")
    measure.answer = models.Aggregator.objects.count()


def _insert(model: Any, first: int, last: int, course_key: str, block_key: str, block_type: str) -> None:
    from datetime import UTC, datetime

    from benchmarks.seed import insert_for_learners

    moment = datetime(2025, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
    insert_for_learners(
        model,
        first,
        last,
        course_key=course_key,
        block_key=block_key,
        aggregation_name=block_type,
        earned=2.0,
        possible=2.0,
        percent=1.0,
        optional_earned=0.0,
        optional_possible=0.0,
        optional_percent=1.0,
        last_modified=moment,
        created=moment,
        modified=moment,
    )


def mark(measure: Measure) -> None:
    """Write 20,000 open markers, of which 500 are of vanished users, and 2,000 that are resolved."""
    from opaque_keys.edx.keys import CourseKey, UsageKey

    from benchmarks.course import MAIN, place_of
    from completion_aggregator.models import StaleCompletion

    course_key = CourseKey.from_string(MAIN.key)

    def markers(usernames: Iterable[str], keys: list[Any], **flags: bool) -> None:
        StaleCompletion.objects.bulk_create(
            [
                StaleCompletion(username=name, course_key=course_key, block_key=key, **flags)
                for name in usernames
                for key in keys
            ],
            batch_size=5_000,
        )

    names = [f"learner{number}" for number in range(1, LEARNERS + 1)]
    keys = list(map(UsageKey.from_string, MAIN.choice(place_of(1))))
    markers(names, [UsageKey.from_string(GONE_BLOCK), None])
    markers(names[:191], keys[:100])
    markers(names[:10], keys[100:101])
    markers([f"vanished{number}" for number in range(5)], keys[:100])
    markers(names[:20], keys[100:200], resolved=True)
    measure.answer = StaleCompletion.objects.filter(resolved=False).count()


def ask(measure: Measure) -> None:
    measure.answer = questions()


def run(measure: Measure, command: str, arguments: list[str]) -> None:
    """Run a command; answer what it prints."""
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    measure.answer = out.getvalue()


if __name__ == "__main__":
    serve(load)
