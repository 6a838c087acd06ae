"""What openedx-completion-aggregator 4.5 has left is taken over: nothing lost or twice, everybody right meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from completion_aggregator.compat import get_lms
from completion_aggregator.handlers import migrated
from completion_aggregator.models import (
    Aggregator,
    BlockAggregate,
    Course,
    CourseAggregate,
    CourseBlock,
    OldAggregate,
    OldMarker,
    StaleCompletion,
    Takeover,
)
from completion_aggregator.selectors import Migration, find_migration, get_course_completion, get_status, migration
from completion_aggregator.selectors.computed import compute
from completion_aggregator.services import aggregate, aggregate_stale, mark_learners, takeover
from completion_aggregator.services.takeover import begin_takeover, take_over_batch
from tests.factories import COURSE_KEY, EnrollmentFactory, UserFactory, complete, key
from tests.killing import Killed, dying
from tests.truth import assert_stored_is_computed

DETAIL = f"/api/completion/v1/course/{COURSE_KEY}/"
STATS = f"/api/completion/v1/stats/{COURSE_KEY}/"
MOMENT = datetime(2025, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
GONE = "course-v1:Org+Gone+Run"
#: Blocks of the small course that 4.5 has rows of, the last of them not in the course any more.
BLOCKS = ("chapter/c1", "course/course", "vertical/v1", "vertical/gone")


@pytest.fixture(autouse=True)
def old_tables(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The two tables that 4.5 leaves, empty, and the row that the migration makes when it finds them."""
    with connection.schema_editor() as editor:
        editor.create_model(OldAggregate)
        editor.create_model(OldMarker)
    Takeover.objects.create()
    monkeypatch.setattr(migration, "_is_over", False)
    yield
    with connection.cursor() as cursor:
        for model in (OldAggregate, OldMarker):
            cursor.execute(f"DROP TABLE IF EXISTS {model._meta.db_table}")


def left(
    user_id: int, name: str, earned: float = 3.0, possible: float = 6.0, course_key: str = str(COURSE_KEY)
) -> None:
    """Leave a row of 4.5 behind; its values are wrong."""
    OldAggregate.objects.create(
        user_id=user_id,
        course_key=course_key,
        aggregation_name=name.split("/")[0],
        block_key=f"block-v1:{course_key[10:]}+type@{name.split('/')[0]}+block@{name.split('/')[1]}",
        earned=earned,
        possible=possible,
        percent=earned / possible,
        optional_earned=1.0,
        optional_possible=2.0,
        last_modified=MOMENT,
        modified=timezone.now(),
    )


@pytest.fixture
def learners(course: Any) -> list[Any]:
    """Three learners, each with something done and four rows of 4.5 that know nothing of it."""
    users = [EnrollmentFactory().user for _ in range(3)]
    for user in users:
        complete(user, "html/h1")
    StaleCompletion.objects.all().delete()
    for name in BLOCKS:
        for user in users:
            left(user.pk, name)
    return users


def take_over(batch_size: int = 5, between: Callable[[], object] = lambda: None) -> None:
    begin_takeover()
    between()
    while take_over_batch(batch_size):
        between()


VALUES = ("user_id", "course_key", "block_key", "aggregation_name", "earned", "possible", "percent", "last_modified")


def rows(model: Any, *more: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(map(str, row)) for row in model.objects.values_list(*VALUES, *more))


# The copy


def test_every_row_is_there_as_it_was(learners: list[Any]) -> None:
    take_over()

    assert rows(Aggregator, "optional_earned", "optional_possible", "modified") == rows(
        OldAggregate, "optional_earned", "optional_possible", "modified"
    )
    values = ("user_id", "earned", "possible", "percent", "optional_earned", "optional_possible", "last_modified")
    assert list(CourseAggregate.objects.order_by("user_id").values_list(*values)) == [
        (user.pk, 3.0, 6, 0.5, 1.0, 2, MOMENT) for user in learners
    ]
    assert list(Takeover.objects.values_list("copied", "total", "markers")) == [(12, 12, 0)]
    assert Takeover.objects.get().finished_at is not None


def test_who_was_through_has_completed_the_course(learners: list[Any]) -> None:
    OldAggregate.objects.filter(user_id=learners[0].pk).update(earned=6.0, percent=1.0)

    take_over()

    modified = dict(OldAggregate.objects.filter(aggregation_name="course").values_list("user_id", "modified"))
    found = {
        user_id: (computed, completed)
        for user_id, computed, completed in CourseAggregate.objects.values_list(
            "user_id", "computed_at", "completed_at"
        )
    }
    assert found == {
        user.pk: (modified[user.pk], modified[user.pk] if user == learners[0] else None) for user in learners
    }


def test_workers_correct_what_was_copied(learners: list[Any]) -> None:
    take_over()

    report = aggregate_stale()

    assert (report.learners, report.failed) == (3, 0)
    assert_stored_is_computed(COURSE_KEY)
    assert not StaleCompletion.objects.exists()
    assert not BlockAggregate.objects.filter(block__block_key=key("vertical/gone")).exists()


def test_what_was_computed_meanwhile_is_left_alone(learners: list[Any]) -> None:
    aggregate(COURSE_KEY, [learners[0].pk])
    computed = rows(Aggregator, "modified")
    courses = list(CourseAggregate.objects.values_list())

    take_over()

    assert set(computed) < set(rows(Aggregator, "modified"))
    assert list(CourseAggregate.objects.filter(user_id=learners[0].pk).values_list()) == courses
    # Who got a row of a block that is gone is stale again.
    assert StaleCompletion.objects.filter(user_id=learners[0].pk).exists()


def test_a_course_of_another_letter_case_is_another_course(learners: list[Any]) -> None:
    twin = str(COURSE_KEY).lower()
    left(learners[0].pk, "course/course", 1.0, course_key=twin)

    take_over()

    assert sorted(Course.objects.values_list("course_key", flat=True)) == sorted([str(COURSE_KEY), twin])
    assert rows(Aggregator) == rows(OldAggregate)


def test_tables_of_an_old_character_set_are_read(learners: list[Any]) -> None:
    if connection.vendor != "mysql":
        return  # Texts have one character set there.
    left(learners[0].pk, "course/course", 1.0, course_key=str(COURSE_KEY).lower())
    with connection.cursor() as cursor:
        for model in (OldAggregate, OldMarker):
            cursor.execute(f"ALTER TABLE {model._meta.db_table} CONVERT TO CHARACTER SET utf8mb3")

    take_over()

    assert rows(Aggregator) == rows(OldAggregate)


def test_nobody_is_marked_in_a_course_that_the_lms_does_not_have(learners: list[Any]) -> None:
    left(learners[0].pk, "course/course", course_key=GONE)
    left(learners[0].pk, "course/course", course_key="no course key at all")

    take_over()

    assert BlockAggregate.objects.count() == OldAggregate.objects.count() == 14
    assert set(StaleCompletion.objects.values_list("course_key", flat=True)) == {str(COURSE_KEY)}


def test_nobody_at_all_is_marked_where_the_lms_has_no_such_course(course: Any) -> None:
    left(UserFactory().pk, "course/course", course_key=GONE)

    take_over()

    assert rows(Aggregator) == rows(OldAggregate)
    assert not StaleCompletion.objects.exists()


def test_long_block_types_are_cut(learners: list[Any]) -> None:
    left(learners[0].pk, f"{'x' * 70}/block")

    take_over()

    assert CourseBlock.objects.filter(block_type="x" * 64).exists()


def test_rows_of_vanished_users_are_left_out(learners: list[Any]) -> None:
    gone = learners[0].pk
    learners[0].delete()

    take_over()

    assert not BlockAggregate.objects.filter(user_id=gone).exists()
    assert not StaleCompletion.objects.filter(user_id=gone).exists()
    assert Takeover.objects.get().copied == 12


def test_ids_that_are_far_apart_cost_nothing(learners: list[Any]) -> None:
    row = OldAggregate.objects.first()
    assert row is not None
    row.id, row.block_key = 2**31 - 1, key("vertical/v2")
    row.save(force_insert=True)

    take_over(batch_size=100)

    assert rows(Aggregator) == rows(OldAggregate)


def test_a_batch_of_many_rows_costs_what_one_of_few_costs(learners: list[Any]) -> None:
    begin_takeover()
    counts = []
    for batch_size in (2, 8):
        with CaptureQueriesContext(connection) as queries:
            assert take_over_batch(batch_size) == batch_size
        counts.append(len(queries))

    assert counts[0] == counts[1]


# Interrupted


def test_killed_at_any_statement_it_goes_on(learners: list[Any]) -> None:
    OldMarker.objects.create(username=learners[0].username, course_key=str(COURSE_KEY), resolved=False)
    statement = 0
    while True:
        statement += 1
        for model in (BlockAggregate, CourseAggregate, CourseBlock, Course, StaleCompletion):
            model.objects.all().delete()
        Takeover.objects.all().delete()
        Takeover.objects.create()
        with dying(statement) as count:
            try:
                take_over()
                assert count[0] < statement
                break
            except Killed:
                pass
        take_over()
        assert rows(Aggregator) == rows(OldAggregate)
        state = Takeover.objects.values_list("copied", "total", "markers").get()
        assert state == (12, 12, 1), f"killed at statement {statement}"
    assert statement > 30


def test_a_deadlock_is_tried_again(learners: list[Any]) -> None:
    begin_takeover()
    with dying(6, OperationalError("Deadlock found")):
        assert take_over_batch(100) == 12

    assert rows(Aggregator) == rows(OldAggregate)


def test_who_comes_late_finds_nothing_to_do(learners: list[Any]) -> None:
    take_over()
    before = list(StaleCompletion.objects.values_list())

    assert take_over_batch() == 0
    assert list(StaleCompletion.objects.values_list()) == before


# A learner's own answer


def assert_learners_are_told_the_truth(learners: list[Any]) -> None:
    ids = [user.pk for user in learners]
    truth = {each.user_id: each for each in compute(COURSE_KEY, ids, now=timezone.now())}
    for user in learners:
        told = get_course_completion(user, COURSE_KEY, block_types=["chapter", "vertical"])
        expected = dict(zip(truth[user.pk].tree.aggregators, truth[user.pk].tallies, strict=True))
        assert told.tally == expected[key("course/course")]
        shown = [pair for pairs in told.blocks.values() for pair in pairs]
        assert shown == [(block_key, expected[block_key]) for block_key, _ in shown]
        assert len(shown) == 6


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("works", [False, True])
def test_learners_are_told_the_truth_at_every_point(learners: list[Any], batch_size: int, works: bool) -> None:
    aggregate(COURSE_KEY, [learners[0].pk])

    def look() -> None:
        assert_learners_are_told_the_truth(learners)
        if works:
            aggregate_stale()
            assert_learners_are_told_the_truth(learners)

    take_over(batch_size, look)
    aggregate_stale()
    assert_learners_are_told_the_truth(learners)
    assert_stored_is_computed(COURSE_KEY)


# Markers


def test_open_markers_become_one_for_each_learner_and_course(learners: list[Any]) -> None:
    OldAggregate.objects.all().delete()
    ada, ben, eve = learners
    mark_learners(COURSE_KEY, [ben.pk])
    for username, course_key, resolved in [
        *[(ada.username, str(COURSE_KEY), False)] * 4,
        (ada.username, GONE, False),
        (ben.username, str(COURSE_KEY), False),
        (eve.username, str(COURSE_KEY), True),
        *[("nobody", str(COURSE_KEY), False)] * 3,
    ]:
        OldMarker.objects.create(username=username, course_key=course_key, resolved=resolved)

    take_over(batch_size=3)

    found = sorted(StaleCompletion.objects.values_list("user_id", "course_key", "block_key", "attempts"))
    assert found == sorted(
        [(ada.pk, str(COURSE_KEY), None, 0), (ada.pk, GONE, None, 0), (ben.pk, str(COURSE_KEY), None, 0)]
    )
    assert Takeover.objects.values_list("markers", "markers_of_nobody").get() == (6, 3)


# Course-wide answers


def answer(client: Client, url: str, **query: str) -> dict[str, Any]:
    response = client.get(url, query)
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def test_course_wide_answers_tell_how_far_the_copy_is(learners: list[Any], client: Client) -> None:
    client.force_login(UserFactory(is_staff=True))

    for expected in ({"copied": 0, "total": None}, {"copied": 5, "total": 12}):
        for url in (DETAIL, STATS):
            assert answer(client, url)["migration"] == expected
        assert answer(client, DETAIL, cursor="")["migration"] == expected
        assert "migration" not in answer(client, DETAIL, username=learners[0].username)
        begin_takeover()
        take_over_batch(5)
    take_over()

    for url in (DETAIL, STATS):
        assert "migration" not in answer(client, url)


def test_who_knows_that_it_is_over_does_not_ask(learners: list[Any]) -> None:
    with CaptureQueriesContext(connection) as meanwhile:
        assert find_migration() == Migration(copied=0, total=None)
        assert find_migration() == Migration(copied=0, total=None)
    take_over()
    with CaptureQueriesContext(connection) as afterwards:
        assert find_migration() is None
        assert find_migration() is None

    assert (len(meanwhile), len(afterwards)) == (2, 1)


def test_course_wide_answers_have_the_values_of_4_5_at_once(learners: list[Any], client: Client) -> None:
    client.force_login(UserFactory(is_staff=True))
    assert [each["completion"]["possible"] for each in answer(client, DETAIL)["results"]] == [None] * 3

    take_over()

    assert [each["completion"]["percent"] for each in answer(client, DETAIL)["results"]] == [0.5] * 3
    (result,) = answer(client, STATS, requested_fields="mean")["results"]
    assert result["mean"] == 0.5


def test_a_mean_is_forgotten_when_learners_are_copied(learners: list[Any], client: Client) -> None:
    client.force_login(UserFactory(is_staff=True))
    assert answer(client, STATS, requested_fields="mean")["results"][0]["mean"] == 0.0

    take_over()

    assert answer(client, STATS, requested_fields="mean")["results"][0]["mean"] == 0.5


def test_the_status_tells_how_far_the_copy_is(learners: list[Any]) -> None:
    def line() -> list[str]:
        out = StringIO()
        call_command("aggregator_status", stdout=out)
        return [line for line in out.getvalue().splitlines() if "4.5" in line]

    assert line() == ["copied from 4.5:     0 of ? rows (migrate_aggregates)"]
    begin_takeover()
    take_over_batch(5)
    assert get_status().migration == Migration(copied=5, total=12)
    assert line() == ["copied from 4.5:     5 of 12 rows (migrate_aggregates)"]
    take_over()
    assert line() == []


# The command


def run(**options: Any) -> list[str]:
    out = StringIO()
    call_command("migrate_aggregates", stdout=out, **options)
    return out.getvalue().splitlines()


def test_the_command_takes_everything_over(learners: list[Any]) -> None:
    OldMarker.objects.create(username="nobody", course_key=str(COURSE_KEY), resolved=False)

    lines = run(batch_size=6, delay_between_batches=0.001)

    assert lines == [
        "Rows taken over: 7 of 13",
        "Rows taken over: 13 of 13",
        "taken over: 12 aggregates, 0 markers; left out: 1 markers of users who do not exist any more",
    ]
    assert run()[-1] == lines[-1]
    assert rows(Aggregator) == rows(OldAggregate)


def test_the_command_goes_on_from_where_it_was(learners: list[Any]) -> None:
    begin_takeover()
    take_over_batch(4)

    assert run(batch_size=4)[:-1] == ["Rows taken over: 4 of 8", "Rows taken over: 8 of 8"]


def test_the_command_finds_nothing_on_other_sites(course: Any) -> None:
    Takeover.objects.all().delete()

    assert run() == ["openedx-completion-aggregator 4.5 has left nothing."]


def test_the_tables_are_dropped_when_they_are_not_needed_any_more(learners: list[Any]) -> None:
    with pytest.raises(CommandError, match=r"^Rows of 4\.5 are not taken over yet\. Run migrate_aggregates without"):
        run(drop_old=True)
    run()

    assert run(drop_old=True) == ["The tables of openedx-completion-aggregator 4.5 are gone."]
    assert [name for name in connection.introspection.table_names() if name.endswith("_4_5")] == []
    assert run()[-1].startswith("taken over: 12 aggregates")
    assert run(drop_old=True) == ["The tables of openedx-completion-aggregator 4.5 are gone."]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "--batch-size must be above 0."),
        ({"delay_between_batches": -1.0}, "--delay-between-batches must not be negative."),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(**options)


# Migrating


def migrate(**options: Any) -> list[str]:
    out = StringIO()
    call_command("migrate", "completion_aggregator", stdout=out, **options)
    return [line for line in out.getvalue().splitlines() if "4.5" in line]


def test_a_small_site_is_taken_over_by_migrate(learners: list[Any]) -> None:
    assert migrate() == ["Taken over from openedx-completion-aggregator 4.5: 12 aggregates"]
    assert rows(Aggregator) == rows(OldAggregate)
    assert migrate() == []


def test_a_large_one_is_told_what_to_do(learners: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeover, "SMALL", 11)

    assert migrate() == [
        "Rows of openedx-completion-aggregator 4.5 wait. Take them over with: manage.py migrate_aggregates"
    ]
    assert rows(Aggregator) == []


def test_migrate_does_not_fail_over_the_takeover(learners: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> Any:
        raise RuntimeError("not today")

    monkeypatch.setattr(type(get_lms()), "course_versions", refuse)

    (line,) = migrate()
    assert line.startswith("Rows of openedx-completion-aggregator 4.5 could not be taken over: not today. Try again")
    assert rows(Aggregator) == []


def test_other_databases_are_none_of_its_business(learners: list[Any]) -> None:
    migrated(sender=None, using="another")

    assert rows(Aggregator) == []


def test_a_check_says_that_rows_wait(learners: list[Any]) -> None:
    (warning,) = run_checks(tags=["database"], databases=["default"])
    assert warning.id == "completion_aggregator.W001"
    assert run_checks(tags=["database"]) == []

    take_over()

    assert run_checks(tags=["database"], databases=["default"]) == []


def test_the_check_waits_for_the_table(old_tables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Takeover._meta, "db_table", "not_there_yet")
        assert run_checks(tags=["database"], databases=["default"]) == []
