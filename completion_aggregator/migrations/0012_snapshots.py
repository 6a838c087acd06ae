"""Snapshots of courses and learners, and which courses want one: to begin with, all."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.utils import timezone

from completion_aggregator.migrations._repeatable import RepeatableMigration


def want_snapshots(apps, schema_editor):
    """Note that there is no snapshot of the courses there are."""
    using = schema_editor.connection.alias
    course, wish = (apps.get_model("completion_aggregator", name) for name in ("Course", "SnapshotWish"))
    ids = course.objects.using(using).values_list("id", flat=True)
    now = timezone.now()
    wishes = [wish(course_id=course_id, wanted_at=now) for course_id in ids]
    wish.objects.using(using).bulk_create(wishes, ignore_conflicts=True, batch_size=1_000)


class Migration(RepeatableMigration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("completion_aggregator", "0011_takeover"),
    ]

    operations = [
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
                        db_constraint=False,
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
        migrations.CreateModel(
            name="SnapshotWish",
            fields=[
                (
                    "course",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="completion_aggregator.course",
                    ),
                ),
                ("wanted_at", models.DateTimeField(blank=True, null=True, verbose_name="wanted")),
                ("begun_at", models.DateTimeField(blank=True, null=True, verbose_name="begun")),
            ],
            options={"verbose_name": "snapshot wish", "verbose_name_plural": "snapshot wishes"},
        ),
        migrations.RunPython(want_snapshots, migrations.RunPython.noop),
    ]
