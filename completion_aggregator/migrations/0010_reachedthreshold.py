"""The outbox of the signal `threshold_reached`."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from completion_aggregator.migrations._repeatable import RepeatableMigration


class Migration(RepeatableMigration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("completion_aggregator", "0009_queue"),
    ]

    operations = [
        migrations.CreateModel(
            name="ReachedThreshold",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("threshold", models.FloatField(verbose_name="threshold")),
                ("percent", models.FloatField(verbose_name="percent")),
                ("reached_at", models.DateTimeField(verbose_name="reached")),
                ("due_at", models.DateTimeField(blank=True, null=True, verbose_name="due")),
                ("attempts", models.PositiveSmallIntegerField(default=0, verbose_name="attempts")),
                ("sent_at", models.DateTimeField(blank=True, null=True, verbose_name="sent")),
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
                "verbose_name": "reached threshold",
                "verbose_name_plural": "reached thresholds",
                "indexes": [models.Index(fields=["due_at"], name="agg_threshold_due")],
                "constraints": [
                    models.UniqueConstraint(fields=("user", "course", "threshold"), name="agg_threshold_once")
                ],
            },
        ),
    ]
