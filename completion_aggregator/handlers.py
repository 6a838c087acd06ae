"""Signal receivers: one service call each. Nothing is raised into the sender, unless its transaction is lost anyway."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import Any

from completion.models import BlockCompletion
from django.apps import apps as django_apps
from django.contrib.auth import get_user_model
from django.db import OperationalError, connections, router, transaction
from django.db.models.signals import post_delete, post_migrate, post_save

from completion_aggregator.conf import conf
from completion_aggregator.models import StaleCompletion, Takeover
from completion_aggregator.services import aggregate, mark_completion
from completion_aggregator.services.takeover import take_over_if_small

log = logging.getLogger(__name__)


def connect() -> None:
    """Connect the receivers; called once, when the app is ready."""
    post_save.connect(completion_changed, sender=BlockCompletion, dispatch_uid="completion_aggregator.saved")
    post_delete.connect(completion_changed, sender=BlockCompletion, dispatch_uid="completion_aggregator.deleted")
    app = django_apps.get_app_config("completion_aggregator")
    post_migrate.connect(migrated, sender=app, dispatch_uid="completion_aggregator.migrated")


def completion_changed(sender: type[BlockCompletion], instance: BlockCompletion, **kwargs: Any) -> None:
    """A completion was saved or deleted: mark it, in the same transaction."""
    course_key = instance.context_key
    if not course_key.is_course or kwargs.get("raw") or _is_user_deleted(kwargs.get("origin")):
        return
    user_id = instance.user_id
    connection = connections[router.db_for_write(StaleCompletion)]
    needs_rollback = connection.needs_rollback
    try:
        # A failed statement spoils a PostgreSQL transaction, and with it the learner's request; elsewhere the
        # transaction goes on, and a savepoint would be two statements for nothing.
        with transaction.atomic(connection.alias) if connection.vendor == "postgresql" else nullcontext():
            mark_completion(user_id, course_key, str(instance.block_key))
    except Exception as error:
        if _is_undone(connection, error):
            # The completion is gone with the transaction: silence would lose it.
            raise
        log.exception("Learner %s could not be marked stale in %s", user_id, course_key)
        connection.needs_rollback = needs_rollback
        return
    if not conf.ASYNC_AGGREGATION:
        transaction.on_commit(lambda: aggregate(course_key, [user_id]), robust=True)


def migrated(sender: Any, using: str, **kwargs: Any) -> None:
    """The tables were migrated: take over what 4.5 has left, if it is little."""
    tables = kwargs.get("apps", django_apps).all_models["completion_aggregator"]
    # Not on the way back, nor on another database.
    if Takeover._meta.model_name in tables and using == router.db_for_write(Takeover):
        say = kwargs["stdout"].write if kwargs.get("verbosity") and kwargs.get("stdout") else log.info
        take_over_if_small(say)


def _is_undone(connection: Any, error: Exception) -> bool:
    """Tell whether the database may have rolled the whole transaction back, as MySQL does after a deadlock."""
    if not connection.in_atomic_block or not isinstance(error, OperationalError):
        return False
    if connection.vendor == "sqlite":
        return not connection.connection.in_transaction
    return bool(connection.vendor == "mysql")


def _is_user_deleted(origin: Any) -> bool:
    """Tell whether a deletion is part of deleting users: then there is nobody to mark."""
    model = getattr(origin, "model", type(origin))
    return issubclass(model, get_user_model())
