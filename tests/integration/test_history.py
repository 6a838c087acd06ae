"""Stored equals computed from scratch, after any history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.db import transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from completion_aggregator.engine import Tally
from completion_aggregator.models import BlockAggregate, CourseAggregate, StaleCompletion
from completion_aggregator.selectors import get_course_completion
from completion_aggregator.selectors.computed import compute
from completion_aggregator.services import Report, aggregate_stale
from sample_lms.models import Cohort, CohortMembership, Enrollment, LibrarySelection
from tests.factories import COURSE_KEY, SMALL_COURSE, UserFactory, block, complete, key, publish_course, usage_key

pytestmark = pytest.mark.django_db

LEARNERS = 3
LEAVES = (
    "html/h1",
    "html/h2",
    "discussion/d1",
    "problem/p1",
    "html/h3",
    "html/h4",
    "video/m1",
    "html/new",
    "problem/q1",
)
TYPES = ("course", "chapter", "sequential", "vertical", "library_content")
TALLY = ("earned", "possible", "optional_earned", "optional_possible", "last_modified")


def variant(**changes: dict[str, Any]) -> list[Any]:
    """Return the small course with other values of some blocks, named by their short ids."""
    return [replace(each, **changes.get(each.key.rpartition("@")[2], {})) for each in SMALL_COURSE]


POOL = ("problem/q1", "problem/q2", "problem/q3")
VARIANTS = (
    SMALL_COURSE,
    variant(c1={"staff_only": True}),
    variant(s1={"optional": True}, h4={"optional": True}),
    variant(c2={"cohorts": ("Red",)}, v2={"cohorts": ("Blue", "Red")}),
    variant(v2={"children": (key("problem/p1"), key("html/h1"), key("video/m1"))}),
    variant(c1={"start": datetime.fromisoformat("2999-01-01T00:00:00+00:00")}),
    [*variant(v3={"children": (key("html/h3"), key("html/new"))}), block("html/new")],
    [
        *variant(v4={"children": (key("library_content/l1"),)}),
        block("library_content/l1", *POOL, max_count=1),
        *map(block, POOL),
    ],
    [block("course/course", "html/h1"), block("html/h1")],
    [block("course/course")],
)

Act = tuple[str, int, int, float]
#: The most usual ones are here more than once.
DEEDS = (
    *("complete", "complete", "complete", "delete", "reset", "publish", "publish", "enroll", "leave"),
    *("join", "unjoin", "rename", "draw", "aggregate"),
)
acts = st.tuples(
    st.sampled_from(DEEDS),
    st.integers(0, LEARNERS - 1),
    st.integers(0, 99),
    st.integers(0, 10).map(lambda tenths: tenths / 10),
)


class World:
    """A course and some learners, to whom things happen."""

    def __init__(self) -> None:
        self.users = [UserFactory() for _ in range(LEARNERS)]
        publish_course(cohorts=("Red", "Blue"))
        self.deeds: dict[str, Callable[[Any, int, float], object]] = {
            "complete": lambda user, number, value: complete(user, LEAVES[number % len(LEAVES)], value=value),
            "delete": lambda user, number, value: self.completions(user, number).delete(),
            "reset": lambda user, *_: BlockCompletion.objects.clear_learning_context_completion(user, COURSE_KEY),
            "publish": lambda user, number, value: publish_course(VARIANTS[number % len(VARIANTS)]),
            "enroll": lambda user, *_: self.enroll(user, is_active=True),
            "leave": lambda user, *_: self.enroll(user, is_active=False),
            "join": lambda user, number, value: self.join(user, ("Red", "Blue")[number % 2]),
            "unjoin": lambda user, *_: CohortMembership.objects.filter(user=user).delete(),
            "rename": self.rename,
            "draw": lambda user, number, value: self.draw(user, POOL[number % len(POOL)]),
            "aggregate": lambda user, number, value: aggregate_stale(chunk_size=1 + number % 3, limit=1 + number % 4),
        }

    def act(self, act: Act) -> None:
        deed, user, number, value = act
        self.deeds[deed](self.users[user], number, value)

    @staticmethod
    def completions(user: Any, number: int) -> Any:
        return BlockCompletion.objects.filter(user=user, block_key=usage_key(LEAVES[number % len(LEAVES)]))

    @staticmethod
    def enroll(user: Any, *, is_active: bool) -> None:
        Enrollment.objects.update_or_create(user=user, course_id=COURSE_KEY, defaults={"is_active": is_active})

    @staticmethod
    def join(user: Any, name: str) -> None:
        cohort = Cohort.objects.get(course_id=COURSE_KEY, name=name)
        CohortMembership.objects.update_or_create(user=user, course_id=COURSE_KEY, defaults={"cohort": cohort})

    @staticmethod
    def rename(user: Any, number: int, value: float) -> None:
        user.username = f"{user.pk} {number} {value}"
        user.save()

    @staticmethod
    def draw(user: Any, name: str) -> None:
        LibrarySelection.objects.update_or_create(
            user=user,
            course_id=COURSE_KEY,
            library_key=key("library_content/l1"),
            defaults={"selected": [key(name)]},
        )

    def expected(self) -> dict[int, dict[str, Tally]]:
        """Compute every learner from scratch: tallies by block key, in course order."""
        found = compute(COURSE_KEY, [user.pk for user in self.users], now=timezone.now())
        return {each.user_id: dict(zip(each.tree.aggregators, each.tallies, strict=True)) for each in found}

    def answered(self) -> dict[int, dict[str, Tally]]:
        """Ask for every learner, as the REST API does."""
        found: dict[int, dict[str, Tally]] = {}
        for user in self.users:
            completion = get_course_completion(user, COURSE_KEY, block_types=TYPES)
            assert completion.blocks["course"] == [(key("course/course"), completion.tally)]
            found[user.pk] = {text: tally for blocks in completion.blocks.values() for text, tally in blocks}
        return found

    @staticmethod
    def stored_blocks() -> dict[int, dict[str, Tally]]:
        found: dict[int, dict[str, Tally]] = {}
        for user_id, text, *tally in BlockAggregate.objects.values_list("user_id", "block__block_key", *TALLY):
            found.setdefault(user_id, {})[text] = Tally(*tally)
        return found

    @staticmethod
    def stored_courses() -> dict[int, tuple[Tally, float, bool]]:
        rows = CourseAggregate.objects.values_list("user_id", "percent", "completed_at", *TALLY)
        return {
            user_id: (Tally(*tally), percent, completed_at is not None)
            for user_id, percent, completed_at, *tally in rows
        }


@settings(max_examples=50)
@given(st.lists(acts, max_size=25))
def test_after_any_history_stored_equals_computed_from_scratch(history: list[Act]) -> None:
    with transaction.atomic():
        world = World()
        for act in history:
            world.act(act)
        expected = world.expected()

        assert world.answered() == expected

        marked = set(StaleCompletion.objects.values_list("user_id", flat=True))
        aggregated = set(CourseAggregate.objects.exclude(computed_at=None).values_list("user_id", flat=True))
        aggregate_stale(chunk_size=2)

        assert not StaleCompletion.objects.exists()
        assert world.stored_blocks() == {user_id: expected[user_id] for user_id in marked | aggregated}
        assert world.stored_courses() == {
            user_id: (tally := expected[user_id][key("course/course")], tally.percent, tally.percent == 1.0)
            for user_id in marked | aggregated
        }
        assert set(Enrollment.objects.values_list("user_id", flat=True)) <= marked | aggregated
        assert world.answered() == expected
        assert aggregate_stale() == Report()
        transaction.set_rollback(True)
