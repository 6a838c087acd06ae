"""Signal receivers: one service call each, and nothing is ever raised into the sender."""

from __future__ import annotations

import logging
from typing import Any

from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.db import OperationalError, connections, router, transaction
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
    if not course_key.is_course or kwargs.get("raw") or _is_user_deleted(kwargs.get("origin")):
        return
    user_id = instance.user_id
    connection = connections[router.db_for_write(StaleCompletion)]
    # A failed statement spoils a PostgreSQL transaction, and with it the learner's request; the others go on.
    is_spoiled = connection.vendor == "postgresql"
    needs_rollback = connection.needs_rollback
    try:
        with transaction.atomic(using=connection.alias, savepoint=is_spoiled):
            mark_completion(user_id, course_key, str(instance.block_key))
    except Exception as error:
        log.exception("Learner %s could not be marked stale in %s", user_id, course_key)
        if not is_spoiled and not isinstance(error, OperationalError):
            # Django gives up the whole transaction. After a deadlock that is right: the database has done so, too.
            connection.needs_rollback = needs_rollback
        return
    if not conf.ASYNC_AGGREGATION:
        transaction.on_commit(lambda: aggregate(course_key, [user_id]), robust=True)


def _is_user_deleted(origin: Any) -> bool:
    """Tell whether a deletion is part of deleting users: then there is nobody to mark."""
    model = getattr(origin, "model", type(origin))
    return issubclass(model, get_user_model())
