"""Signal receivers: one service call each, and nothing is ever raised into the sender."""

from __future__ import annotations

import logging
from typing import Any

from completion.models import BlockCompletion
from django.db import connections, router, transaction
from django.db.models.signals import post_delete, post_save

from completion_aggregator.conf import conf
from completion_aggregator.models import StaleCompletion
from completion_aggregator.services import aggregate, mark_completion

log = logging.getLogger(__name__)


def connect() -> None:
    """Connect the receivers; called once, when the app is ready."""
    post_save.connect(completion_changed, sender=BlockCompletion, dispatch_uid="completion_aggregator.saved")
    post_delete.connect(completion_changed, sender=BlockCompletion, dispatch_uid="completion_aggregator.deleted")


def completion_changed(sender: type[BlockCompletion], instance: BlockCompletion, **kwargs: Any) -> None:
    """A completion was saved or deleted: mark it, in the same transaction."""
    course_key = instance.context_key
    if not course_key.is_course or kwargs.get("raw"):
        return
    user_id = instance.user_id
    try:
        # A failed statement spoils a PostgreSQL transaction, and with it the learner's request; the others go on.
        connection = connections[router.db_for_write(StaleCompletion)]
        with transaction.atomic(using=connection.alias, savepoint=connection.vendor == "postgresql"):
            mark_completion(user_id, course_key, str(instance.block_key))
    except Exception:
        log.exception("Learner %s could not be marked stale in %s", user_id, course_key)
        return
    if not conf.ASYNC_AGGREGATION:
        transaction.on_commit(lambda: aggregate(course_key, [user_id]), robust=True)
