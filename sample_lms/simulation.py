"""Learners who work through a course, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey, UsageKey
from waffle.models import Switch

from completion_aggregator.services import mark_learners
from sample_lms.lms import SampleLMS
from sample_lms.models import BlockLink, Cohort, CohortMembership, Course, Enrollment, LibrarySelection
from sample_lms.names import draw_name

#: Shares of learners: never came, left somewhere on the way, went to the end.
NEVER_CAME, FINISHED = 0.12, 0.18
#: How often somebody who came this far leaves after a block: half are gone after some 50 blocks.
LEAVES = 0.014
#: How often a block is passed over, and how often it is only half done.
SKIPS, HALF_DONE = 0.06, 0.03


def simulate(
    course_key: CourseKey,
    *,
    learners: int,
    seed: int,
    days: int = 60,
    advance: Callable[[int], object] = lambda done: None,
) -> int:
    """Create learners, enroll them and drive them through the course; return how many completions they have.

    Args:
        days: over how many days up to now their work is spread.
        advance: called with 1 after each learner.
    """
    Switch.objects.get_or_create(name="completion.enable_completion_tracking", defaults={"active": True})
    users = _enroll(course_key, learners, seed)
    now = timezone.now()
    total = 0
    for view in SampleLMS().course_views(course_key, list(users), now=now):
        blocks = list(view.tree.leaves)
        for user_id in view.user_ids:
            user = users[user_id]
            dice = random.Random(f"{seed} {user.get_username()}")
            with transaction.atomic():
                _open_libraries(course_key, user, blocks)
                start = now - timedelta(days=days * dice.random())
                total += _work(course_key, user, blocks, dice, start=start, end=now)
            advance(1)
    return total


@transaction.atomic
def _enroll(course_key: CourseKey, learners: int, seed: int) -> dict[int, User]:
    """Create the users, each in the course and, when it has cohorts, in one of them; by id."""
    users = get_user_model()
    is_cohorted = Course.objects.filter(course_key=course_key, cohorted=True).exists()
    cohorts = list(Cohort.objects.filter(course_id=course_key).order_by("name")) if is_cohorted else []
    names = [f"learner_{seed}_{number:05}" for number in range(learners)]
    users.objects.bulk_create((_new_user(name) for name in names), ignore_conflicts=True)
    enrolled = {user.pk: user for user in users.objects.filter(username__in=names).order_by("username")}
    for user in enrolled.values():
        Enrollment.objects.get_or_create(user=user, course_id=course_key)
        if cohorts:
            cohort = random.Random(f"{seed} {user.get_username()} cohort").choice(cohorts)
            CohortMembership.objects.get_or_create(user=user, course_id=course_key, defaults={"cohort": cohort})
    return enrolled


def _new_user(username: str) -> User:
    # Dice of their own: what a learner is called changes nothing about how far the learner comes.
    first_name, last_name = draw_name(random.Random(f"{username} name"))
    return User(username=username, first_name=first_name, last_name=last_name, password=make_password(None))


def _open_libraries(course_key: CourseKey, user: User, blocks: Collection[str]) -> None:
    """Keep what each random library has drawn for the learner."""
    links = BlockLink.objects.filter(parent__course__course_key=course_key, parent__max_count__gte=0)
    drawn: dict[str, list[str]] = {}
    for library, child in links.order_by("parent", "position").values_list("parent__block_key", "child__block_key"):
        if child in blocks:
            drawn.setdefault(library, []).append(child)
    for library, selected in drawn.items():
        LibrarySelection.objects.get_or_create(
            user=user, course_id=course_key, library_key=library, defaults={"selected": selected}
        )


def _work(
    course_key: CourseKey, user: User, blocks: Sequence[str], dice: random.Random, *, start: datetime, end: datetime
) -> int:
    """Let one learner do blocks in course order until the learner leaves; return how many were done."""
    fate = dice.random()
    if fate < NEVER_CAME:
        return 0
    stays = fate > 1 - FINISHED
    done: list[tuple[UsageKey, float]] = []
    for block in blocks:
        if not stays and dice.random() < LEAVES:
            break
        if dice.random() < SKIPS:
            continue
        value = 0.5 if dice.random() < HALF_DONE else 1.0
        done.append((UsageKey.from_string(block), value))
    # Whoever has left was here last on some day before; the later, the more of them.
    end = start + (end - start) * dice.uniform(0.1, 1) ** 0.5
    moments = [start + (end - start) * (place / len(done)) * dice.uniform(0.9, 1) for place in range(1, len(done) + 1)]
    # At once, since one by one they take a hundred times as long; so nobody tells that the learner is stale now.
    BlockCompletion.objects.bulk_create(
        (
            BlockCompletion(
                user=user,
                context_key=key.context_key,
                block_key=key,
                block_type=key.block_type,
                completion=value,
                created=moment,
                modified=moment,
            )
            for (key, value), moment in zip(done, moments, strict=True)
        ),
        ignore_conflicts=True,
    )
    mark_learners(course_key, [user.pk])
    return len(done)
