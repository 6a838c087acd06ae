"""`python -m benchmarks.views`: what it takes to tell who sees what of a course of 1,000 blocks in Open edX.

Measured on the stand-ins of tests/stubs, in a SQLite database in memory: what the platform itself does in a
transformation takes longer. Half of the learners are in one cohort, half in another, and some blocks are for
one of them.
"""

from __future__ import annotations

import os
import sys
import time

from benchmarks.course import MAIN

LEARNERS = 500
#: Learner by learner, some are enough.
ALONE = 20
#: Every so many blocks, one is for the first cohort.
LIMITED = 50


def main() -> None:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.test import override_settings

    from sample_lms.olx import OlxBlock
    from tests import openedx
    from tests.factories import COURSE_KEY

    call_command("migrate", run_syncdb=True, verbosity=0)
    users = get_user_model().objects
    users.bulk_create(get_user_model()(username=f"learner{number}") for number in range(LEARNERS))
    blocks = [
        OlxBlock(
            key=block.key,
            block_type=block.block_type,
            display_name=block.name,
            children=block.children,
            start=None,
            staff_only=False,
            optional=False,
            cohorts=("Red",) if not block.children and place % LIMITED == 0 else (),
            max_count=None,
        )
        for place, block in enumerate(MAIN.blocks())
    ]
    openedx.publish(blocks, COURSE_KEY)
    openedx.make_cohort("Red", *users.all()[: LEARNERS // 2])
    openedx.make_cohort("Blue", *users.all()[LEARNERS // 2 :])
    measure("a version that is new", LEARNERS)
    measure("a version that is known", LEARNERS)
    with override_settings(COMPLETION_AGGREGATOR_SHARE_STRUCTURE=False):
        measure("learner by learner", ALONE)


def measure(what: str, learners: int) -> None:
    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from completion_aggregator.lms.openedx import OpenEdX
    from tests.factories import COURSE_KEY

    user_ids = list(get_user_model().objects.order_by("pk").values_list("pk", flat=True)[:learners])
    lms = OpenEdX()
    lms.course_outline(COURSE_KEY)
    start = time.perf_counter()
    views = sum(1 for _ in lms.course_views(COURSE_KEY, user_ids, now=timezone.now()))
    seconds = time.perf_counter() - start
    sys.stdout.write(f"{what}: {learners} learners, {views} views, {1000 * seconds / learners:.2f} ms a learner\n")


if __name__ == "__main__":
    main()
