"""Aggregating: what is computed, what is written, and at what cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from completion_aggregator.models import BlockAggregate, CourseAggregate, StaleCompletion
from completion_aggregator.services import (
    Chunk,
    Report,
    aggregate,
    aggregate_chunk,
    aggregate_stale,
    changes,
    count_stale,
    find_stale_chunks,
    mark_completion,
    mark_course,
    mark_due_changes,
    mark_learners,
)
from sample_lms.lms import SampleLMS
from sample_lms.models import Cohort, CohortMembership, Enrollment
from sample_lms.olx import OlxBlock
from tests.factories import (
    COURSE_KEY,
    SMALL_COURSE,
    EnrollmentFactory,
    MembershipFactory,
    RoleFactory,
    UserFactory,
    block,
    complete,
    key,
    new_course_key,
    publish_course,
    usage_key,
)
from tests.truth import assert_stored_is_computed

pytestmark = pytest.mark.django_db

#: The aggregators of the small course, for a learner who has done nothing.
FRESH = {
    "course/course": (0.0, 6),
    "chapter/c1": (0.0, 4),
    "sequential/s1": (0.0, 3),
    "vertical/v1": (0.0, 2),
    "vertical/v2": (0.0, 1),
    "sequential/s2": (0.0, 1),
    "vertical/v3": (0.0, 1),
    "chapter/c2": (0.0, 2),
    "sequential/s3": (0.0, 2),
    "vertical/v4": (0.0, 2),
}


def short(text: str) -> str:
    return text.split("type@")[1].replace("+block@", "/")


def stored(user: Any) -> dict[str, tuple[float, int]]:
    """Return earned and possible of every stored block of a learner, by short name."""
    rows = BlockAggregate.objects.filter(user=user).values_list("block__block_key", "earned", "possible")
    return {short(text): (earned, possible) for text, earned, possible in rows}


def course_values(user: Any) -> tuple[float, int, float]:
    return CourseAggregate.objects.values_list("earned", "possible", "percent").get(user=user)


def rows() -> list[list[dict[str, Any]]]:
    return [
        list(BlockAggregate.objects.order_by("user", "block").values()),
        list(CourseAggregate.objects.order_by("course", "user").values()),
    ]


def without(*names: str) -> list[OlxBlock]:
    """Return the small course without some of its blocks."""
    gone = set(map(key, names))
    return [
        replace(each, children=tuple(child for child in each.children if child not in gone))
        for each in SMALL_COURSE
        if each.key not in gone
    ]


def changed(name: str, **values: Any) -> list[OlxBlock]:
    """Return the small course with other values of one block."""
    return [replace(each, **values) if each.key == key(name) else each for each in SMALL_COURSE]


def statements(act: Any) -> int:
    with CaptureQueriesContext(connection) as queries:
        act()
    return len(queries)


# What is stored


def test_every_aggregator_is_stored_with_its_sums(learner: Any) -> None:
    complete(learner, "html/h1", "problem/p1")
    complete(learner, "html/h4", value=0.5)

    report = aggregate_stale()

    assert report == Report(learners=1, written=11, deleted=0, resolved=4)
    assert stored(learner) == FRESH | {
        "course/course": (2.5, 6),
        "chapter/c1": (2.0, 4),
        "sequential/s1": (2.0, 3),
        "vertical/v1": (1.0, 2),
        "vertical/v2": (1.0, 1),
        "chapter/c2": (0.5, 2),
        "sequential/s3": (0.5, 2),
        "vertical/v4": (0.5, 2),
    }


def test_rows_hold_all_of_their_values(learner: Any) -> None:
    publish_course(changed("html/h2", optional=True))
    complete(learner, "html/h1", "html/h2")
    newest = BlockCompletion.objects.get(block_key=usage_key("html/h2")).modified
    before = timezone.now()

    aggregate_stale()

    row = BlockAggregate.objects.values().get(block__block_key=key("vertical/v1"))
    assert before <= row.pop("modified") <= timezone.now()
    assert row.pop("block_id") > 0
    assert row == {
        "user_id": learner.pk,
        "earned": 1.0,
        "possible": 1,
        "optional_earned": 1.0,
        "optional_possible": 1,
        "last_modified": newest,
    }
    course = CourseAggregate.objects.values().get()
    assert before <= course.pop("computed_at") <= timezone.now()
    assert course.pop("course_id") > 0
    assert course == {
        "user_id": learner.pk,
        "earned": 1.0,
        "possible": 5,
        "percent": 0.2,
        "optional_earned": 1.0,
        "optional_possible": 1,
        "last_modified": newest,
        "queued_until": None,
        "completed_at": None,
    }


def test_a_learner_who_has_done_nothing_is_stored_too(learner: Any) -> None:
    assert aggregate_stale() == Report(learners=1, written=11, resolved=1)
    assert stored(learner) == FRESH
    assert course_values(learner) == (0.0, 6, 0.0)


def test_a_course_with_nothing_to_do_is_done(learner: Any) -> None:
    publish_course([block("course/course", "discussion/d1"), block("discussion/d1")])

    aggregate_stale()

    assert course_values(learner) == (0.0, 0, 1.0)
    assert CourseAggregate.objects.get().completed_at is not None


def test_aggregating_twice_writes_nothing_the_second_time(learner: Any) -> None:
    complete(learner, "html/h1", "video/m1", value=1 / 3)
    aggregate_stale()
    before = rows()

    assert aggregate_stale() == Report()
    mark_course(COURSE_KEY)
    mark_completion(learner.pk, COURSE_KEY, key("html/h1"))
    assert aggregate_stale() == Report(learners=1, resolved=2)
    assert aggregate(COURSE_KEY, [learner.pk]) == Report(learners=1)
    after = rows()
    # That the values were computed once more is noted, and nothing else.
    assert after[1][0].pop("computed_at") > before[1][0].pop("computed_at")
    assert after == before


@pytest.mark.parametrize("value", [0.1, 1 / 3, 0.7, 1e-300, 5e-324, 0.30000000000000004, 1 - 2**-53])
def test_any_value_is_stored_exactly(learner: Any, value: float) -> None:
    complete(learner, "html/h1", value=value)
    aggregate_stale()
    mark_learners(COURSE_KEY, [learner.pk])

    assert stored(learner)["vertical/v1"] == (value, 2)
    assert aggregate_stale() == Report(learners=1, resolved=1)


def test_a_completed_block_writes_its_ancestors_and_the_course_and_nothing_else(learner: Any) -> None:
    aggregate_stale()
    before = {row["block_id"]: row for row in rows()[0]}
    complete(learner, "problem/p1")

    assert aggregate_stale() == Report(learners=1, written=5, resolved=1)

    differing = {row["block_id"] for row in rows()[0] if row != before[row["block_id"]]}
    names = BlockAggregate.objects.filter(block_id__in=differing).values_list("block__block_key", flat=True)
    assert set(map(short, names)) == {"course/course", "chapter/c1", "sequential/s1", "vertical/v2"}


def test_a_completion_of_a_block_that_does_not_count_writes_nothing(learner: Any) -> None:
    aggregate_stale()
    complete(learner, "discussion/d1", "html/nowhere")

    assert aggregate_stale() == Report(learners=1, resolved=2)


def test_every_learner_has_values_of_their_own(course: Any) -> None:
    users = [EnrollmentFactory().user for _ in range(4)]
    for done, user in enumerate(users):
        complete(user, *("html/h1", "html/h2", "html/h3")[:done])

    assert aggregate_stale() == Report(learners=4, written=44, resolved=4 + 6)
    assert [course_values(user)[0] for user in users] == [0.0, 1.0, 2.0, 3.0]


def test_every_course_has_values_of_its_own(learner: Any) -> None:
    other_key = new_course_key()
    root = block("course/course", "html/h1", course_key=other_key)
    publish_course([root, block("html/h1", course_key=other_key)], other_key)
    EnrollmentFactory(user=learner, course_id=other_key)
    complete(learner, "html/h1", course_key=other_key)

    aggregate_stale()

    values = CourseAggregate.objects.order_by("possible").values_list("course__course_key", "earned", "possible")
    assert list(values) == [(str(other_key), 1.0, 1), (str(COURSE_KEY), 0.0, 6)]


# What changes


def test_values_go_down_when_a_completion_is_lowered(learner: Any) -> None:
    complete(learner, "html/h1")
    aggregate_stale()
    complete(learner, "html/h1", value=0.25)
    aggregate_stale()

    assert [stored(learner)[name][0] for name in ("vertical/v1", "sequential/s1", "course/course")] == [0.25] * 3


def test_resetting_a_learner_takes_everything_back(learner: Any) -> None:
    complete(learner, "html/h1", "html/h2", "video/m1")
    aggregate_stale()

    BlockCompletion.objects.clear_learning_context_completion(learner, COURSE_KEY)
    aggregate_stale()

    assert stored(learner) == FRESH
    assert set(BlockAggregate.objects.values_list("last_modified", flat=True)) == {None}
    assert course_values(learner) == (0.0, 6, 0.0)


def test_a_removed_aggregator_loses_its_rows(learner: Any) -> None:
    complete(learner, "html/h1", "html/h3")
    aggregate_stale()

    publish_course(without("sequential/s2", "vertical/v3", "html/h3"))

    assert aggregate_stale() == Report(learners=1, written=3, deleted=2, resolved=2)
    assert stored(learner) == {
        name: values for name, values in FRESH.items() if name not in ("sequential/s2", "vertical/v3")
    } | {
        "course/course": (1.0, 5),
        "chapter/c1": (1.0, 3),
        "sequential/s1": (1.0, 3),
        "vertical/v1": (1.0, 2),
    }


def test_a_moved_block_counts_where_it_is_now(learner: Any) -> None:
    complete(learner, "problem/p1")
    aggregate_stale()
    children = {key("vertical/v2"): (), key("vertical/v4"): (key("html/h4"), key("video/m1"), key("problem/p1"))}

    publish_course([replace(each, children=children.get(each.key, each.children)) for each in SMALL_COURSE])
    aggregate_stale()

    found = stored(learner)
    assert [found[name] for name in ("vertical/v2", "chapter/c1", "vertical/v4", "chapter/c2", "course/course")] == [
        (0.0, 0),
        (0.0, 3),
        (1.0, 3),
        (1.0, 3),
        (1.0, 6),
    ]


def test_hidden_blocks_stop_counting_and_count_again_when_shown(learner: Any) -> None:
    complete(learner, "html/h1", "html/h3")
    aggregate_stale()
    before = stored(learner)

    publish_course(changed("chapter/c1", staff_only=True))
    aggregate_stale()
    hidden = stored(learner)
    publish_course()
    aggregate_stale()

    assert hidden == {
        "course/course": (0.0, 2),
        "chapter/c2": (0.0, 2),
        "sequential/s3": (0.0, 2),
        "vertical/v4": (0.0, 2),
    }
    assert stored(learner) == before


def test_an_added_block_makes_percents_fall(learner: Any) -> None:
    complete(learner, "html/h4", "video/m1")
    aggregate_stale()
    assert stored(learner)["vertical/v4"] == (2.0, 2)

    publish_course(
        [*changed("vertical/v4", children=(key("html/h4"), key("video/m1"), key("html/h5"))), block("html/h5")]
    )
    aggregate_stale()

    assert stored(learner)["vertical/v4"] == (2.0, 3)
    assert course_values(learner) == (2.0, 7, 2 / 7)


def test_a_block_that_becomes_optional_moves_to_the_optional_sums(learner: Any) -> None:
    complete(learner, "html/h1")
    aggregate_stale()

    publish_course(changed("chapter/c1", optional=True))
    aggregate_stale()

    values = BlockAggregate.objects.values_list("earned", "possible", "optional_earned", "optional_possible")
    assert values.get(block__block_key=key("chapter/c1")) == (0.0, 0, 1.0, 4)
    assert values.get(block__block_key=key("course/course")) == (0.0, 2, 1.0, 4)


class TomorrowsLMS(SampleLMS):
    """An LMS whose clock is a day ahead."""

    def course_views(self, course_key: Any, user_ids: Any, *, now: datetime) -> Any:
        return super().course_views(course_key, user_ids, now=now + timedelta(days=1))


def test_a_release_date_that_passes_is_counted_by_the_next_run(learner: Any, settings: Any) -> None:
    now = timezone.now()
    publish_course(changed("chapter/c2", start=now + timedelta(hours=1)))
    aggregate_stale()
    hidden = course_values(learner)
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.TomorrowsLMS"

    mark_due_changes(now + timedelta(days=1))
    aggregate_stale()

    assert (hidden, course_values(learner)) == ((0.0, 4, 0.0), (0.0, 6, 0.0))


def test_a_learner_who_changes_cohort_is_counted_anew(learner: Any) -> None:
    publish_course(changed("chapter/c2", cohorts=("Red",)), cohorts=("Red", "Blue"))
    red, blue = Cohort.objects.get(name="Red"), Cohort.objects.get(name="Blue")
    found = []
    membership = MembershipFactory(user=learner, cohort=blue)
    for cohort in (blue, red, blue):
        membership.cohort = cohort
        membership.save()
        aggregate_stale()
        found.append((course_values(learner)[1], len(stored(learner))))

    assert found == [(4, 7), (6, 10), (4, 7)]
    assert CohortMembership.objects.count() == 1


def test_a_learner_who_becomes_course_staff_sees_everything(learner: Any) -> None:
    publish_course(changed("chapter/c2", staff_only=True))
    aggregate_stale()
    before = course_values(learner)
    RoleFactory(user=learner, role="instructor")
    aggregate_stale()

    assert (before[1], course_values(learner)[1]) == (4, 6)


def test_a_learner_who_leaves_and_comes_back_has_lost_nothing(learner: Any) -> None:
    complete(learner, "html/h1")
    aggregate_stale()
    enrollment = Enrollment.objects.get()
    enrollment.is_active = False
    enrollment.save()
    complete(learner, "html/h2")
    aggregate_stale()
    publish_course(without("html/h3"))
    complete(learner, "html/h4")
    enrollment.is_active = True
    enrollment.save()
    aggregate_stale()

    assert course_values(learner) == (3.0, 5, 0.6)
    assert not StaleCompletion.objects.exists()


def test_a_learner_who_is_not_enrolled_is_aggregated_when_marked(course: Any) -> None:
    user = UserFactory()
    complete(user, "html/h1")

    assert aggregate_stale() == Report(learners=1, written=11, resolved=1)
    assert course_values(user) == (1.0, 6, 1 / 6)


def test_a_learner_who_is_renamed_keeps_everything(learner: Any) -> None:
    complete(learner, "html/h1")
    aggregate_stale()
    before = rows()
    complete(learner, "html/h2")
    learner.username = "lovelace"
    learner.save()

    assert before == rows()
    assert aggregate_stale() == Report(learners=1, written=5, resolved=1)
    assert course_values(learner)[0] == 2.0


def test_completed_at_is_set_kept_and_cleared(learner: Any) -> None:
    todo = ["html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1"]
    found = []
    for act in (
        lambda: complete(learner, *todo[:5]),
        lambda: complete(learner, todo[5]),
        lambda: publish_course(without("html/h3")),
        lambda: complete(learner, todo[0], value=0.5),
        lambda: complete(learner, todo[0]),
    ):
        before = timezone.now()
        act()
        aggregate_stale()
        completed_at = CourseAggregate.objects.get().completed_at
        found.append(None if completed_at is None else completed_at >= before)

    assert found == [None, True, False, None, True]


# Work is found


def test_chunks_hold_every_stale_learner_once_the_oldest_course_first(course: Any) -> None:
    other_key = new_course_key()
    users = [UserFactory() for _ in range(5)]
    mark_learners(other_key, [users[0].pk])
    mark_learners(COURSE_KEY, [user.pk for user in users])
    mark_learners(COURSE_KEY, [user.pk for user in users])
    ids = [user.pk for user in users]

    assert list(find_stale_chunks(chunk_size=2)) == [
        Chunk(str(other_key), ids[:1]),
        Chunk(str(COURSE_KEY), ids[:2]),
        Chunk(str(COURSE_KEY), ids[2:4]),
        Chunk(str(COURSE_KEY), ids[4:]),
    ]
    assert count_stale() == 6


@pytest.mark.parametrize(("limit", "sizes"), [(0, []), (1, [1]), (2, [1, 1]), (4, [1, 2, 1]), (100, [1, 2, 2])])
def test_a_limit_holds_over_all_courses(course: Any, limit: int, sizes: list[int]) -> None:
    mark_learners(new_course_key(), [UserFactory().pk])
    mark_learners(COURSE_KEY, [UserFactory().pk for _ in range(4)])

    assert [len(chunk.user_ids) for chunk in find_stale_chunks(chunk_size=2, limit=limit)] == sizes


def test_chunks_may_be_of_some_courses_only(course: Any) -> None:
    other_key = new_course_key()
    user = UserFactory()
    mark_learners(other_key, [user.pk])
    mark_learners(COURSE_KEY, [user.pk])

    assert list(find_stale_chunks(course_keys=[str(COURSE_KEY)])) == [Chunk(str(COURSE_KEY), [user.pk])]
    assert list(find_stale_chunks(course_keys=[])) == []


def test_nothing_to_do_is_nothing_done(learner: Any) -> None:
    aggregate_stale()

    assert (list(find_stale_chunks()), count_stale(), aggregate_stale()) == ([], 0, Report())
    assert aggregate(COURSE_KEY, []) == Report()


def test_a_run_with_a_limit_leaves_the_rest_for_the_next(course: Any) -> None:
    for _ in range(5):
        EnrollmentFactory()

    progress: list[int] = []
    first = aggregate_stale(chunk_size=2, limit=3, progress=progress.append)

    assert (first.learners, progress, count_stale()) == (3, [2, 1], 2)
    assert aggregate_stale().learners == 2
    assert CourseAggregate.objects.exclude(computed_at=None).count() == 5


@pytest.mark.parametrize("kind", ["new", "marked", "one block", "fresh"])
def test_a_chunk_takes_as_many_statements_for_forty_learners_as_for_one(course: Any, kind: str) -> None:
    aggregate(COURSE_KEY, [EnrollmentFactory().user.pk])
    counts = []
    for size in (1, 40):
        users = [EnrollmentFactory().user for _ in range(size)]
        ids = [user.pk for user in users]
        if kind != "new":
            aggregate(COURSE_KEY, ids)
        if kind == "marked":
            mark_learners(COURSE_KEY, ids)
        if kind == "one block":
            for user in users:
                complete(user, "html/h1")
        counts.append(statements(lambda ids=ids: aggregate(COURSE_KEY, ids)))

    assert counts[0] == counts[1]


def test_removing_blocks_takes_as_many_statements_for_forty_learners_as_for_one(course: Any) -> None:
    users = [EnrollmentFactory().user.pk for _ in range(41)]
    aggregate_stale()
    publish_course(without("sequential/s2", "vertical/v3", "html/h3"))
    aggregate(COURSE_KEY, users[:1])

    one, forty = (statements(lambda ids=ids: aggregate(COURSE_KEY, ids)) for ids in (users[1:2], users[2:]))

    assert one == forty
    assert BlockAggregate.objects.count() == 41 * 8


def test_too_many_keys_for_one_statement_are_read_by_learner(course: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    users = [EnrollmentFactory().user for _ in range(3)]
    aggregate_stale()
    monkeypatch.setattr(changes, "_MAX_KEYS", 1)
    for user in users:
        complete(user, "html/h1")

    assert aggregate_stale() == Report(learners=3, written=15, resolved=3)
    assert_stored_is_computed(COURSE_KEY)


def test_learners_in_any_order_are_aggregated(course: Any) -> None:
    ids = [EnrollmentFactory().user.pk for _ in range(3)]

    assert aggregate(COURSE_KEY, ids[::-1]) == Report(learners=3, written=33, resolved=3)


def test_a_chunk_aggregates_those_who_are_stale(course: Any) -> None:
    ids = [EnrollmentFactory().user.pk for _ in range(3)]
    aggregate_stale()
    mark_learners(COURSE_KEY, ids[1:])

    assert aggregate_chunk(Chunk(str(COURSE_KEY), ids)) == Report(learners=2, resolved=2)
    assert aggregate_chunk(Chunk(str(COURSE_KEY), ids)) == Report()


def test_reports_add_up() -> None:
    one = Report(learners=1, written=2, deleted=3, resolved=4, failed=5, skipped=6)

    assert one + one == Report(learners=2, written=4, deleted=6, resolved=8, failed=10, skipped=12)


# Synchronous


def test_with_async_aggregation_nothing_is_aggregated_on_commit(
    learner: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        complete(learner, "html/h1")

    assert not CourseAggregate.objects.exists()


def test_without_async_aggregation_a_completion_is_aggregated_on_commit(
    learner: Any, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = False
    other = EnrollmentFactory().user
    with django_capture_on_commit_callbacks(execute=True):
        complete(learner, "html/h1")
        assert not CourseAggregate.objects.exists()

    assert course_values(learner) == (1.0, 6, 1 / 6)
    assert set(StaleCompletion.objects.values_list("user_id", flat=True)) == {other.pk}


def test_rows_say_whose_they_are(learner: Any) -> None:
    complete(learner, "html/h1", "html/h2", "problem/p1")
    aggregate_stale()
    mark_completion(learner.pk, COURSE_KEY, key("html/h1"))
    mark_learners(COURSE_KEY, [learner.pk])
    course = CourseAggregate.objects.get()
    row = BlockAggregate.objects.get(block__block_key=key("vertical/v1"))

    assert str(course.course) == str(COURSE_KEY)
    assert str(row.block) == key("vertical/v1")
    assert str(course) == f"{learner.pk} in {course.course_id}: 50%"
    assert str(row) == f"{learner.pk} in {row.block_id}: 2.0/2"
    assert [str(marker) for marker in StaleCompletion.objects.order_by("id")] == [
        f"{learner.pk} in {COURSE_KEY}: {key('html/h1')}",
        f"{learner.pk} in {COURSE_KEY}: everything",
    ]
