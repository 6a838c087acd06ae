"""What the processes of a race do; each runs in a process of its own, on the database of the test."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.synchronize import Event
from typing import Any

Actor = Callable[[Event, int], None]


def start(actor: Actor, database: str, until: Event, seed: int) -> None:
    """Connect this process to the database of the test, then act."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    django.setup()
    actor(until, seed)


def work(until: Event, seed: int) -> None:
    """Aggregate whoever is stale, in small chunks."""
    from completion_aggregator.services import aggregate_stale

    while not until.is_set():
        aggregate_stale(chunk_size=5)


def learn(until: Event, seed: int) -> None:
    """Complete, change and delete completions, now and then in a transaction that takes its time."""
    from completion.models import BlockCompletion
    from django.contrib.auth import get_user_model
    from django.db import DatabaseError, transaction

    from tests.factories import complete, usage_key

    dice = random.Random(seed)  # noqa: S311
    users = list(get_user_model().objects.all())
    names = ["html/h1", "html/h2", "html/h3", "html/h4", "problem/p1", "video/m1"]
    while not until.is_set():
        user, name = dice.choice(users), dice.choice(names)
        try:
            with transaction.atomic():
                if dice.random() < 0.3:
                    BlockCompletion.objects.filter(user=user, block_key=usage_key(name)).delete()
                else:
                    complete(user, name, value=dice.choice([0.0, 0.5, 1.0]))
                if dice.random() < 0.1:
                    time.sleep(0.03)
        except DatabaseError as error:
            # Another learner process has deleted the row that edx-completion was about to update.
            if "did not affect any rows" not in str(error):
                raise


def publish(until: Event, seed: int) -> None:
    """Publish versions in which blocks become optional, are hidden, and come back."""
    from tests.factories import SMALL_COURSE, publish_course

    dice = random.Random(seed)  # noqa: S311
    while not until.wait(0.2):
        blocks: list[Any] = [
            replace(block, optional=dice.random() < 0.2, staff_only=place > 0 and dice.random() < 0.1)
            for place, block in enumerate(SMALL_COURSE)
        ]
        publish_course(blocks)
