"""Set the tables of 4.5.0 aside, make those with integer keys, and show them as the old one was."""

from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
import opaque_keys.edx.django.models
from django.conf import settings
from django.db import migrations, models

import completion_aggregator.models
from completion_aggregator.migrations._repeatable import RepeatableMigration

#: The tables of 4.5.0; what they hold is kept under another name until it has been taken over.
REPLACED = ("Aggregator", "StaleCompletion", "StaleCompletionOld", "CacheGroupInvalidation")


def tables_of(connection):
    """Return the names that each of the replaced tables has and gets."""
    prefix = "completion_aggregator_"
    existing = connection.introspection.table_names()
    return existing, [(name, f"{prefix}{name.lower()}", f"{prefix}{name.lower()}_4_5") for name in REPLACED]


def is_ours(connection, table):
    """Tell whether a table that bears the name of one of 4.5.0 is the one that this migration makes."""
    with connection.cursor() as cursor:
        columns = {column.name for column in connection.introspection.get_table_description(cursor, table)}
    return table == "completion_aggregator_stalecompletion" and "username" not in columns


def holds_rows(connection, table):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {connection.ops.quote_name(table)} LIMIT 1")
        return cursor.fetchone() is not None


def set_aside(apps, schema_editor):
    """Rename the replaced tables that hold rows, drop the others.

    MySQL cannot undo a half-run migration, so running it twice must do no harm.
    """
    connection = schema_editor.connection
    quote = schema_editor.quote_name
    existing, tables = tables_of(connection)
    for _, table, aside in tables:
        if table not in existing or is_ours(connection, table):
            continue
        if holds_rows(connection, table):
            drop_foreign_keys(schema_editor, table)
            schema_editor.alter_db_table(None, table, aside)
        else:
            schema_editor.execute(schema_editor.sql_delete_table % {"table": quote(table)})


def drop_foreign_keys(schema_editor, table):
    """Let users be deleted: Django knows no more that rows of the table refer to them."""
    connection = schema_editor.connection
    if connection.vendor == "sqlite":
        return  # It cannot. 4.5.0 does not run on it.
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, table)
    for name, constraint in constraints.items():
        if constraint["foreign_key"]:
            quote = schema_editor.quote_name
            schema_editor.execute(schema_editor.sql_delete_fk % {"table": quote(table), "name": quote(name)})


def bring_back(apps, schema_editor):
    """Give the tables that were set aside their names again, and make those anew that were empty."""
    existing, tables = tables_of(schema_editor.connection)
    for name, table, aside in tables:
        if aside in existing:
            schema_editor.alter_db_table(None, aside, table)
        elif name != "StaleCompletionOld" and (  # which one of its migrations has left over
            table not in existing or not holds_rows(schema_editor.connection, table)
        ):
            # Also where it is there, empty: its indexes may not be, if this was interrupted.
            schema_editor.create_model(apps.get_model("completion_aggregator", name))


class CreateMarkers(migrations.CreateModel):
    """Creates our table of markers; backwards, never drops that of 4.5.0, which may be back already."""

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        table = from_state.apps.get_model(app_label, self.name)._meta.db_table
        existing = schema_editor.connection.introspection.table_names()
        if table in existing and is_ours(schema_editor.connection, table):
            super().database_backwards(app_label, schema_editor, from_state, to_state)


def create_view(apps, schema_editor):
    """Show the block aggregates under the columns of 4.5.0.

    Two small ids make one number: a row's id is unique, and the same at every look.
    """
    double = "DOUBLE" if schema_editor.connection.vendor == "mysql" else "DOUBLE PRECISION"
    schema_editor.execute(
        f"""
        CREATE VIEW completion_aggregator_aggregator AS
        SELECT
            a.user_id * 4294967296 + a.block_id AS id,
            a.user_id AS user_id,
            c.course_key AS course_key,
            b.block_type AS aggregation_name,
            b.block_key AS block_key,
            a.earned AS earned,
            CAST(a.possible AS {double}) AS possible,
            CASE WHEN a.possible = 0 THEN 1e0 ELSE a.earned / a.possible END AS percent,
            a.optional_earned AS optional_earned,
            CAST(a.optional_possible AS {double}) AS optional_possible,
            CASE WHEN a.optional_possible = 0 THEN 1e0 ELSE a.optional_earned / a.optional_possible END
                AS optional_percent,
            a.last_modified AS last_modified,
            a.modified AS created,
            a.modified AS modified
        FROM completion_aggregator_blockaggregate a
        INNER JOIN completion_aggregator_courseblock b ON b.id = a.block_id
        INNER JOIN completion_aggregator_course c ON c.id = b.course_id
        """
    )


def drop_view(apps, schema_editor):
    if "completion_aggregator_aggregator" not in schema_editor.connection.introspection.table_names():
        schema_editor.execute("DROP VIEW IF EXISTS completion_aggregator_aggregator")


class Migration(RepeatableMigration):
    dependencies = [
        ("completion_aggregator", "0001_squashed_0007_aggregator_optional_completion"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(set_aside, bring_back, atomic=False)],
            state_operations=[
                migrations.DeleteModel("Aggregator"),
                migrations.DeleteModel("StaleCompletion"),
                migrations.DeleteModel("CacheGroupInvalidation"),
            ],
        ),
        migrations.CreateModel(
            name="Aggregator",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("course_key", opaque_keys.edx.django.models.CourseKeyField(max_length=255)),
                ("aggregation_name", models.CharField(max_length=255)),
                ("block_key", opaque_keys.edx.django.models.UsageKeyField(max_length=255)),
                ("earned", models.FloatField()),
                ("possible", models.FloatField()),
                ("percent", models.FloatField()),
                ("optional_earned", models.FloatField()),
                ("optional_possible", models.FloatField()),
                ("optional_percent", models.FloatField()),
                ("last_modified", models.DateTimeField(null=True)),
                ("created", models.DateTimeField()),
                ("modified", models.DateTimeField()),
            ],
            options={
                "verbose_name": "aggregator",
                "verbose_name_plural": "aggregators",
                "db_table": "completion_aggregator_aggregator",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Course",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "course_key",
                    completion_aggregator.models.KeyTextField(max_length=255, unique=True, verbose_name="course key"),
                ),
                ("version", models.CharField(max_length=64, verbose_name="version")),
                ("structure", models.JSONField(default=list, verbose_name="structure")),
                ("next_change_at", models.DateTimeField(blank=True, null=True, verbose_name="next change")),
            ],
            options={
                "verbose_name": "course",
                "verbose_name_plural": "courses",
                "indexes": [models.Index(fields=["next_change_at"], name="agg_course_next_change")],
            },
        ),
        migrations.CreateModel(
            name="CourseBlock",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("block_key", completion_aggregator.models.KeyTextField(max_length=255, verbose_name="block key")),
                ("block_type", models.CharField(max_length=64, verbose_name="block type")),
                ("display_name", models.CharField(blank=True, max_length=255, verbose_name="display name")),
                ("position", models.PositiveIntegerField(blank=True, null=True, verbose_name="position")),
                (
                    "course",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="blocks",
                        to="completion_aggregator.course",
                    ),
                ),
            ],
            options={
                "verbose_name": "block",
                "verbose_name_plural": "blocks",
                "constraints": [
                    models.UniqueConstraint(fields=("course", "block_key"), name="agg_courseblock_key"),
                ],
            },
        ),
        migrations.CreateModel(
            name="BlockAggregate",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "user_id", "block_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("earned", models.FloatField(verbose_name="earned")),
                ("possible", models.PositiveIntegerField(verbose_name="possible")),
                ("optional_earned", models.FloatField(verbose_name="optional earned")),
                ("optional_possible", models.PositiveIntegerField(verbose_name="optional possible")),
                ("last_modified", models.DateTimeField(blank=True, null=True, verbose_name="last activity")),
                ("modified", models.DateTimeField(verbose_name="modified")),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="block_aggregates",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "block",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="aggregates",
                        to="completion_aggregator.courseblock",
                    ),
                ),
            ],
            options={
                "verbose_name": "block aggregate",
                "verbose_name_plural": "block aggregates",
                "indexes": [models.Index(fields=["block", "user"], name="agg_blockaggregate_block")],
            },
        ),
        CreateMarkers(
            name="StaleCompletion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("course_key", completion_aggregator.models.KeyTextField(max_length=255, verbose_name="course key")),
                (
                    "block_key",
                    completion_aggregator.models.KeyTextField(
                        blank=True, max_length=255, null=True, verbose_name="block key"
                    ),
                ),
                ("created", models.DateTimeField(default=django.utils.timezone.now, verbose_name="created")),
                ("attempts", models.PositiveSmallIntegerField(default=0, verbose_name="attempts")),
                ("not_before", models.DateTimeField(blank=True, null=True, verbose_name="not before")),
                ("last_error", models.CharField(blank=True, max_length=255, verbose_name="last error")),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "stale completion",
                "verbose_name_plural": "stale completions",
                "indexes": [
                    models.Index(fields=["user", "course_key"], name="agg_stale_user"),
                    models.Index(fields=["course_key", "user"], name="agg_stale_course"),
                ],
            },
        ),
        migrations.CreateModel(
            name="CourseAggregate",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "course_id", "user_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("earned", models.FloatField(default=0.0, verbose_name="earned")),
                ("possible", models.PositiveIntegerField(default=0, verbose_name="possible")),
                ("percent", models.FloatField(default=0.0, verbose_name="percent")),
                ("optional_earned", models.FloatField(default=0.0, verbose_name="optional earned")),
                ("optional_possible", models.PositiveIntegerField(default=0, verbose_name="optional possible")),
                ("last_modified", models.DateTimeField(blank=True, null=True, verbose_name="last activity")),
                ("computed_at", models.DateTimeField(blank=True, null=True, verbose_name="computed")),
                ("completed_at", models.DateTimeField(blank=True, null=True, verbose_name="completed")),
                (
                    "course",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="aggregates",
                        to="completion_aggregator.course",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="course_aggregates",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "course aggregate",
                "verbose_name_plural": "course aggregates",
                "indexes": [
                    models.Index(fields=["course", "percent", "user"], name="agg_courseaggregate_percent"),
                    models.Index(fields=["course", "last_modified", "user"], name="agg_courseaggregate_activity"),
                ],
            },
        ),
        migrations.RunPython(create_view, drop_view, atomic=False),
    ]
