"""The way from the tables of openedx-completion-aggregator 4.5 to ours, and back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from completion_aggregator import checks
from completion_aggregator.models import BlockAggregate, StaleCompletion, Takeover
from completion_aggregator.services import takeover
from tests.factories import COURSE_KEY, UserFactory, key
from tests.killing import Killed, dying

APP = "completion_aggregator"
#: Of so many statements of a migration, it is killed at one.
EVERY = 30
REPLACED = "0001_squashed_0007_aggregator_optional_completion"
OURS = {
    *("aggregatedchunk", "blockaggregate", "bulkbudget", "course", "courseaggregate", "courseblock", "coursesnapshot"),
    *("learnersnapshot", "reachedthreshold", "snapshotwish", "takeover", "verification"),
}
OLD = {"aggregator", "stalecompletion", "cachegroupinvalidation"}
#: The columns, and the indexes with a name, of the table of 4.5.0 that workers write, as MariaDB shows them.
COLUMNS = {
    *("id", "created", "modified", "user_id", "course_key", "aggregation_name", "block_key", "last_modified"),
    *("earned", "possible", "percent", "optional_earned", "optional_possible", "optional_percent"),
}
INDEXES = {
    "completion_aggregator_ag_course_key_block_key_use_24cdd7f7_uniq",
    "aggr_name_course_block_per_idx",
    "aggr_name_user_course_idx",
}


def migrate(target: str = "") -> None:
    call_command("migrate", APP, *([target] if target else []), verbosity=0)


@pytest.fixture
def old_tables(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The database as 4.5 leaves it; afterwards as it was."""
    monkeypatch.setattr(takeover, "SMALL", 0)
    migrate(REPLACED)
    yield MigrationLoader(connection).project_state([(APP, REPLACED)]).apps
    migrate()
    drop_old_tables()


def drop_old_tables() -> None:
    Takeover.objects.all().delete()
    with connection.cursor() as cursor:
        for table in takeover.TABLES:
            cursor.execute(f"DROP TABLE IF EXISTS {table}")


def tables() -> set[str]:
    names = connection.introspection.table_names(include_views=True)
    return {name.removeprefix(f"{APP}_") for name in names if name.startswith(APP)}


def fill(apps: Any) -> None:
    """Let 4.5 have an aggregate and a marker."""
    moment = datetime(2025, 3, 1, tzinfo=UTC)
    user = UserFactory()
    keys = {"course_key": str(COURSE_KEY), "block_key": key("course/course")}
    apps.get_model(APP, "Aggregator").objects.create(
        user_id=user.pk, aggregation_name="course", earned=1.0, possible=2.0, percent=0.5, last_modified=moment, **keys
    )
    apps.get_model(APP, "StaleCompletion").objects.create(username=user.username, **keys)


def rows(suffix: str = "") -> list[list[tuple[Any, ...]]]:
    """Return what the two tables of 4.5 hold."""
    found = []
    with connection.cursor() as cursor:
        for name in ("aggregator", "stalecompletion"):
            cursor.execute(f"SELECT * FROM {APP}_{name}{suffix}")
            found.append(list(cursor.fetchall()))
    return found


def test_tables_that_hold_rows_are_set_aside(old_tables: Any) -> None:
    fill(old_tables)
    before = rows()

    migrate()

    assert tables() == {*OURS, "aggregator", "stalecompletion", "aggregator_4_5", "stalecompletion_4_5"}
    assert rows("_4_5") == before
    assert rows() == [[], []]
    assert list(Takeover.objects.values_list("copied", "finished_at")) == [(0, None)]


def test_users_whose_rows_were_set_aside_can_be_deleted(old_tables: Any) -> None:
    if connection.vendor == "sqlite":
        return  # Its tables cannot lose a foreign key; 4.5 does not run on it.
    fill(old_tables)
    migrate()

    UserFactory._meta.model.objects.all().delete()

    assert len(rows("_4_5")[0]) == 1


def test_empty_tables_are_dropped(old_tables: Any) -> None:
    migrate()

    assert tables() == {*OURS, "aggregator", "stalecompletion"}
    assert not Takeover.objects.exists()


def test_the_way_back_brings_everything_back(old_tables: Any) -> None:
    fill(old_tables)
    before = rows()
    migrate()
    call_command("migrate_aggregates", stdout=StringIO())
    assert BlockAggregate.objects.exists()
    assert StaleCompletion.objects.exists()

    migrate(REPLACED)

    assert tables() == OLD
    assert rows() == before
    applied = {name for app, name in MigrationRecorder(connection).applied_migrations() if app == APP}
    replaced = {name for _, name in MigrationLoader(connection).disk_migrations[APP, REPLACED].replaces}
    assert applied == {REPLACED, *replaced}
    migrate()
    assert rows("_4_5") == before


def test_the_way_back_makes_the_tables_where_there_were_none(old_tables: Any) -> None:
    with connection.cursor() as cursor:
        table = f"{APP}_aggregator"
        columns = {column.name for column in connection.introspection.get_table_description(cursor, table)}
        constraints = connection.introspection.get_constraints(cursor, table)

    assert tables() == OLD
    assert columns == COLUMNS
    assert connection.vendor != "mysql" or set(constraints) >= INDEXES
    assert [each["columns"] for each in constraints.values() if each["unique"] and not each["primary_key"]] == [
        ["course_key", "block_key", "user_id", "aggregation_name"]
    ]


def test_killed_in_the_middle_it_is_run_again(old_tables: Any) -> None:
    if connection.vendor != "mysql":
        return  # The others undo half a migration. And 4.5 runs on nothing else.
    fill(old_tables)
    before = rows()
    state = tables()

    for target in ("", REPLACED):
        # Each takes seconds: every time the suite runs, others have their turn.
        statement, is_through = random.randint(1, EVERY), False  # noqa: S311
        while not is_through:
            with dying(statement):
                try:
                    migrate(target)
                    is_through = True
                except Killed:
                    connection.close()
            migrate(target)
            assert rows("_4_5" if target == "" else "") == before, f"killed at statement {statement}"
            if target == "":
                assert tables() == {*OURS, "aggregator", "stalecompletion", "aggregator_4_5", "stalecompletion_4_5"}
                assert all_indexes() == expected_indexes()
            else:
                assert tables() == state
            if not is_through:
                # And back to where it began.
                migrate(REPLACED if target == "" else "")
            statement += EVERY
        assert statement > 50


def all_indexes() -> set[str]:
    found = set()
    with connection.cursor() as cursor:
        for name in (*OURS, "stalecompletion"):
            found |= {
                index
                for index in connection.introspection.get_constraints(cursor, f"{APP}_{name}")
                if index.startswith("agg_")
            }
    return found


def expected_indexes() -> set[str]:
    models = MigrationLoader(connection).project_state().apps.get_models()
    options = [model._meta for model in models if model._meta.app_label == APP and model._meta.managed]
    return {each.name for meta in options for each in (*meta.indexes, *meta.constraints)}


def test_a_site_older_than_4_5_is_told_to_go_there_first(db: None) -> None:
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied(APP, REPLACED)
    recorder.record_unapplied(APP, "0007_aggregator_optional_completion")

    (error,) = checks.check_old_migrations(databases=["default"])

    assert error.id == "completion_aggregator.E004"
    assert error.msg.endswith("older than version 4.5: the last migration is 0006_rename_index_together_to_indexes.")
    assert list(checks.check_old_migrations(databases=None)) == []


def test_a_site_of_4_5_and_one_of_ours_are_welcome(db: None) -> None:
    assert list(checks.check_old_migrations(databases=["default"])) == []
    MigrationRecorder.Migration.objects.filter(app=APP).delete()
    assert list(checks.check_old_migrations(databases=["default"])) == []


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    out = StringIO()

    call_command("makemigrations", APP, "sample_lms", check=True, dry_run=True, stdout=out)

    assert out.getvalue().startswith("No changes detected in apps")
