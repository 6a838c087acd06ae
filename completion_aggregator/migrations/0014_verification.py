"""What the last comparison of stored values with what they are made from has found."""

from __future__ import annotations

from django.db import migrations, models

from completion_aggregator.migrations._repeatable import RepeatableMigration


class Migration(RepeatableMigration):
    dependencies = [
        ("completion_aggregator", "0013_bulk"),
    ]

    operations = [
        migrations.CreateModel(
            name="Verification",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("finished_at", models.DateTimeField(verbose_name="finished")),
                ("courses", models.PositiveIntegerField(verbose_name="courses")),
                ("failed_courses", models.PositiveIntegerField(verbose_name="failed courses")),
                ("learners", models.PositiveIntegerField(verbose_name="learners")),
                ("stale", models.PositiveIntegerField(verbose_name="stale learners")),
                ("drifted", models.PositiveIntegerField(verbose_name="drifted learners")),
                ("causes", models.JSONField(default=dict, verbose_name="causes")),
            ],
            options={
                "verbose_name": "verification",
                "verbose_name_plural": "verifications",
            },
        ),
    ]
