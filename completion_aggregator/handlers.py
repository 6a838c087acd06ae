"""Signal receivers: one service call each. Nothing is raised into the sender, unless its transaction is lost anyway.

Those of completions, users and migrations are connected here, for every LMS. Those of what else happens in Open edX are
connected by its plugin machinery (`apps.py`), in the process where it happens: publishing in Studio, enrolling in the
LMS. Each writes markers into the database that both share, in the sender's transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from completion.models import BlockCompletion
from django.apps import apps as django_apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import OperationalError, connections, router, transaction
from django.db.models.signals import post_delete, post_migrate, post_save, pre_delete
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.conf import conf
from completion_aggregator.models import StaleCompletion, Takeover
from completion_aggregator.services import (
    aggregate,
    forget_course,
    forget_learner,
    mark_completion,
    mark_course,
    mark_learner_in_org,
    mark_learners,
)
from completion_aggregator.services.takeover import take_over_if_small
from completion_aggregator.utils import without_version

log = logging.getLogger(__name__)


def connect() -> None:
    """Connect the receivers of completions, users and migrations; called once, when the app is ready."""
    post_save.connect(completion_changed, sender=BlockCompletion, dispatch_uid="completion_aggregator.saved")
    post_delete.connect(completion_changed, sender=BlockCompletion, dispatch_uid="completion_aggregator.deleted")
    pre_delete.connect(user_deleted, sender=get_user_model(), dispatch_uid="completion_aggregator.user_deleted")
    app = django_apps.get_app_config("completion_aggregator")
    post_migrate.connect(migrated, sender=app, dispatch_uid="completion_aggregator.migrated")


def completion_changed(sender: type[BlockCompletion], instance: BlockCompletion, **kwargs: Any) -> None:
    """A completion was saved or deleted: mark it, in the same transaction."""
    course_key = without_version(instance.context_key)
    if not course_key.is_course or kwargs.get("raw") or _is_user_deleted(kwargs.get("origin")):
        return
    user_id = instance.user_id
    with _harmless("Learner %s could not be marked stale in %s", user_id, course_key):
        mark_completion(user_id, course_key, str(instance.block_key.map_into_course(course_key)))
        if not conf.ASYNC_AGGREGATION:
            transaction.on_commit(lambda: aggregate(course_key, [user_id], only_stale=True), robust=True)


def course_published(sender: object, course_key: CourseKey, **kwargs: Any) -> None:
    """A course was published, or a library."""
    _mark_course(course_key)


def item_deleted(sender: object, usage_key: UsageKey, **kwargs: Any) -> None:
    """A block was deleted in Studio."""
    _mark_course(usage_key.course_key)


def structure_collected(sender: object, instance: Any, **kwargs: Any) -> None:
    """A course was collected, some time after it was published: that is what learners see from now on."""
    _mark_course(instance.data_usage_key.course_key)


def cohorts_changed(sender: object, instance: Any, **kwargs: Any) -> None:
    """A course's cohorts were switched on or off, or one of them was linked to another group."""
    group = getattr(instance, "course_user_group", instance)
    _mark_course(group.course_id)


def course_deleted(sender: object, course_key: CourseKey, **kwargs: Any) -> None:
    """A course was deleted."""
    with _harmless("The markers of %s could not be deleted", course_key):
        forget_course(course_key)


def learner_changed(
    sender: object,
    user: AbstractBaseUser,
    course_key: CourseKey | None = None,
    course_id: CourseKey | None = None,
    **kwargs: Any,
) -> None:
    """A learner was enrolled or unenrolled, or has another enrollment mode or cohort: other blocks may count."""
    key = course_key or course_id
    if key is not None:
        with _harmless("Learner %s could not be marked stale in %s", user.pk, key):
            mark_learners(key, [user.pk])


def role_changed(sender: object, course_access_role_data: Any, **kwargs: Any) -> None:
    """Somebody was given a role in a course or in a whole organisation, or has lost it: staff see more."""
    user_id, course_key = course_access_role_data.user.id, course_access_role_data.course_key
    org = course_access_role_data.org_key
    with _harmless("Learner %s could not be marked stale in %s", user_id, course_key or org):
        if course_key:
            mark_learners(course_key, [user_id])
        else:
            mark_learner_in_org(user_id, org)


def user_retired(sender: object, user: AbstractBaseUser, **kwargs: Any) -> None:
    """A user asked to be forgotten. Two signals tell it, some time apart: if one fails, the other does it."""
    with _harmless("The aggregates of learner %s could not be deleted", user.pk):
        forget_learner(user.pk)


def user_deleted(sender: object, instance: AbstractBaseUser, **kwargs: Any) -> None:
    """A user is being deleted: whatever Django would delete in an order of its own goes first, behind the lock."""
    with _harmless("The aggregates of learner %s could not be deleted", instance.pk):
        forget_learner(instance.pk)


def migrated(sender: Any, using: str, **kwargs: Any) -> None:
    """The tables were migrated: take over what 4.5 has left, if it is little."""
    tables = kwargs.get("apps", django_apps).all_models["completion_aggregator"]
    # Not on the way back, nor on another database.
    if Takeover._meta.model_name in tables and using == router.db_for_write(Takeover):
        say = kwargs["stdout"].write if kwargs.get("verbosity") and kwargs.get("stdout") else log.info
        take_over_if_small(say)


def _mark_course(course_key: CourseKey) -> None:
    if course_key.is_course:
        with _harmless("Nobody could be marked stale in %s", course_key):
            mark_course(course_key)


@contextmanager
def _harmless(failure: str, *args: object) -> Iterator[None]:
    """Log what fails in here instead of raising it, and leave the sender's transaction as it was."""
    connection = connections[router.db_for_write(StaleCompletion)]
    needs_rollback = connection.needs_rollback
    try:
        # A failed statement spoils a PostgreSQL transaction, and with it the sender's request; elsewhere the
        # transaction goes on, and a savepoint would be two statements for nothing.
        with transaction.atomic(connection.alias) if connection.vendor == "postgresql" else nullcontext():
            yield
    except Exception as error:
        if _is_undone(connection, error):
            # What the sender has written is gone with the transaction: silence would lose it.
            raise
        log.exception(failure, *args)
        connection.needs_rollback = needs_rollback


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
