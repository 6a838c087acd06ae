"""A migration that can be run again after it was interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, migrations

#: How MySQL and MariaDB say that a statement was run before: table, column, index or foreign key is there already, or
#: is gone already.
DONE_BEFORE = {1050, 1051, 1060, 1061, 1091, 1146, 1826}


class RepeatableMigration(migrations.Migration):
    """MySQL keeps what a killed migration has done, and Django runs it again from the start: that must do no harm.

    The other databases undo half a migration by themselves.
    """

    def apply(self, project_state, schema_editor, collect_sql=False):
        with repeatable(schema_editor):
            return super().apply(project_state, schema_editor, collect_sql)

    def unapply(self, project_state, schema_editor, collect_sql=False):
        with repeatable(schema_editor):
            return super().unapply(project_state, schema_editor, collect_sql)


@contextmanager
def repeatable(schema_editor) -> Iterator[None]:
    """Pass over statements that were run before."""
    if schema_editor.connection.vendor != "mysql":
        yield
        return
    execute = schema_editor.execute

    def execute_unless_done(sql, *args, **kwargs):
        try:
            execute(sql, *args, **kwargs)
        except DatabaseError as error:
            if not is_done_before(error):
                raise

    schema_editor.execute = execute_unless_done
    try:
        yield
        # Indexes and foreign keys of new tables, which Django would create later on.
        for statement in schema_editor.deferred_sql:
            schema_editor.execute(statement, None)
        schema_editor.deferred_sql.clear()
    finally:
        del schema_editor.execute


def is_done_before(error: DatabaseError) -> bool:
    code, *rest = error.args
    # MariaDB's way to say that the foreign key is there.
    return code in DONE_BEFORE or (code == 1005 and "errno: 121" in str(rest))
