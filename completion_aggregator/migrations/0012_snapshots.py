"""Snapshots of courses and learners, and which courses want one: to begin with, all."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.utils import timezone

from completion_aggregator.migrations._repeatable import RepeatableMigration


def want_snapshots(apps, schema_editor):
    """Note that there is no snapshot of the courses there are."""
    courses = apps.get_model("completion_aggregator", "Course").objects.using(schema_editor.connection.alias)
    courses.filter(snapshot_wanted_at=None).update(snapshot_wanted_at=timezone.now())


class Migration(RepeatableMigration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("completion_aggregator", "0011_takeover"),
    ]

    operations = [
        migrations.AddField(
            model_name="course",
            name="snapshot_wanted_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="snapshot wanted"),
        ),
        migrations.AddField(
            model_name="course",
            name="snapshot_begun_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="snapshot begun"),
        ),
        migrations.AddIndex(
            model_name="course",
            index=models.Index(fields=["snapshot_wanted_at"], name="agg_course_snapshot"),
        ),
        migrations.CreateModel(
            name="CourseSnapshot",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField(verbose_name="day")),
                ("computed_at", models.DateTimeField(verbose_name="computed")),
                ("enrolled", models.PositiveIntegerField(verbose_name="enrolled")),
                ("started", models.PositiveIntegerField(verbose_name="started")),
                ("completed", models.PositiveIntegerField(verbose_name="completed")),
                ("mean", models.FloatField(verbose_name="mean")),
                ("details", models.JSONField(default=dict, verbose_name="details")),
                (
                    "course",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="snapshots",
                        to="completion_aggregator.course",
                    ),
                ),
            ],
            options={
                "verbose_name": "course snapshot",
                "verbose_name_plural": "course snapshots",
                "indexes": [models.Index(fields=["day"], name="agg_coursesnapshot_age")],
                "constraints": [models.UniqueConstraint(fields=("course", "day"), name="agg_coursesnapshot_day")],
            },
        ),
        migrations.CreateModel(
            name="LearnerSnapshot",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "user_id", "course_id", "day", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("day", models.DateField(verbose_name="day")),
                ("percent", models.FloatField(verbose_name="percent")),
                (
                    "course",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="completion_aggregator.course",
                    ),
                ),
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
                "verbose_name": "learner snapshot",
                "verbose_name_plural": "learner snapshots",
                "indexes": [models.Index(fields=["day"], name="agg_learnersnapshot_age")],
            },
        ),
        migrations.RunPython(want_snapshots, migrations.RunPython.noop),
    ]
