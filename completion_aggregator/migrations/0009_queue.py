"""The queue: claims on learners sent to the workers, markers by age, and what was aggregated lately."""

from __future__ import annotations

import django.utils.timezone
from django.db import migrations, models

from completion_aggregator.migrations._repeatable import RepeatableMigration


class Migration(RepeatableMigration):
    dependencies = [
        ("completion_aggregator", "0008_integer_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="AggregatedChunk",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("finished_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="finished")),
                ("seconds", models.FloatField(verbose_name="seconds")),
                ("learners", models.PositiveIntegerField(verbose_name="learners")),
                ("written", models.PositiveIntegerField(verbose_name="rows written")),
                ("deleted", models.PositiveIntegerField(verbose_name="rows deleted")),
                ("resolved", models.PositiveIntegerField(verbose_name="markers resolved")),
                ("failed", models.PositiveIntegerField(verbose_name="learners failed")),
                ("skipped", models.PositiveIntegerField(verbose_name="learners skipped")),
            ],
            options={
                "verbose_name": "aggregated chunk",
                "verbose_name_plural": "aggregated chunks",
                "indexes": [models.Index(fields=["finished_at"], name="agg_chunk_finished")],
            },
        ),
        migrations.RemoveIndex(
            model_name="stalecompletion",
            name="agg_stale_course",
        ),
        migrations.AddField(
            model_name="courseaggregate",
            name="queued_until",
            field=models.DateTimeField(blank=True, null=True, verbose_name="queued until"),
        ),
        migrations.AddIndex(
            model_name="stalecompletion",
            index=models.Index(fields=["course_key", "id"], name="agg_stale_age"),
        ),
    ]
