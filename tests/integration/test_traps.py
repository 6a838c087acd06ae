"""The traps of openedx-completion-aggregator 4.5, on the level of Python; tests/acceptance has those of HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.db import connection, models
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.engine import Tally
from completion_aggregator.models import (
    Aggregator,
    BlockAggregate,
    Course,
    CourseAggregate,
    CourseBlock,
    StaleCompletion,
)
from completion_aggregator.selectors import (
    CourseStats,
    Learner,
    get_course_completion,
    get_course_means,
    get_course_stats,
)
from completion_aggregator.selectors.completions import iter_course_completions
from completion_aggregator.services import Report, aggregate_stale, mark_course, mark_due_changes, mark_learners
from sample_lms.lms import SampleLMS
from sample_lms.models import Enrollment
from tests.factories import (
    COURSE_KEY,
    SMALL_COURSE,
    CohortFactory,
    EnrollmentFactory,
    MembershipFactory,
    RoleFactory,
    block,
    complete,
    key,
    publish_course,
    usage_key,
)

pytestmark = pytest.mark.django_db

GONE = 2_000_000_000
OLD_KEY = CourseKey.from_string("Org/Old/Run")
OTHER_KEY = CourseKey.from_string("course-v1:Org+Other+Run")


class BusyLMS(SampleLMS):
    """An LMS in which something happens, once, while learners are being computed; its clock may be ahead."""

    meanwhile: Callable[[], object] | None = None
    ahead = timedelta(0)

    def course_views(self, course_key: Any, user_ids: Any, *, now: datetime) -> Any:
        act, BusyLMS.meanwhile = BusyLMS.meanwhile, None
        if act is not None:
            act()
        return super().course_views(course_key, user_ids, now=now + BusyLMS.ahead)


@pytest.fixture
def busy_lms(settings: Any) -> Iterator[type[BusyLMS]]:
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.BusyLMS"
    yield BusyLMS
    BusyLMS.meanwhile, BusyLMS.ahead = None, timedelta(0)


def earned(user: Any, name: str = "course/course") -> float:
    return BlockAggregate.objects.values_list("earned", flat=True).get(user=user, block__block_key=key(name))


def possible(user: Any) -> int:
    return CourseAggregate.objects.values_list("possible", flat=True).get(user=user)


def two_learners() -> list[Any]:
    """Enroll one who has done everything and one who has done nothing, and aggregate."""
    users = [EnrollmentFactory().user for _ in range(2)]
    complete(users[0], "html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")
    aggregate_stale()
    return users


def test_trap_01_cohorts_keep_their_members_and_not_everybody_else(course: Any) -> None:
    done, _ = two_learners()
    cohort = MembershipFactory(user=done).cohort

    assert get_course_stats(COURSE_KEY, cohort_ids=[cohort.pk]) == CourseStats(earned=6.0, possible=6.0)
    assert get_course_stats(COURSE_KEY, cohort_ids=[CohortFactory().pk]) == CourseStats(earned=0.0, possible=0.0)


def test_trap_01_no_excluded_roles_exclude_nobody(course: Any) -> None:
    done, _ = two_learners()
    RoleFactory(user=done, role="staff")

    assert get_course_stats(COURSE_KEY, exclude_roles=[]) == CourseStats(earned=3.0, possible=6.0)


def test_trap_01_a_role_in_another_course_excludes_nobody(course: Any) -> None:
    done, _ = two_learners()
    RoleFactory(user=done, role="staff", course_id=OTHER_KEY)

    assert get_course_stats(COURSE_KEY, exclude_roles=["staff"]) == CourseStats(earned=3.0, possible=6.0)
    assert get_course_means([COURSE_KEY]) == {COURSE_KEY: 0.5}


def test_trap_02_the_mean_counts_nobody_who_has_left(course: Any) -> None:
    done, _ = two_learners()
    Enrollment.objects.filter(user=done).update(is_active=False)
    assert get_course_means([COURSE_KEY]) == {COURSE_KEY: 0.0}


def test_trap_02_the_mean_is_never_above_one(course: Any) -> None:
    _, nothing = two_learners()
    complete(nothing, "html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")
    aggregate_stale()
    Enrollment.objects.filter(user=nothing).update(is_active=False)

    assert get_course_means([COURSE_KEY]) == {COURSE_KEY: 1.0}


@pytest.mark.django_db(transaction=True)
def test_trap_02_the_mean_is_new_as_soon_as_something_was_aggregated(course: Any) -> None:
    _, nothing = two_learners()
    before = get_course_means([COURSE_KEY])
    complete(nothing, "html/h1", "html/h2", "problem/p1")
    aggregate_stale()

    assert (before, get_course_means([COURSE_KEY])) == ({COURSE_KEY: 0.5}, {COURSE_KEY: 0.75})


def test_trap_03_values_go_down_when_a_completion_is_deleted(learner: Any) -> None:
    complete(learner, "html/h1", "html/h2")
    aggregate_stale()
    BlockCompletion.objects.get(block_key=usage_key("html/h1")).delete()
    aggregate_stale()

    ancestors = ("course/course", "chapter/c1", "sequential/s1", "vertical/v1")
    assert [earned(learner, name) for name in ancestors] == [1.0] * 4


def test_trap_03_values_go_down_when_a_learner_is_reset(learner: Any) -> None:
    complete(learner, "html/h1", "html/h2", "video/m1")
    aggregate_stale()
    BlockCompletion.objects.clear_learning_context_completion(learner, COURSE_KEY)

    assert get_course_completion(learner, COURSE_KEY).tally == Tally(0.0, 6)
    aggregate_stale()
    assert set(BlockAggregate.objects.values_list("earned", "last_modified")) == {(0.0, None)}


def test_trap_04_a_completion_that_comes_while_counting_is_not_lost(learner: Any, busy_lms: type[BusyLMS]) -> None:
    complete(learner, "html/h1")
    busy_lms.meanwhile = lambda: complete(learner, "html/h2")

    aggregate_stale()
    first = earned(learner), StaleCompletion.objects.count()
    aggregate_stale()

    assert (first, (earned(learner), StaleCompletion.objects.count())) == ((1.0, 1), (2.0, 0))


def test_trap_04_a_marker_with_a_lower_id_that_commits_later_is_not_lost(learner: Any, busy_lms: type[BusyLMS]) -> None:
    aggregate_stale()
    complete(learner, "html/h1")
    late = StaleCompletion.objects.get()
    complete(learner, "html/h2")
    StaleCompletion.objects.filter(id=late.pk).delete()
    busy_lms.meanwhile = lambda: late.save(force_insert=True)

    aggregate_stale()

    assert list(StaleCompletion.objects.values_list("id", flat=True)) == [late.pk]


def test_trap_05_learners_are_locked_before_anything_is_read(learner: Any) -> None:
    """Whoever waits for the lock reads after it, so nobody can write values that are older than those stored."""
    complete(learner, "html/h1")
    aggregate_stale()
    complete(learner, "html/h2")
    with CaptureQueriesContext(connection) as queries:
        aggregate_stale()

    selects = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    lock, markers, completions = (
        next(place for place, sql in enumerate(selects) if all(word in sql for word in words))
        for words in (
            ("completed_at", "completion_aggregator_courseaggregate"),
            ("block_key", "completion_aggregator_stalecompletion"),
            ("completion_blockcompletion",),
        )
    )
    assert lock < markers < completions
    assert ("FOR UPDATE" in selects[lock]) is connection.features.has_select_for_update


def test_trap_06_aggregates_of_removed_blocks_are_deleted_and_never_show(learner: Any) -> None:
    aggregate_stale()
    publish_course([block("course/course", "chapter/c2"), *SMALL_COURSE[-5:]])
    chapters = [(key("chapter/c2"), Tally(0.0, 2))]

    assert get_course_completion(learner, COURSE_KEY, block_types=["chapter"]).blocks["chapter"] == chapters
    report = aggregate_stale()
    assert (report.written, report.deleted) == (2, 6)
    assert get_course_completion(learner, COURSE_KEY, block_types=["chapter"]).blocks["chapter"] == chapters
    assert BlockAggregate.objects.count() == 4


@pytest.mark.parametrize("is_stale", [True, False])
def test_trap_07_a_root_block_counts_whether_or_not_anything_is_stale(learner: Any, is_stale: bool) -> None:
    complete(learner, "html/h1", "html/h4")
    if not is_stale:
        aggregate_stale()

    tally = get_course_completion(learner, COURSE_KEY, root_block=key("chapter/c1")).tally

    assert (tally.earned, tally.possible) == (1.0, 4)


def test_trap_07_a_root_block_counts_for_everybody(learner: Any) -> None:
    complete(learner, "html/h1", "html/h4")
    aggregate_stale()

    (everybody,) = list(
        iter_course_completions(
            COURSE_KEY, [Learner(learner.pk, "ada")], root_block=key("chapter/c1"), block_types=["chapter"]
        )
    )

    assert (everybody.tally.earned, everybody.tally.possible) == (1.0, 4)
    assert [text for text, _ in everybody.blocks["chapter"]] == [key("chapter/c1")]


def test_trap_07_a_stale_course_has_values(learner: Any) -> None:
    complete(learner, "html/h1")

    tally = get_course_completion(learner, COURSE_KEY).tally

    assert (tally.earned, tally.possible, tally.percent) == (1.0, 6, 1 / 6)


def test_trap_08_optional_completion_is_stored_on_every_database(learner: Any) -> None:
    publish_course([replace(each, optional=each.key == key("vertical/v4")) for each in SMALL_COURSE])
    complete(learner, "html/h1")
    complete(learner, "html/h4", value=0.5)
    aggregate_stale()
    complete(learner, "video/m1", value=0.25)
    aggregate_stale()

    values = ("earned", "possible", "optional_earned", "optional_possible")
    assert BlockAggregate.objects.values_list(*values).get(block__block_key=key("course/course")) == (1.0, 4, 0.75, 2)
    assert CourseAggregate.objects.values_list(*values).get() == (1.0, 4, 0.75, 2)
    assert Aggregator.objects.get(block_key=usage_key("course/course")).optional_percent == 0.375


def test_trap_09_an_active_learner_gets_the_new_course_at_once(learner: Any) -> None:
    for number in range(3):
        names = [f"html/h{place}" for place in range(number)]
        publish_course([block("course/course", *names), *map(block, names)])
        assert get_course_completion(learner, COURSE_KEY).tally.possible == number
        aggregate_stale()
        assert possible(learner) == number


def test_trap_09_a_release_date_that_passes_marks_the_course(learner: Any, busy_lms: type[BusyLMS]) -> None:
    start = timezone.now() + timedelta(hours=1)
    publish_course([block("course/course", "html/h1", "html/h2"), block("html/h1"), block("html/h2", start=start)])
    aggregate_stale()
    before = possible(learner)
    busy_lms.ahead = timedelta(hours=2)

    assert mark_due_changes(start) == 1
    aggregate_stale()

    assert (before, possible(learner)) == (1, 2)


def test_trap_10_old_keys_are_found_again_and_nothing_is_rewritten(learner: Any) -> None:
    names = ("html/h1", "html/h2")
    root = block("course/Run", *names, course_key=OLD_KEY)
    publish_course([root, *(block(name, course_key=OLD_KEY) for name in names)], OLD_KEY)
    EnrollmentFactory(user=learner, course_id=OLD_KEY)
    complete(learner, "html/h1", course_key=OLD_KEY)
    aggregate_stale()
    mark_course(OLD_KEY)

    assert aggregate_stale() == Report(learners=1, resolved=1)
    assert list(Aggregator.objects.filter(course_key=OLD_KEY).values_list("earned", "possible")) == [(1.0, 2.0)]
    assert (
        CourseBlock.objects.get(block_type="course", course__course_key=str(OLD_KEY)).block_key
        == "i4x://Org/Old/course/Run"
    )
    complete(learner, "html/h2", course_key=OLD_KEY)
    assert aggregate_stale() == Report(learners=1, written=2, resolved=1)


def test_trap_11_a_block_with_two_parents_counts_once(learner: Any) -> None:
    publish_course(
        [
            block("course/course", "vertical/v1", "vertical/v2"),
            block("vertical/v1", "html/h1", "html/shared"),
            block("html/h1"),
            block("html/shared"),
            block("vertical/v2", "html/shared"),
        ]
    )
    complete(learner, "html/shared")
    aggregate_stale()

    rows = BlockAggregate.objects.values_list("block__block_key", "earned", "possible")
    assert {text: rest for text, *rest in rows} == {
        key("course/course"): [1.0, 2],
        key("vertical/v1"): [1.0, 2],
        key("vertical/v2"): [1.0, 1],
    }


def test_trap_15_publishing_often_leaves_one_marker_for_each_learner(
    course: Any, django_capture_on_commit_callbacks: Any
) -> None:
    users = [EnrollmentFactory().user for _ in range(3)]
    aggregate_stale()
    for _ in range(4):
        with django_capture_on_commit_callbacks(execute=True):
            publish_course()

    assert sorted(StaleCompletion.objects.values_list("user_id", flat=True)) == [user.pk for user in users]


def test_trap_15_a_completion_of_an_unknown_block_is_resolved(learner: Any) -> None:
    aggregate_stale()
    complete(learner, "html/nowhere")

    assert aggregate_stale() == Report(learners=1, resolved=1)


def test_trap_15_a_vanished_user_is_neither_resolved_nor_tried_for_ever(learner: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_MAX_ATTEMPTS = 2
    settings.COMPLETION_AGGREGATOR_RETRY_DELAY = 0
    aggregate_stale()
    mark_learners(COURSE_KEY, [GONE])

    assert [aggregate_stale().failed for _ in range(4)] == [1, 1, 0, 0]
    assert list(StaleCompletion.objects.values_list("user_id", "attempts", "last_error")) == [
        (GONE, 2, "UnknownUserError: There is no such user.")
    ]


def test_trap_15_a_type_error_is_not_taken_for_resolved_work(learner: Any, busy_lms: type[BusyLMS]) -> None:
    busy_lms.meanwhile = lambda: len(5)  # type: ignore[arg-type]

    assert aggregate_stale().failed == 1
    assert StaleCompletion.objects.get().last_error == "TypeError: object of type 'int' has no len()"


def test_trap_18_a_learner_who_is_renamed_keeps_markers_and_values(learner: Any) -> None:
    complete(learner, "html/h1")
    aggregate_stale()
    complete(learner, "html/h2")
    learner.username = "lovelace"
    learner.save()

    assert aggregate_stale() == Report(learners=1, written=5, resolved=1)
    assert earned(learner) == 2.0


def test_trap_19_ids_are_64_bits_wide(learner: Any) -> None:
    StaleCompletion.objects.create(id=2**40, user=learner, course_key=str(COURSE_KEY), block_key=key("html/h1"))
    row = CourseBlock.objects.create(
        id=2**31 + 1,
        course=Course.objects.create(id=2**40, course_key=str(OTHER_KEY)),
        block_key="x",
        block_type="course",
    )
    BlockAggregate.objects.create(
        user=learner,
        block=row,
        earned=0,
        possible=0,
        optional_earned=0,
        optional_possible=0,
        modified=timezone.now(),
    )

    assert Aggregator.objects.values_list("id", flat=True).get() == learner.pk * 2**32 + 2**31 + 1
    assert aggregate_stale().resolved == 2


@pytest.mark.parametrize("model", [BlockAggregate, CourseAggregate])
def test_trap_19_an_upsert_has_no_ids_to_burn(model: type[models.Model]) -> None:
    assert isinstance(model._meta.pk, models.CompositePrimaryKey)
    assert not any(isinstance(field, models.AutoField) for field in model._meta.local_fields)
