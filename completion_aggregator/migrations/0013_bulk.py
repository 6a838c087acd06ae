"""Bulk work apart from what learners do, and the budget for it."""

from __future__ import annotations

from django.conf import settings
from django.db import migrations, models

from completion_aggregator.migrations._repeatable import RepeatableMigration


class Migration(RepeatableMigration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("completion_aggregator", "0012_snapshots"),
    ]

    operations = [
        migrations.CreateModel(
            name="BulkBudget",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("granted_at", models.DateTimeField(blank=True, null=True, verbose_name="granted")),
                ("debt", models.FloatField(default=0.0, verbose_name="debt, in seconds")),
                ("seconds_per_learner", models.FloatField(default=0.05, verbose_name="seconds per learner")),
            ],
            options={"verbose_name": "bulk budget", "verbose_name_plural": "bulk budgets"},
        ),
        migrations.AddField(
            model_name="stalecompletion",
            name="bulk",
            field=models.BooleanField(db_default=False, default=False, verbose_name="bulk"),
        ),
        migrations.AddIndex(
            model_name="stalecompletion",
            index=models.Index(fields=["bulk", "course_key", "id"], name="agg_stale_turn"),
        ),
    ]
