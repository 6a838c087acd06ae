"""Marking: what makes learners stale, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opaque_keys.edx.keys import UsageKey

from completion_aggregator.models import BlockAggregate, Course, CourseAggregate, StaleCompletion
from completion_aggregator.services import (
    aggregate_stale,
    mark_completion,
    mark_course,
    mark_due_changes,
    mark_learners,
    mark_never_aggregated,
)
from sample_lms.models import Enrollment
from tests.factories import (
    COURSE_KEY,
    CohortFactory,
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
from tests.truth import assert_stored_is_computed, stored

pytestmark = pytest.mark.django_db

#: An INSERT that every database refuses, since a marker is somebody's.
REFUSED = (
    "INSERT INTO completion_aggregator_stalecompletion (user_id, course_key, created, attempts, last_error)"
    " VALUES (NULL, 'x', '2025-01-01', 0, '')"
)


def markers() -> list[tuple[int, str, str | None]]:
    """Return whom the open markers are about, where, and of which block; in order of writing."""
    return list(StaleCompletion.objects.order_by("id").values_list("user_id", "course_key", "block_key"))


def all_of(user: Any) -> tuple[int, str, None]:
    return user.pk, str(COURSE_KEY), None


def one(user: Any, name: str) -> tuple[int, str, str]:
    return user.pk, str(COURSE_KEY), key(name)


def statements_about_markers(act: Callable[[], object]) -> list[str]:
    """Return the first words of the statements that touch this package's tables."""
    with CaptureQueriesContext(connection) as queries:
        act()
    return [query["sql"].split()[0] for query in queries if "completion_aggregator_" in query["sql"]]


@contextmanager
def markers_that_cannot_be_written() -> Iterator[None]:
    """Let the database refuse every marker."""

    def spoil(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("INSERT INTO") and "completion_aggregator_stalecompletion" in sql:
            return execute(REFUSED, (), many, context)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(spoil):
        yield


@pytest.fixture
def clean(learner: Any) -> Any:
    """A learner who is not stale."""
    aggregate_stale()
    return learner


# Completions


def test_a_completion_marks_its_block(clean: Any) -> None:
    before = timezone.now()

    complete(clean, "html/h1", value=0.5)

    (marker,) = StaleCompletion.objects.values()
    assert before <= marker.pop("created") <= timezone.now()
    assert marker.pop("id") > 0
    assert marker == {
        "user_id": clean.pk,
        "course_key": str(COURSE_KEY),
        "block_key": key("html/h1"),
        "bulk": False,
        "attempts": 0,
        "not_before": None,
        "last_error": "",
    }


def test_a_completion_that_changes_is_marked_again(clean: Any) -> None:
    complete(clean, "html/h1", value=0.5)
    complete(clean, "html/h1", value=1.0)

    assert markers() == [one(clean, "html/h1")] * 2


def test_a_saved_completion_costs_one_insert_and_nothing_else(clean: Any) -> None:
    complete(clean, "html/h1", value=0.5)
    completion = BlockCompletion.objects.get()
    completion.completion = 1.0

    assert statements_about_markers(completion.save) == ["INSERT"]
    assert statements_about_markers(lambda: complete(clean, "html/h2")) == ["INSERT"]


def test_every_deleted_completion_costs_one_insert_and_nothing_else(clean: Any) -> None:
    complete(clean, "html/h1", "html/h2", "html/h3")
    aggregate_stale()

    assert statements_about_markers(BlockCompletion.objects.all().delete) == ["INSERT"] * 3
    assert sorted(markers()) == [one(clean, name) for name in ("html/h1", "html/h2", "html/h3")]


def test_a_single_deleted_completion_is_marked(clean: Any) -> None:
    complete(clean, "html/h1")
    aggregate_stale()

    BlockCompletion.objects.get().delete()

    assert markers() == [one(clean, "html/h1")]


def test_resetting_a_learner_marks_every_block(clean: Any) -> None:
    complete(clean, "html/h1", "problem/p1")
    aggregate_stale()

    BlockCompletion.objects.clear_learning_context_completion(clean, COURSE_KEY)

    assert sorted(markers()) == sorted([one(clean, "html/h1"), one(clean, "problem/p1")])


def test_a_batch_of_completions_marks_every_block(clean: Any) -> None:
    BlockCompletion.objects.submit_batch_completion(clean, [(usage_key("html/h1"), 1.0), (usage_key("html/h2"), 0.5)])

    assert markers() == [one(clean, "html/h1"), one(clean, "html/h2")]


def test_completions_in_a_library_are_nobodys_course(clean: Any) -> None:
    BlockCompletion.objects.submit_completion(clean, UsageKey.from_string("lb:Org:Library:html:h1"), 1.0)
    BlockCompletion.objects.submit_completion(clean, UsageKey.from_string("lib-block-v1:Org+L+type@html+block@h"), 1.0)

    assert markers() == []


def test_raw_fixtures_mark_nothing(clean: Any, tmp_path: Path) -> None:
    complete(clean, "html/h1")
    fixture = tmp_path / "completions.json"
    fixture.write_text(_dumped(), encoding="utf-8")
    StaleCompletion.objects.all().delete()

    call_command("loaddata", str(fixture), verbosity=0)

    assert markers() == []


def _dumped() -> str:
    output = StringIO()
    call_command("dumpdata", "completion.BlockCompletion", stdout=output)
    return output.getvalue()


def test_old_keys_are_marked_as_they_are_stored(clean: Any) -> None:
    block_key = UsageKey.from_string("i4x://Org/Old/html/h1").replace(run="Run")
    BlockCompletion.objects.submit_completion(clean, block_key, 1.0)

    assert markers() == [(clean.pk, "Org/Old/Run", "i4x://Org/Old/html/h1")]


def test_the_marker_is_part_of_the_transaction_of_the_completion(clean: Any) -> None:
    with transaction.atomic():
        complete(clean, "html/h1")
        assert markers() == [one(clean, "html/h1")]
        transaction.set_rollback(True)

    assert (markers(), BlockCompletion.objects.count()) == ([], 0)


@pytest.mark.parametrize("act", ["save", "delete"])
def test_a_marker_that_cannot_be_written_does_not_fail_the_learner(clean: Any, act: str, caplog: Any) -> None:
    complete(clean, "html/h1")
    completion = BlockCompletion.objects.get()
    StaleCompletion.objects.all().delete()
    with transaction.atomic():
        with markers_that_cannot_be_written():
            getattr(completion, act)()
        complete(clean, "html/h2")

    assert markers() == [one(clean, "html/h2")]
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        f"Learner {clean.pk} could not be marked stale in {COURSE_KEY}"
    ]


@pytest.mark.django_db(transaction=True)
def test_a_marker_that_cannot_be_written_outside_of_a_transaction_does_not_fail_the_learner(clean: Any) -> None:
    with markers_that_cannot_be_written():
        complete(clean, "html/h1")

    assert (markers(), BlockCompletion.objects.count()) == ([], 1)


def test_a_transaction_that_was_to_be_rolled_back_still_is(clean: Any) -> None:
    with transaction.atomic():
        complete(clean, "html/h1")
        transaction.set_rollback(True)
        with markers_that_cannot_be_written():
            mark_quietly(clean)

    assert BlockCompletion.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_the_database_has_undone_is_not_taken_for_done(clean: Any) -> None:
    # PostgreSQL undoes no more than the savepoint.
    has_undone = connection.vendor != "postgresql"

    def deadlock(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("INSERT INTO") and "completion_aggregator_stalecompletion" in sql:
            if has_undone:
                connection.connection.rollback()
            raise OperationalError(1213, "Deadlock found")
        return execute(sql, params, many, context)

    expected = pytest.raises(OperationalError) if has_undone else nullcontext()
    with expected, transaction.atomic(), connection.execute_wrapper(deadlock):
        complete(clean, "html/h1")

    assert BlockCompletion.objects.count() == (0 if has_undone else 1)


def mark_quietly(user: Any) -> None:
    """Call the receiver as a signal would, without any statement of its own."""
    from completion_aggregator.handlers import completion_changed

    completion_changed(
        BlockCompletion, BlockCompletion(user=user, context_key=COURSE_KEY, block_key=usage_key("html/h1"))
    )


def test_deleting_a_user_leaves_nothing_of_theirs(clean: Any) -> None:
    other = EnrollmentFactory().user
    for user in (clean, other):
        complete(user, "html/h1")
    aggregate_stale()
    for user in (clean, other):
        complete(user, "html/h2")

    clean.delete()

    assert markers() == [one(other, "html/h2")]
    assert set(CourseAggregate.objects.values_list("user_id", flat=True)) == {other.pk}
    assert set(BlockAggregate.objects.values_list("user_id", flat=True)) == {other.pk}


def test_deleting_users_by_queryset_leaves_nothing_of_theirs(clean: Any) -> None:
    complete(clean, "html/h1")

    get_user_model().objects.filter(pk=clean.pk).delete()

    assert markers() == []


# The services


def test_mark_completion_marks_one_block_of_one_learner(clean: Any) -> None:
    mark_completion(clean.pk, COURSE_KEY, key("html/h1"))

    assert markers() == [one(clean, "html/h1")]


def test_mark_learners_marks_everything_of_each(clean: Any, django_assert_num_queries: Any) -> None:
    other = UserFactory()
    with django_assert_num_queries(1):
        mark_learners(COURSE_KEY, [clean.pk, other.pk])

    assert markers() == [all_of(clean), all_of(other)]


def test_mark_learners_without_learners_marks_nothing(clean: Any) -> None:
    mark_learners(COURSE_KEY, [])

    assert markers() == []


def test_marking_a_course_twice_leaves_one_marker_for_each_learner(
    clean: Any, django_capture_on_commit_callbacks: Any
) -> None:
    other = EnrollmentFactory().user
    StaleCompletion.objects.all().delete()

    with django_capture_on_commit_callbacks(execute=True):
        assert [mark_course(COURSE_KEY), mark_course(COURSE_KEY)] == [2, 2]
    assert sorted(markers()) == sorted([all_of(clean), all_of(other)])


@pytest.mark.parametrize("learners", [1, 20])
def test_marking_whoever_was_never_aggregated_is_one_statement(
    clean: Any, learners: int, django_assert_num_queries: Any
) -> None:
    new = [EnrollmentFactory().user for _ in range(learners)]
    EnrollmentFactory(is_active=False)
    StaleCompletion.objects.all().delete()

    with django_assert_num_queries(1):
        assert mark_never_aggregated(COURSE_KEY) == learners
    assert markers() == [all_of(user) for user in new]


def test_marking_a_course_keeps_the_markers_of_single_blocks_and_of_other_courses(clean: Any) -> None:
    complete(clean, "html/h1")
    other_key = new_course_key()
    mark_learners(other_key, [clean.pk])

    mark_course(COURSE_KEY)

    assert markers() == [one(clean, "html/h1"), (clean.pk, str(other_key), None), all_of(clean)]


def test_marking_a_course_gives_learners_who_were_given_up_another_chance(
    clean: Any, django_capture_on_commit_callbacks: Any
) -> None:
    mark_learners(COURSE_KEY, [clean.pk])
    StaleCompletion.objects.update(attempts=10, not_before=timezone.now() + timedelta(days=1), last_error="broken")

    with django_capture_on_commit_callbacks(execute=True):
        mark_course(COURSE_KEY)

    assert list(StaleCompletion.objects.values_list("user_id", "attempts", "not_before", "last_error")) == [
        (clean.pk, 0, None, "")
    ]


def test_marking_a_course_marks_learners_who_have_left_it_but_were_aggregated(clean: Any) -> None:
    never_aggregated = EnrollmentFactory().user
    Enrollment.objects.update(is_active=False)
    StaleCompletion.objects.all().delete()

    assert mark_course(COURSE_KEY) == 1
    assert markers() == [all_of(clean)]
    assert never_aggregated.pk != clean.pk


def test_marking_a_course_marks_learners_who_were_never_aggregated(clean: Any) -> None:
    other = EnrollmentFactory().user
    StaleCompletion.objects.all().delete()

    assert mark_course(COURSE_KEY) == 2
    assert sorted(markers()) == sorted([all_of(clean), all_of(other)])


def test_marking_an_empty_course_marks_nobody(course: Any) -> None:
    assert mark_course(COURSE_KEY) == 0
    assert mark_course(new_course_key()) == 0
    assert markers() == []


def test_a_marked_course_dates_its_markers(clean: Any) -> None:
    before = timezone.now()
    mark_course(COURSE_KEY)

    (created,) = StaleCompletion.objects.values_list("created", flat=True)
    assert before <= created <= timezone.now()


def test_marking_a_course_takes_as_many_statements_for_fifty_learners_as_for_one(
    clean: Any, django_capture_on_commit_callbacks: Any
) -> None:
    counts = []
    for learners in (1, 50):
        EnrollmentFactory.create_batch(learners - 1)
        mark_course(COURSE_KEY)
        with CaptureQueriesContext(connection) as queries, django_capture_on_commit_callbacks(execute=True):
            assert mark_course(COURSE_KEY) == learners
        counts.append([query["sql"].split()[0] for query in queries if "SAVEPOINT" not in query["sql"]])

    # Which markers are there, the new ones for everybody, the older ones.
    assert counts == [["SELECT", "INSERT", "DELETE"]] * 2


def test_older_markers_go_only_when_the_new_ones_are_committed(
    clean: Any, django_capture_on_commit_callbacks: Any
) -> None:
    mark_course(COURSE_KEY)
    with django_capture_on_commit_callbacks() as callbacks:
        mark_course(COURSE_KEY)

    before = markers()
    for callback in callbacks:
        callback()

    assert (before, markers()) == ([all_of(clean)] * 2, [all_of(clean)])


def test_a_learner_who_enrolls_while_a_course_is_marked_stays_marked(
    clean: Any, django_capture_on_commit_callbacks: Any
) -> None:
    """The new learner's marker has a lower id than others that were there before, but is committed later."""
    newcomer = UserFactory()
    mark_course(COURSE_KEY)
    free_id = StaleCompletion.objects.get().pk
    mark_course(COURSE_KEY)
    StaleCompletion.objects.get(id=free_id).delete()

    with django_capture_on_commit_callbacks(execute=True):
        mark_course(COURSE_KEY)
        StaleCompletion.objects.create(id=free_id, user=newcomer, course_key=str(COURSE_KEY))

    assert sorted(markers()) == sorted([all_of(clean), all_of(newcomer)])


# Release dates


def dated(*dates: datetime | None) -> list[Any]:
    names = [f"html/h{place}" for place in range(len(dates))]
    parts = (block(name, start=start) for name, start in zip(names, dates, strict=True))
    return [block("course/course", *names), *parts]


def test_a_release_date_that_passes_marks_everybody_once(learner: Any) -> None:
    now = timezone.now()
    first, second = now + timedelta(hours=1), now + timedelta(hours=2)
    publish_course(dated(None, now - timedelta(days=1), first, second))
    aggregate_stale()

    found = []
    for moment in (now, first - timedelta(microseconds=1), first, first, second, second + timedelta(days=1)):
        StaleCompletion.objects.all().delete()
        due = mark_due_changes(moment)
        found.append((due, len(markers()), Course.objects.get().next_change_at))

    assert found == [(0, 0, first), (0, 0, first), (1, 1, second), (0, 0, second), (1, 1, None), (0, 0, None)]


def test_dates_that_passed_together_are_marked_once(learner: Any) -> None:
    now = timezone.now()
    publish_course(dated(now + timedelta(hours=1), now + timedelta(hours=2)))
    aggregate_stale()

    assert mark_due_changes(now + timedelta(hours=3)) == 1
    assert Course.objects.get().next_change_at is None
    assert markers() == [all_of(learner)]


def test_only_courses_with_a_date_that_passed_are_marked(learner: Any) -> None:
    other_key = new_course_key()
    EnrollmentFactory(user=learner, course_id=other_key)
    publish_course(dated(datetime(2040, 1, 1, tzinfo=UTC)), other_key)
    aggregate_stale()

    assert mark_due_changes(datetime(2040, 1, 1, tzinfo=UTC)) == 1
    assert markers() == [(learner.pk, str(other_key), None)]


# The sample LMS


def test_publishing_marks_everybody_in_the_course(clean: Any) -> None:
    publish_course(course_key=new_course_key())
    assert markers() == []

    publish_course()

    assert markers() == [all_of(clean)]


def test_whatever_changes_a_learners_view_marks_the_learner(clean: Any) -> None:
    acts: list[Callable[[], object]] = [
        lambda: MembershipFactory(user=clean, cohort=CohortFactory()),
        lambda: clean.cohortmembership_set.get().delete(),
        lambda: RoleFactory(user=clean),
        lambda: clean.courseaccessrole_set.get().delete(),
        lambda: RoleFactory(user=clean, org="Org", course_id=None),
        lambda: clean.courseaccessrole_set.get().delete(),
        lambda: clean.enrollment_set.get().delete(),
        lambda: EnrollmentFactory(user=clean),
    ]
    for act in acts:
        StaleCompletion.objects.all().delete()
        act()
        assert markers() == [all_of(clean)]


def test_a_role_in_the_org_marks_its_holder_in_a_course_that_was_left(clean: Any) -> None:
    """Whoever was aggregated there may ask for it still."""
    clean.enrollment_set.get().delete()
    aggregate_stale()

    RoleFactory(user=clean, org="Org", course_id=None)

    assert markers() == [all_of(clean)]


def test_a_role_in_another_org_marks_nobody(clean: Any) -> None:
    RoleFactory(user=clean, org="Other", course_id=None)

    assert markers() == []


def test_a_completion_whose_key_has_branch_and_version_is_that_of_the_block(learner: Any) -> None:
    """As the platform names blocks in which it is publishing; edx-completion stores them without."""
    aggregate_stale()
    qualified = COURSE_KEY.for_branch("published-branch").for_version("5" * 24)

    BlockCompletion.objects.submit_completion(learner, usage_key("html/h1", qualified), 1.0)

    assert StaleCompletion.objects.values_list("course_key", "block_key").get() == (str(COURSE_KEY), key("html/h1"))
    aggregate_stale()
    assert stored(COURSE_KEY)[learner.pk][key("chapter/c1")][0] == 1.0
    assert_stored_is_computed(COURSE_KEY)
