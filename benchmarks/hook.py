"""Saving a completion, as a learner's request does; both sides import it, each in its own environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from weakref import ReferenceType

from completion.models import BlockCompletion
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.signals import post_save
from opaque_keys.edx.keys import UsageKey

from benchmarks.course import MAIN, SAVER, place_of
from benchmarks.measure import Measure

#: Long, because a commit takes what the disk takes.
SECONDS = 3.0


def save_again_and_again(measure: Measure) -> None:
    """Change one completion for some seconds, each time in a transaction of its own."""
    user = User.objects.get(pk=SAVER)
    key = UsageKey.from_string(MAIN.choice(place_of(SAVER))[0])
    values = cycle((0.25, 0.75))

    def save() -> None:
        with transaction.atomic():
            BlockCompletion.objects.submit_completion(user, key, next(values))

    before = BlockCompletion.objects.get(user=user, block_key=key)
    measure.repeat(save, SECONDS)
    # Back to what it was, so that both sides go on having the same data.
    BlockCompletion.objects.filter(pk=before.pk).update(completion=before.completion, modified=before.modified)


@contextmanager
def without_the_app() -> Iterator[None]:
    """Save completions as if the app were not installed."""
    connected = post_save.receivers
    post_save.receivers = [each for each in connected if not _is_ours(each[1])]
    post_save.sender_receivers_cache.clear()
    try:
        yield
    finally:
        post_save.receivers = connected
        post_save.sender_receivers_cache.clear()


def _is_ours(reference: object) -> bool:
    receiver = reference() if isinstance(reference, ReferenceType) else reference
    return str(getattr(receiver, "__module__", "")).startswith("completion_aggregator")
