"""Simulated learners."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any
from unicodedata import bidirectional

import pytest
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.utils import timezone

from sample_lms.models import CohortMembership, Enrollment, LibrarySelection
from tests.factories import COURSE_KEY, block, key, publish_course

pytestmark = pytest.mark.django_db

COURSE = (
    block("course/course", "chapter/c"),
    block("chapter/c", "sequential/s"),
    block("sequential/s", "vertical/v1", "vertical/v2", "vertical/v3"),
    block("vertical/v1", "html/h1", "html/h2", "html/h3"),
    *(block(f"html/h{n}") for n in (1, 2, 3)),
    block("vertical/v2", "library_content/l"),
    block("library_content/l", "problem/p1", "problem/p2", "problem/p3", max_count=2),
    *(block(f"problem/p{n}") for n in (1, 2, 3)),
    block("vertical/v3", "html/north", "html/staff"),
    block("html/north", cohorts=("north",)),
    block("html/staff", staff_only=True),
)


@pytest.fixture(autouse=True)
def _course(db: None) -> None:
    publish_course(COURSE, cohorts=("north", "south"))


def simulate(**options: Any) -> str:
    out = StringIO()
    call_command("simulate", str(COURSE_KEY), stdout=out, **options)
    return out.getvalue().splitlines()[-1]


def work() -> list[tuple[str, str, float]]:
    """Return who has done what, and how far."""
    rows = BlockCompletion.objects.order_by("user__username", "block_key")
    return [(name, str(block_key), value) for name, block_key, value in rows.values_list(*_FIELDS)]


_FIELDS = ("user__username", "block_key", "completion")


def test_learners_are_enrolled_in_a_cohort_and_at_work() -> None:
    line = simulate(learners=40)

    done = BlockCompletion.objects.count()
    assert line == f"40 learners have {done} completions in {COURSE_KEY}"
    assert Enrollment.objects.filter(course_id=COURSE_KEY, is_active=True).count() == 40
    assert CohortMembership.objects.filter(course_id=COURSE_KEY).count() == 40
    assert set(CohortMembership.objects.values_list("cohort__name", flat=True)) == {"north", "south"}
    # Some never came, some did all that they see, some left on the way.
    counts = [BlockCompletion.objects.filter(user=user).count() for user in get_user_model().objects.all()]
    assert min(counts) == 0
    assert max(counts) >= 5
    assert 40 * 1 < done < 40 * 6


def test_the_same_seed_gives_the_same_learners_and_another_others() -> None:
    simulate(learners=10, seed=3)
    first = work()
    BlockCompletion.objects.all().delete()
    get_user_model().objects.all().delete()

    simulate(learners=10, seed=3)
    again = work()
    simulate(learners=10, seed=4)

    # What a library draws depends on the learner's id, which is another now.
    assert [row for row in again if "problem" not in row[1]] == [row for row in first if "problem" not in row[1]]
    assert {name for name, _, _ in work()} > {name for name, _, _ in first}


def test_learners_have_names_of_many_scripts_the_same_for_the_same_seed() -> None:
    def names() -> dict[str, str]:
        return {user.username: user.get_full_name() for user in get_user_model().objects.all()}

    simulate(learners=100, seed=3)
    first = names()
    get_user_model().objects.all().delete()
    simulate(learners=100, seed=3)

    assert names() == first
    assert all(" " in name for name in first.values())
    assert len(set(first.values())) > 50
    directions = {bidirectional(letter) for name in first.values() for letter in name}
    assert directions >= {"L", "R", "AL"}  # to the right; to the left: Hebrew, Arabic


def test_running_it_twice_changes_nothing() -> None:
    simulate(learners=10)
    first = work()

    simulate(learners=10)

    assert work() == first
    assert get_user_model().objects.count() == 10


def test_nobody_does_what_the_course_does_not_show() -> None:
    simulate(learners=40)

    done = {(name, block_key) for name, block_key, _ in work()}
    assert not {name for name, block_key in done if block_key == key("html/staff")}
    north = set(CohortMembership.objects.filter(cohort__name="north").values_list("user__username", flat=True))
    assert {name for name, block_key in done if block_key == key("html/north")} <= north


def test_an_opened_library_keeps_what_it_has_drawn() -> None:
    simulate(learners=5)

    assert LibrarySelection.objects.filter(course_id=COURSE_KEY, library_key=key("library_content/l")).count() == 5
    for selection in LibrarySelection.objects.all():
        assert len(selection.selected) == 2
        done = BlockCompletion.objects.filter(user=selection.user, block_type="problem")
        assert {str(each.block_key) for each in done} <= set(selection.selected)


def test_the_work_is_spread_over_the_days() -> None:
    simulate(learners=40, days=30)

    moments = list(BlockCompletion.objects.values_list("modified", flat=True))
    now = timezone.now()
    assert min(moments) >= now - timedelta(days=31)
    assert max(moments) <= now
    assert max(moments) - min(moments) > timedelta(days=10)


@pytest.mark.parametrize(
    ("course_key", "options", "message"),
    [
        ("nonsense", {"learners": 1}, "'nonsense' is not a course key."),
        ("course-v1:a+b+c", {"learners": 1}, "There is no course course-v1:a+b+c."),
        (str(COURSE_KEY), {"learners": 0}, "--learners must be above 0."),
        (str(COURSE_KEY), {"learners": 1, "days": 0}, "--days must be above 0."),
    ],
)
def test_bad_arguments_are_refused_in_a_line(course_key: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(CommandError) as refusal:
        call_command("simulate", course_key, **options)

    assert str(refusal.value) == message
    assert not get_user_model().objects.exists()
