"""What `aggregator_doctor` looks at, each check a function that tells what it has found and what is to be done.

No check walks through a table that grows with the learners: each follows an index, or reads the open markers.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from celery import Celery
from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.cache import cache
from django.db import DatabaseError, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.models import CharField, Exists, OuterRef
from django.utils import timezone
from kombu.exceptions import OperationalError

from completion_aggregator.compat import get_lms
from completion_aggregator.conf import conf
from completion_aggregator.models import (
    AggregatedChunk,
    BlockAggregate,
    Course,
    CourseAggregate,
    CourseSnapshot,
    LearnerSnapshot,
    ReachedThreshold,
    StaleCompletion,
    Verification,
)
from completion_aggregator.selectors import get_status
from completion_aggregator.services.cleanup import KEEP_CHUNKS
from completion_aggregator.tasks import aggregate_learners, queue_of
from completion_aggregator.utils import parse_course_key

APP = "completion_aggregator"
#: How long the broker and the workers may take to answer. Unit: seconds.
_TIMEOUT = 3
#: What Celery takes for a Redis broker when nothing is set. Unit: seconds.
_VISIBILITY_TIMEOUT = 3600
#: How far the clocks of the database and of this process may be apart.
_MAX_OFFSET = timedelta(seconds=5)
#: How long markers may be due without that anybody finishes a chunk.
_PATIENCE = timedelta(minutes=10)
#: How long a signal may be unsent, and how much later than it should the daily work may be done.
_LATE = timedelta(hours=1)
_DAILY = timedelta(days=2)
#: So many rows are written before old statistics matter.
_MANY_ROWS = 10_000
#: Courses that the LMS is asked about.
_SOME_COURSES = 20


class Level(enum.StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Finding(NamedTuple):
    """What a check has found."""

    level: Level
    check: str
    #: What is so and, unless it is well, what is to be done.
    message: str


Told = Iterator[tuple[Level, str]]


def well(message: str) -> tuple[Level, str]:
    return Level.OK, message


def warning(message: str) -> tuple[Level, str]:
    return Level.WARNING, message


def error(message: str) -> tuple[Level, str]:
    return Level.ERROR, message


def examine() -> Iterator[Finding]:
    """Run all checks; one that cannot look, because the database does not let it, is an error itself."""
    for name, check in CHECKS.items():
        try:
            for level, message in check():
                yield Finding(level, name, message)
        except DatabaseError as refusal:
            yield Finding(Level.ERROR, name, f"The database refuses: {refusal}")


def check_system() -> Told:
    """Repeat what `manage.py check` says of this app."""
    found = checks.run_checks(tags=[APP], databases=[router.db_for_write(StaleCompletion)])
    for each in found:
        level = Level.ERROR if each.level >= checks.ERROR else Level.WARNING
        if each.level >= checks.WARNING:
            yield level, f"{each.id}: {each.msg} {each.hint or ''}".strip()
    if not found:
        yield well("The system checks find nothing.")


def check_times() -> Told:
    """Compare the times after which a chunk is given up, and after which it is taken for lost."""
    if not conf.TASK_TIME_LIMIT:
        yield warning("TASK_TIME_LIMIT is 0: a chunk that hangs keeps its worker for ever. Set a limit.")
        return
    times = {"QUEUE_TIMEOUT": conf.QUEUE_TIMEOUT}
    app: Celery = aggregate_learners.app
    if not app.conf.task_always_eager and str(app.conf.broker_write_url or "").startswith("redis"):
        options = app.conf.broker_transport_options or {}
        times["visibility_timeout of Celery's transport options"] = options.get(
            "visibility_timeout", _VISIBILITY_TIMEOUT
        )
    short = [name for name, seconds in times.items() if seconds <= conf.TASK_TIME_LIMIT]
    for name in short:
        yield error(
            f"{name} ({times[name]} s) is not above TASK_TIME_LIMIT ({conf.TASK_TIME_LIMIT} s): chunks are sent again "
            "while a worker has them still. Raise the one, or lower the other."
        )
    if not short:
        yield well("A chunk is given up before it is taken for lost.")


def check_cache() -> Told:
    """Write into the default cache and read it again."""
    key = f"{APP}.doctor.{uuid4().hex}"
    backend = settings.CACHES["default"]["BACKEND"]
    try:
        cache.set(key, key, 60)
        found = cache.get(key)
        cache.delete(key)
    except Exception as failure:  # noqa: BLE001  # each backend has errors of its own
        yield error(f"The default cache cannot be reached: {failure}")
        return
    if found != key:
        yield warning(f"The default cache ({backend}) keeps nothing: each mean is worked out anew.")
    elif backend.endswith("LocMemCache") and not aggregate_learners.app.conf.task_always_eager:
        yield warning(
            "Each process has a default cache of its own: what a worker drops is kept by the others. Use a shared one."
        )
    else:
        yield well("The default cache keeps what it is given.")


def check_database() -> Told:
    """Connect, and look for migrations that were not run and for what transactions see of each other."""
    connection = _connection()
    connection.ensure_connection()
    version = ".".join(map(str, connection.get_database_version()))
    loader = MigrationLoader(connection)
    plan = loader.graph.forwards_plan(loader.graph.leaf_nodes(APP)[0])
    missing = [name for app, name in plan if app == APP and (app, name) not in loader.applied_migrations]
    if missing:
        yield error(f"Migrations were not run: {', '.join(missing)}. Run manage.py migrate.")
    isolation = _isolation_level(connection)
    if isolation == "READ UNCOMMITTED":
        yield error(
            "Transactions are READ UNCOMMITTED: completions that are taken back are counted. Set isolation_level in "
            "the OPTIONS of the database to read committed."
        )
    elif isolation not in (None, "READ COMMITTED"):
        yield warning(
            f"Transactions are {isolation}: they lock more than they must, and chunks are begun again. Set "
            "isolation_level in the OPTIONS of the database to read committed, which is Django's default."
        )
    if not missing and isolation in (None, "READ COMMITTED"):
        yield well(f"{connection.display_name} {version}, all migrations are run.")


def _isolation_level(connection: BaseDatabaseWrapper) -> str | None:
    """Return that of a transaction of this app; None: the database has one only."""
    question = {
        # MySQL 8 has no tx_isolation any more, and MariaDB no transaction_isolation before 11.1.
        "mysql": "SHOW SESSION VARIABLES WHERE variable_name IN ('transaction_isolation', 'tx_isolation')",
        "postgresql": "SHOW transaction_isolation",
    }.get(connection.vendor)
    if question is None:
        return None
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(question)
        *_, level = cursor.fetchone()
    return str(level).upper().replace("-", " ")


def check_statistics() -> Told:
    """See whether PostgreSQL knows how large the tables are: otherwise it chooses plans for empty ones."""
    connection = _connection()
    if connection.vendor != "postgresql":
        yield well("The database counts rows by itself.")
        return
    tables = [model._meta.db_table for model in apps.get_app_config(APP).get_models() if model._meta.managed]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_stat_user_tables WHERE schemaname = ANY(current_schemas(false))"
            " AND relname = ANY(%s) AND n_mod_since_analyze > GREATEST(%s, n_live_tup / 2) ORDER BY relname",
            [tables, _MANY_ROWS],
        )
        old = [table for (table,) in cursor.fetchall()]
    if old:
        yield warning(
            f"Half of the rows are newer than the statistics of {', '.join(old)}. Run ANALYZE, and see whether "
            "autovacuum runs."
        )
    else:
        yield well("The statistics of the tables are of late.")


def check_tables() -> Told:
    """Compare indexes, unique constraints, collations and engines with what the models say."""
    connection = _connection()
    tables = {model._meta.db_table: model for model in apps.get_app_config(APP).get_models() if model._meta.managed}
    wrong = []
    with connection.cursor() as cursor:
        for table, model in tables.items():
            there = connection.introspection.get_constraints(cursor, table)
            names = [*model._meta.indexes, *model._meta.constraints]
            wrong += [f"{table} has no {each.name}" for each in names if each.name not in there]
            # Without their order: SQLite tells that of the table's columns.
            unique = {frozenset(each["columns"]) for each in there.values() if each["unique"]}
            unique.add(frozenset(connection.introspection.get_primary_key_columns(cursor, table) or ()))
            keys = [[str(field.column)] for field in model._meta.local_concrete_fields if field.unique]
            keys += [[str(field.column) for field in model._meta.pk_fields]]
            wrong += [f"{table} ({', '.join(key)}) is not unique" for key in keys if frozenset(key) not in unique]
        if connection.vendor == "mysql":
            wrong += _mysql_faults(cursor, tables)
    for fault in wrong:
        yield error(f"{fault}: somebody has changed the table. See what sqlmigrate says, and bring it back.")
    if not wrong:
        yield well(f"{len(tables)} tables have their indexes and keys.")


def _mysql_faults(cursor: Any, tables: dict[str, Any]) -> Iterator[str]:
    cursor.execute(
        "SELECT table_name, engine FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_name IN %s AND engine <> 'InnoDB'",
        [tuple(tables)],
    )
    yield from (f"{table} is of the engine {engine}, not InnoDB" for table, engine in cursor.fetchall())
    cursor.execute(
        "SELECT table_name, column_name, collation_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name IN %s AND collation_name IS NOT NULL",
        [tuple(tables)],
    )
    collations = {(table, column): collation for table, column, collation in cursor.fetchall()}
    for table, model in tables.items():
        for field in model._meta.local_concrete_fields:
            if not isinstance(field, CharField):
                continue
            expected = field.db_parameters(_connection()).get("collation")
            found = collations.get((table, field.column))
            if expected and found != expected:
                yield f"{table}.{field.column} has the collation {found}, not {expected}"


_NOW = {
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "postgresql": "SELECT clock_timestamp() AT TIME ZONE 'UTC'",
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')",
}


def check_clock() -> Told:
    """Compare the clock of the database with that of this process."""
    connection = _connection()
    with connection.cursor() as cursor:
        before = timezone.now()
        cursor.execute(_NOW[connection.vendor])
        (moment,) = cursor.fetchone()
    theirs = (datetime.fromisoformat(moment) if isinstance(moment, str) else moment).replace(tzinfo=UTC)
    offset = theirs - before
    if abs(offset) > _MAX_OFFSET:
        yield error(
            f"The database's clock is {offset.total_seconds():+.0f} s from this machine's: claims, pauses and release "
            "dates come too early or too late. Synchronise both (NTP)."
        )
    else:
        yield well("The clocks of the database and of this machine agree.")


def check_broker() -> Told:
    """Ask the broker for the queue of the chunks, and the workers whether they take from it."""
    app: Celery = aggregate_learners.app
    if app.conf.task_always_eager:
        yield well("There is no broker: tasks are run where they are sent.")
        return
    name = _queue_name(app)
    try:
        with app.connection_for_write(connect_timeout=_TIMEOUT) as connection:
            connection.ensure_connection(max_retries=1, timeout=_TIMEOUT)
            waiting = _count(connection, name)
            queues = app.control.inspect(timeout=_TIMEOUT, connection=connection).active_queues() or {}
    except (OperationalError, OSError) as failure:
        yield error(f"The broker cannot be reached: {failure}. Start it, or mend CELERY_BROKER_URL.")
        return
    takers = [worker for worker, taken in queues.items() if name in {each["name"] for each in taken}]
    if waiting is None:
        yield error(f"The broker has no queue {name}. Start a worker with -Q {name}, or mend ROUTING_KEY.")
    elif not takers:
        yield error(
            f"{waiting} tasks wait in the queue {name}, and none of the {len(queues)} workers that answer takes from "
            f"it. Start one with -Q {name}."
        )
    else:
        yield well(f"{waiting} tasks wait in the queue {name}, {len(takers)} workers take from it.")


def _queue_name(app: Celery) -> str:
    if conf.ROUTING_KEY:
        return queue_of(conf.ROUTING_KEY)
    return str(app.amqp.router.route({}, aggregate_learners.name)["queue"].name)


def _count(connection: Any, name: str) -> int | None:
    """Return how many tasks wait in the queue; None: there is none."""
    # On a Redis broker a queue is there only while something is in it; to declare it writes nothing.
    is_made = connection.transport.driver_type == "redis"
    with connection.channel() as channel:
        try:
            return int(channel.queue_declare(name, passive=not is_made).message_count)
        except connection.channel_errors:
            return None


def check_work() -> Told:
    """See whether anybody aggregates, whether chunks get lost, and whether somebody was given up."""
    status, now = get_status(), timezone.now()
    since = now - _PATIENCE
    is_idle = status.last_finished_at is None or status.last_finished_at < since
    is_left = status.due > 0 and status.oldest is not None and status.oldest < since and is_idle
    if is_left:
        sent = "no worker finishes a chunk. Start workers." if status.queued else "nobody sends it to the workers."
        yield error(
            f"{status.due} markers are due, the oldest of {status.oldest}, and {sent} "
            "Is run_aggregator_service running, or the task dispatch?"
        )
    if status.given_up:
        cause = status.failures[0].cause
        yield error(
            f"{status.given_up} markers were given up, most of all failures over: {cause} Mend the cause, then run "
            "aggregator_status --retry-failed."
        )
    over = CourseAggregate.objects.filter(
        course__course_key=OuterRef("course_key"), user_id=OuterRef("user_id"), queued_until__lte=now
    )
    if lost := StaleCompletion.objects.filter(Exists(over)).count():
        yield warning(
            f"{lost} markers were sent to the workers and not counted within QUEUE_TIMEOUT. The next pass sends them "
            "again; look for workers that were killed."
        )
    if not (is_left or status.given_up or lost):
        yield well(f"{status.due} markers are due, {status.learners_last_hour} learners were done in an hour.")


def check_courses() -> Told:
    """Ask the LMS whether courses have to be prepared anew, as after an installation; of the newest few."""
    keys = Course.objects.order_by("-id").values_list("course_key", flat=True)[:_SOME_COURSES]
    outdated = get_lms().outdated_courses([parse_course_key(key) for key in keys])
    if outdated:
        yield warning(
            f"{len(outdated)} of the newest {len(keys)} courses were collected by other transformers than are "
            "installed: whoever comes first waits for minutes. Run generate_course_blocks --all_courses."
        )
    else:
        yield well("Courses can be read at once.")


def check_thresholds() -> Told:
    late = ReachedThreshold.objects.filter(due_at__lt=timezone.now() - _LATE).count()
    if late:
        yield warning(f"{late} signals threshold_reached are unsent. Look into the log for their receivers' errors.")
    else:
        yield well("No signal threshold_reached is late.")


def check_cleanup() -> Told:
    now = timezone.now()
    day = (now - timedelta(days=conf.SNAPSHOT_DAYS) - _DAILY).date()
    old = [
        AggregatedChunk.objects.filter(finished_at__lt=now - KEEP_CHUNKS - _DAILY),
        CourseSnapshot.objects.filter(day__lt=day),
        LearnerSnapshot.objects.filter(day__lt=day),
    ]
    if any(rows.exists() for rows in old):
        yield warning(
            "There are rows that a cleanup would have deleted. Run run_aggregator_cleanup daily, the task clean_up, or "
            "the service with --cleanup-hour."
        )
    else:
        yield well("Nothing is older than the cleanup leaves it.")


def check_verification() -> Told:
    """Tell what the last comparison of stored values has found, and whether there is one each day."""
    last = Verification.objects.first()
    if last is not None and last.drifted:
        causes = ", ".join(f"{cause}: {count}" for cause, count in sorted(last.causes.items()))
        yield error(
            f"{last.drifted} of {last.learners} learners have wrong values ({causes}). Run verify_aggregates --all "
            "--repair."
        )
    if not conf.VERIFY_SAMPLE or not BlockAggregate.objects.exists():
        return
    if last is None or last.finished_at < timezone.now() - _DAILY:
        yield warning(
            "Stored values were not compared for days. Run the task verify daily, or the service with --cleanup-hour."
        )
    elif not last.drifted:
        yield well(f"{last.learners} learners compared on {last.finished_at:%Y-%m-%d}, none differs.")


def _connection() -> BaseDatabaseWrapper:
    return connections[router.db_for_write(StaleCompletion)]


CHECKS: dict[str, Callable[[], Told]] = {
    "system": check_system,
    "times": check_times,
    "cache": check_cache,
    "database": check_database,
    "tables": check_tables,
    "statistics": check_statistics,
    "clock": check_clock,
    "broker": check_broker,
    "work": check_work,
    "courses": check_courses,
    "thresholds": check_thresholds,
    "cleanup": check_cleanup,
    "verification": check_verification,
}
