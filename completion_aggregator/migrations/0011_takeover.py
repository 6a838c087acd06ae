"""How far the rows that 4.5.0 has left are taken over."""

from __future__ import annotations

from django.db import migrations, models

from completion_aggregator.migrations._repeatable import RepeatableMigration

LEFT = ("completion_aggregator_aggregator_4_5", "completion_aggregator_stalecompletion_4_5")


def note_what_is_left(apps, schema_editor):
    """Make the one row where 4.5.0 has left any."""
    if not set(LEFT).isdisjoint(schema_editor.connection.introspection.table_names()):
        takeovers = apps.get_model("completion_aggregator", "Takeover").objects
        takeovers.using(schema_editor.connection.alias).get_or_create(pk=1)


class Migration(RepeatableMigration):
    dependencies = [
        ("completion_aggregator", "0010_reachedthreshold"),
    ]

    operations = [
        migrations.CreateModel(
            name="Takeover",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("last_marker_id", models.BigIntegerField(default=0, verbose_name="last marker")),
                ("markers", models.BigIntegerField(default=0, verbose_name="markers taken over")),
                ("markers_of_nobody", models.BigIntegerField(default=0, verbose_name="markers of vanished users")),
                ("last_aggregate_id", models.BigIntegerField(default=0, verbose_name="last aggregate")),
                ("copied", models.BigIntegerField(default=0, verbose_name="aggregates copied")),
                ("total", models.BigIntegerField(blank=True, null=True, verbose_name="aggregates")),
                ("finished_at", models.DateTimeField(blank=True, null=True, verbose_name="finished")),
            ],
            options={
                "verbose_name": "takeover",
                "verbose_name_plural": "takeovers",
            },
        ),
        migrations.CreateModel(
            name="OldAggregate",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("user_id", models.BigIntegerField()),
                ("course_key", models.CharField(max_length=255)),
                ("aggregation_name", models.CharField(max_length=255)),
                ("block_key", models.CharField(max_length=255)),
                ("earned", models.FloatField()),
                ("possible", models.FloatField()),
                ("percent", models.FloatField()),
                ("optional_earned", models.FloatField()),
                ("optional_possible", models.FloatField()),
                ("last_modified", models.DateTimeField()),
                ("modified", models.DateTimeField()),
            ],
            options={
                "db_table": "completion_aggregator_aggregator_4_5",
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="OldMarker",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("username", models.CharField(max_length=255)),
                ("course_key", models.CharField(max_length=255)),
                ("resolved", models.BooleanField()),
            ],
            options={
                "db_table": "completion_aggregator_stalecompletion_4_5",
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.RunPython(note_what_is_left, migrations.RunPython.noop),
    ]
