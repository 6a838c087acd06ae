"""How long the markers of a chunk have waited."""

from __future__ import annotations

from django.db import migrations, models

from completion_aggregator.migrations._repeatable import RepeatableMigration


class Migration(RepeatableMigration):
    dependencies = [("completion_aggregator", "0014_verification")]

    operations = [
        migrations.AddField(
            model_name="aggregatedchunk",
            name="lag",
            field=models.FloatField(db_default=0.0, default=0.0, verbose_name="lag"),
        ),
    ]
