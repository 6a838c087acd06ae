"""The doctor names each fault; each is provoked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from openedx.core.djangoapps.content.block_structure.models import BlockStructureModel

from completion_aggregator.management import doctor
from completion_aggregator.models import (
    AggregatedChunk,
    BlockAggregate,
    Course,
    CourseAggregate,
    CourseSnapshot,
    ReachedThreshold,
    StaleCompletion,
    Verification,
)
from completion_aggregator.services import aggregate_stale, claim_stale_chunks, clean_up, take_snapshots, verify_sample
from sample_lms import celery_app
from tests import openedx
from tests.factories import COURSE_KEY, SMALL_COURSE, EnrollmentFactory

pytestmark = pytest.mark.django_db

NOBODY_LISTENS = "redis://127.0.0.1:1/0"


def found(check: str) -> list[tuple[str, str]]:
    """Return level and message of what a check tells."""
    return [(level.value, message) for level, message in doctor.CHECKS[check]()]


def levels(check: str) -> list[str]:
    return [level for level, _ in found(check)]


@pytest.fixture
def sample(learner: Any) -> None:
    """A site on which all is well."""
    aggregate_stale()
    verify_sample()


@pytest.fixture
def broker(settings: Any) -> Iterator[Any]:
    """Celery's settings, with a broker that does not listen; afterwards as they were."""
    before = {name: celery_app.conf[name] for name in ("task_always_eager", "broker_url", "broker_transport_options")}
    celery_app.conf.update(task_always_eager=False, broker_url=NOBODY_LISTENS, broker_transport_options={})
    yield celery_app.conf
    celery_app.conf.update(before)


@pytest.mark.usefixtures("sample")
def test_a_site_that_is_well_is_told_so() -> None:
    out = StringIO()

    call_command("aggregator_doctor", stdout=out)

    lines = [line.split() for line in out.getvalue().splitlines()]
    assert [(level, check) for level, check, *_ in lines] == [("ok", name) for name in doctor.CHECKS]


@pytest.mark.usefixtures("sample")
def test_errors_end_the_command_with_a_status_of_their_own(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_QUEUE_TIMEOUT = 10
    out = StringIO()

    with pytest.raises(CommandError, match=r"^Errors: 1$") as error:
        call_command("aggregator_doctor", "--json", stdout=out)

    assert error.value.returncode == 3
    findings = json.loads(out.getvalue())
    assert {"level": "error", "check": "times"}.items() <= findings[1].items()
    assert {finding["level"] for finding in findings if finding["check"] != "times"} == {"ok"}


def test_what_the_system_checks_say_is_repeated(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_MAX_ATTEMPTS = 0

    ((level, message),) = found("system")

    assert level == "error"
    assert message.startswith("completion_aggregator.E002: The setting COMPLETION_AGGREGATOR_MAX_ATTEMPTS must be")


def test_a_chunk_must_be_given_up_before_it_counts_as_lost(settings: Any, broker: Any) -> None:
    assert levels("times") == ["ok"]
    settings.COMPLETION_AGGREGATOR_QUEUE_TIMEOUT = settings.COMPLETION_AGGREGATOR_TASK_TIME_LIMIT = 300
    broker.broker_transport_options = {"visibility_timeout": 60}

    assert [message.split(":")[0] for _, message in found("times")] == [
        "QUEUE_TIMEOUT (300 s) is not above TASK_TIME_LIMIT (300 s)",
        "visibility_timeout of Celery's transport options (60 s) is not above TASK_TIME_LIMIT (300 s)",
    ]
    settings.COMPLETION_AGGREGATOR_TASK_TIME_LIMIT = 0
    assert levels("times") == ["warning"]


@contextmanager
def caching(settings: Any, backend: str, **options: Any) -> Iterator[None]:
    before = settings.CACHES
    settings.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{backend}", **options}}
    yield
    settings.CACHES = before


def test_a_cache_that_keeps_nothing_or_is_not_shared_is_told(settings: Any, broker: Any) -> None:
    with caching(settings, "dummy.DummyCache"):
        assert found("cache")[0][0] == "warning"
        assert "keeps nothing" in found("cache")[0][1]
    assert "Each process has a default cache of its own" in found("cache")[0][1]
    broker.task_always_eager = True
    assert levels("cache") == ["ok"]


@pytest.mark.django_db(transaction=True)
def test_a_cache_that_cannot_be_reached_is_told(settings: Any) -> None:
    with caching(settings, "db.DatabaseCache", LOCATION="no_such_table"):
        assert levels("cache") == ["error"]


def test_the_doctor_leaves_nothing_in_the_cache() -> None:
    list(doctor.examine())

    assert not getattr(cache, "_cache", {})


@pytest.mark.parametrize(
    ("condition", "names"),
    [(">= '0014_verification'", "0014_verification, 0015_chunk_lag"), ("= '0013_bulk'", "0013_bulk")],
)
def test_a_migration_that_was_not_run_is_named(condition: str, names: str) -> None:
    assert levels("database") == ["ok"]
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM django_migrations WHERE app = 'completion_aggregator' AND name {condition}")

    assert found("database") == [("error", f"Migrations were not run: {names}. Run manage.py migrate.")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("isolation", "level"),
    [
        ("READ COMMITTED", "ok"),
        ("READ UNCOMMITTED", "error"),
        ("REPEATABLE READ", "warning"),
        ("SERIALIZABLE", "warning"),
    ],
)
def test_transactions_that_see_too_much_or_lock_too_much_are_told(isolation: str, level: str) -> None:
    if connection.vendor == "sqlite":
        return  # It has one level only.
    how = {
        "mysql": "SET SESSION TRANSACTION ISOLATION LEVEL",
        "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(f"{how} {isolation}")
    try:
        assert [(level, isolation in message or level == "ok") for level, message in found("database")] == [
            (level, True)
        ]
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_statistics_that_are_too_old_are_told() -> None:
    if connection.vendor != "postgresql":
        assert levels("statistics") == ["ok"]
        return
    table = StaleCompletion._meta.db_table

    def tell() -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush()")
        return levels("statistics")

    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {table}")
        assert tell() == ["ok"]
        markers = (StaleCompletion(user_id=number, course_key=str(COURSE_KEY)) for number in range(10_001))
        StaleCompletion.objects.bulk_create(markers, batch_size=2_000)
        assert tell() == ["warning"]
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {table}")
        assert tell() == ["ok"]
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} RESET (autovacuum_enabled)")


@pytest.mark.django_db(transaction=True)
def test_an_index_that_was_dropped_is_named() -> None:
    assert levels("tables") == ["ok"]
    index = next(each for each in BlockAggregate._meta.indexes if each.name == "agg_blockaggregate_block")
    with connection.schema_editor() as editor:
        editor.remove_index(BlockAggregate, index)
    try:
        assert [message.split(":")[0] for _, message in found("tables")] == [
            "completion_aggregator_blockaggregate has no agg_blockaggregate_block"
        ]
    finally:
        with connection.schema_editor() as editor:
            editor.add_index(BlockAggregate, index)


@pytest.mark.django_db(transaction=True)
def test_a_collation_that_does_not_regard_letter_case_is_named() -> None:
    if connection.vendor != "mysql":
        return  # Elsewhere columns have none of their own.
    table = StaleCompletion._meta.db_table
    alter = f"ALTER TABLE {table} MODIFY course_key varchar(255) CHARACTER SET utf8mb4 COLLATE %s NOT NULL"
    with connection.cursor() as cursor:
        cursor.execute(alter % "utf8mb4_general_ci")
    try:
        assert [message.split(":")[0] for _, message in found("tables")] == [
            f"{table}.course_key has the collation utf8mb4_general_ci, not utf8mb4_bin"
        ]
    finally:
        with connection.cursor() as cursor:
            cursor.execute(alter % "utf8mb4_bin")


@pytest.mark.parametrize(("seconds", "level"), [(0, "ok"), (60, "error"), (-60, "error")])
def test_clocks_that_differ_are_told(monkeypatch: pytest.MonkeyPatch, seconds: int, level: str) -> None:
    moment = timezone.now() + timedelta(seconds=seconds)
    monkeypatch.setattr(doctor.timezone, "now", lambda: moment)

    assert levels("clock") == [level]


def test_a_broker_that_does_not_listen_is_told(broker: Any) -> None:
    broker.broker_url = "amqp://guest:guest@127.0.0.1:1//"
    ((level, message),) = found("broker")

    assert (level, message.split(":")[0]) == ("error", "The broker cannot be reached")


def test_that_nobody_aggregates_is_told(learner: Any) -> None:
    assert levels("work") == ["ok"]
    StaleCompletion.objects.update(created=timezone.now() - timedelta(hours=1))
    assert "nobody sends it" in found("work")[0][1]
    list(claim_stale_chunks())
    assert "no worker finishes a chunk" in found("work")[0][1]
    AggregatedChunk.objects.create(seconds=1, learners=1, written=1, deleted=0, resolved=1, failed=0, skipped=0)
    assert levels("work") == ["ok"]


def test_a_claim_whose_time_is_over_is_told(learner: Any) -> None:
    list(claim_stale_chunks())
    assert levels("work") == ["ok"]
    CourseAggregate.objects.update(queued_until=timezone.now() - timedelta(seconds=1))

    assert levels("work") == ["warning"]


def test_whoever_was_given_up_is_told_with_the_cause(learner: Any) -> None:
    StaleCompletion.objects.update(attempts=10, last_error="ZeroDivisionError: by zero")

    ((level, message),) = found("work")

    assert level == "error"
    assert "ZeroDivisionError: by zero" in message


@pytest.mark.usefixtures("sample")
def test_a_signal_that_is_late_is_told(learner: Any) -> None:
    hours = timedelta(hours=2)
    ReachedThreshold.objects.create(
        user=learner,
        course=Course.objects.get(),
        threshold=0.5,
        percent=0.5,
        reached_at=timezone.now() - hours,
        due_at=timezone.now() - hours,
    )

    assert levels("thresholds") == ["warning"]


def test_a_cleanup_that_is_not_run_is_told() -> None:
    counts = dict.fromkeys(("learners", "written", "deleted", "resolved", "failed", "skipped"), 0)
    chunk = AggregatedChunk.objects.create(finished_at=timezone.now() - timedelta(days=8), seconds=1, **counts)
    assert levels("cleanup") == ["ok"]
    AggregatedChunk.objects.filter(pk=chunk.pk).update(finished_at=timezone.now() - timedelta(days=10))

    assert levels("cleanup") == ["warning"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("sample")
def test_snapshots_that_are_kept_too_long_are_told(settings: Any) -> None:
    take_snapshots(timezone.now())
    assert CourseSnapshot.objects.exists()
    settings.COMPLETION_AGGREGATOR_SNAPSHOT_DAYS = 30
    CourseSnapshot.objects.update(day=timezone.now().date() - timedelta(days=31))
    assert levels("cleanup") == ["ok"]
    CourseSnapshot.objects.update(day=timezone.now().date() - timedelta(days=40))
    assert levels("cleanup") == ["warning"]
    clean_up()
    assert levels("cleanup") == ["ok"]


def test_courses_that_were_collected_without_the_transformer_are_told(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_LMS = "completion_aggregator.lms.openedx.OpenEdX"
    openedx.publish(SMALL_COURSE, COURSE_KEY)
    Course.objects.create(course_key=str(COURSE_KEY))
    assert levels("courses") == ["ok"]
    BlockStructureModel.objects.update(transformers_schema_version="as before the installation")

    ((level, message),) = found("courses")

    assert (level, message.split(":")[0]) == (
        "warning",
        "1 of the newest 1 courses were collected by other transformers than are installed",
    )


def test_what_the_last_verification_has_found_is_told(learner: Any, settings: Any) -> None:
    assert found("verification") == []
    aggregate_stale()
    assert levels("verification") == ["warning"]
    BlockAggregate.objects.update(earned=0.5)
    verify_sample()
    assert found("verification") == [
        ("error", "1 of 1 learners have wrong values (value: 1). Run verify_aggregates --all --repair.")
    ]
    BlockAggregate.objects.update(earned=0.0)
    verify_sample()
    assert levels("verification") == ["ok"]
    Verification.objects.update(finished_at=timezone.now() - timedelta(days=3))
    assert levels("verification") == ["warning"]
    settings.COMPLETION_AGGREGATOR_VERIFY_SAMPLE = 0
    assert levels("verification") == []


def test_the_number_of_queries_does_not_grow_with_the_learners(learner: Any) -> None:
    counts = []
    for _ in range(2):
        list(doctor.examine())
        with CaptureQueriesContext(connection) as queries:
            list(doctor.examine())
        counts.append(len(queries))
        for _ in range(5):
            EnrollmentFactory(course_id=COURSE_KEY)

    assert counts[0] == counts[1]


@pytest.mark.django_db(transaction=True)
def test_a_check_that_cannot_look_does_not_stop_the_others() -> None:
    with connection.schema_editor() as editor:
        editor.delete_model(Verification)
    try:
        findings = {finding.check: finding for finding in doctor.examine()}
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(Verification)

    assert findings["verification"].level == "error"
    assert findings["verification"].message.startswith("The database refuses")
    assert findings["cleanup"].level == "ok"
