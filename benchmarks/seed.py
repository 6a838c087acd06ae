"""Learners and their completions, in tables that both sides have; both import it, each in its own environment."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management.color import no_style
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import DateTimeField, F, FloatField, Model, Value
from django.db.models.functions import Cast
from opaque_keys.edx.keys import CourseKey, UsageKey
from waffle.models import Switch

from benchmarks.course import LISTER, STAFF, UNIT_SIZE, Course

BATCH_SIZE = 5_000
COURSE_KEY_COLUMN = BlockCompletion._meta.get_field("context_key").column
#: How many of the 40 blocks of STATS a learner has completed, as an expression over the user.
STATS_EARNED = Cast(F("id") % 41, FloatField())
STATS_POSSIBLE = 40
#: The first completion; the others follow within hours, and a change is a day later: newer than all before it.
BEGINNING = datetime(2025, 1, 1, tzinfo=UTC)


def add_users(learners: int) -> None:
    """Make sure that the learners 1, 2, … exist, and those who ask; and that completions are taken at all."""
    users = [User(id=number, username=f"learner{number}") for number in range(1, learners + 1)]
    users += [User(id=STAFF, username="staff", is_staff=True), User(id=LISTER, username="lister")]
    get_user_model().objects.bulk_create(users, ignore_conflicts=True, batch_size=BATCH_SIZE)
    Switch.objects.update_or_create(name="completion.enable_completion_tracking", defaults={"active": True})


def complete(course: Course, first: int, last: int) -> None:
    """Give the learners of these ids one completion in each unit, without a signal. Repeating it is an error."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE choice (place INTEGER, block_key VARCHAR(255), moment VARCHAR(32))")
        cursor.executemany(
            "INSERT INTO choice VALUES (%s, %s, %s)",
            [
                (place, key, (BEGINNING + timedelta(seconds=61 * number + place)).strftime("%Y-%m-%d %H:%M:%S.%f"))
                for place in range(UNIT_SIZE)
                for number, key in enumerate(course.choice(place))
            ],
        )
        moment = "CAST(moment AS timestamptz)" if connection.vendor == "postgresql" else "moment"
        cursor.execute(
            f"INSERT INTO {BlockCompletion._meta.db_table}"  # noqa: S608 - no value comes from outside
            f" (user_id, {COURSE_KEY_COLUMN}, block_key, block_type, completion, created, modified)"
            f" SELECT auth_user.id, %s, block_key, 'html', 1.0, {moment}, {moment} FROM auth_user, choice"
            f" WHERE auth_user.id BETWEEN %s AND %s AND choice.place = auth_user.id %% {UNIT_SIZE}"
            " ORDER BY auth_user.id",
            [course.key, first, last],
        )
        cursor.execute("DROP TABLE choice")


def insert_for_learners(model: type[Model], first: int, last: int, **values: Any) -> None:
    """Insert a row for each of the learners of these ids, in one statement.

    Args:
        values: by name of the field, a value or an expression over the user; other fields have their defaults.
    """
    fields = [field for field in model._meta.concrete_fields if field.name not in ("id", "pk", "user")]
    for field in fields:
        if field.name not in values and field.has_default():
            values[field.name] = field.get_default()
    fields = [field for field in fields if values.get(field.name) is not None]
    selected = [_expression(values[field.name]) for field in fields]
    users = User.objects.filter(id__range=(first, last)).order_by("id").values_list("id", *selected)
    sql, parameters = users.query.get_compiler(connection=connection).as_sql()
    columns = ", ".join(["user_id", *(str(field.column) for field in fields)])
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {model._meta.db_table} ({columns}) {sql}", parameters)


def _expression(value: Any) -> Any:
    if isinstance(value, datetime):
        return Cast(Value(value), DateTimeField())
    return value if hasattr(value, "resolve_expression") else Value(value)


def change_completions(course: Course, block_keys: Iterable[str] | None = None) -> None:
    """Change value and moment of all completions in the course, or only of these blocks."""
    changed = BlockCompletion.objects.filter(context_key=CourseKey.from_string(course.key))
    if block_keys is not None:
        changed = changed.filter(block_key__in=list(map(UsageKey.from_string, block_keys)))
    changed.update(completion=1.5 - F("completion"), modified=F("modified") + timedelta(days=1))


def empty(*models: type[Model]) -> None:
    """Delete all rows of these tables; it resets their counters too, or Django would delete row by row on MySQL."""
    tables = [model._meta.db_table for model in models]
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), tables, reset_sequences=True))


def settle() -> None:
    """Let the database finish what the preparation has left to do, so that it does not do it while time is taken."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("VACUUM (ANALYZE)")
            cursor.execute("CHECKPOINT")
        elif connection.vendor == "sqlite":
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            _wait_for_purge(cursor)
            # Writes all changed pages of the tables.
            tables = ", ".join(map(connection.ops.quote_name, connection.introspection.table_names(cursor)))
            cursor.execute(f"FLUSH TABLES {tables} FOR EXPORT")
            cursor.execute("UNLOCK TABLES")


def _wait_for_purge(cursor: CursorWrapper, patience: float = 10.0) -> None:
    """Wait until MariaDB has thrown away the old versions of changed rows, all but a few. Unit of patience: seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_history_list_length'")
        row = cursor.fetchone()
        if row is None or int(row[1]) < 100:
            return
        time.sleep(0.1)
