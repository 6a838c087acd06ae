"""The way from the tables of openedx-completion-aggregator 4.5 to ours."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests.factories import COURSE_KEY, UserFactory, key

APP = "completion_aggregator"
REPLACED = "0001_squashed_0007_aggregator_optional_completion"
#: Those that refer to others first.
OURS = [
    f"{APP}_{name}"
    for name in ("reachedthreshold", "blockaggregate", "courseaggregate", "courseblock", "course", "aggregatedchunk")
]
AGGREGATOR, MARKER = f"{APP}_aggregator", f"{APP}_stalecompletion"


@pytest.fixture
def old_tables(transactional_db: None) -> Iterator[Any]:
    """The database as 4.5 leaves it; afterwards as it was."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP VIEW {AGGREGATOR}")
        for table in (*OURS, MARKER):
            cursor.execute(f"DROP TABLE {table}")
        cursor.execute("DELETE FROM django_migrations WHERE app = %s", [APP])
    MigrationExecutor(connection).migrate([(APP, REPLACED)])
    state = MigrationExecutor(connection).loader.project_state([(APP, REPLACED)])
    yield state.apps
    call_command("migrate", APP, verbosity=0)
    with connection.cursor() as cursor:
        for table in (f"{AGGREGATOR}_4_5", f"{MARKER}_4_5"):
            if table in connection.introspection.table_names():
                cursor.execute(f"DROP TABLE {table}")


def tables() -> list[str]:
    names = connection.introspection.table_names(include_views=True)
    return sorted(name for name in names if name.startswith(APP))


def test_tables_that_hold_rows_are_set_aside(old_tables: Any) -> None:
    user = UserFactory()
    old_tables.get_model(APP, "Aggregator").objects.create(
        user_id=user.pk,
        course_key=str(COURSE_KEY),
        aggregation_name="course",
        block_key=key("course/course"),
        earned=1.0,
        possible=2.0,
        percent=0.5,
    )

    call_command("migrate", APP, verbosity=0)

    assert tables() == sorted([AGGREGATOR, f"{AGGREGATOR}_4_5", MARKER, *OURS])
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT user_id, course_key, earned FROM {AGGREGATOR}_4_5")
        assert list(cursor.fetchall()) == [(user.pk, str(COURSE_KEY), 1.0)]


def test_empty_tables_are_dropped(old_tables: Any) -> None:
    call_command("migrate", APP, verbosity=0)

    assert tables() == sorted([AGGREGATOR, MARKER, *OURS])


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    out = StringIO()

    call_command("makemigrations", APP, "sample_lms", check=True, dry_run=True, stdout=out)

    assert out.getvalue().startswith("No changes detected in apps")
