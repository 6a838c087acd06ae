"""System checks: a wrong deployment is found by `manage.py check`. Ids are stable; docs/reference/checks.rst."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from importlib import import_module, metadata
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Info
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.migrations.recorder import MigrationRecorder
from django.utils.module_loading import import_string

from completion_aggregator.compat import get_lms
from completion_aggregator.conf import RETIRED, Settings, conf
from completion_aggregator.models import Takeover

#: The package that this one takes the place of; both have the same import name.
OLD_PACKAGE = "openedx-completion-aggregator"
FIRST_MIGRATION = "completion_aggregator.migrations.0001_squashed_0007_aggregator_optional_completion"


def check_lms(**kwargs: Any) -> Iterable[CheckMessage]:
    try:
        return get_lms().check()
    except ImproperlyConfigured as error:
        hint = (
            "Outside of Open edX, name your LMS's adapter class in COMPLETION_AGGREGATOR_LMS; see docs/howto/port.rst."
        )
        return [Error(str(error), hint=hint, id="completion_aggregator.E001")]


def check_settings(**kwargs: Any) -> Iterable[CheckMessage]:
    return [
        Error(
            f"The setting {setting.name} must be {setting.expects}.",
            hint=setting.doc,
            id="completion_aggregator.E002",
        )
        for setting in Settings.all()
        # An empty LMS has a check of its own.
        if setting is not Settings.LMS and not setting.valid(setting.__get__(conf, Settings))
    ]


def check_classes(**kwargs: Any) -> Iterable[CheckMessage]:
    """Find paths that name nothing: the first request would fail over them."""
    for setting, paths in (
        (Settings.AUTHENTICATION_CLASSES, conf.AUTHENTICATION_CLASSES),
        (Settings.PAGINATION_CLASS, [conf.PAGINATION_CLASS]),
    ):
        for path in paths if setting.valid(setting.__get__(conf, Settings)) else ():
            try:
                import_string(path)
            except ImportError as error:
                yield Error(f"{setting.name}: {error}", hint=setting.doc, id="completion_aggregator.E003")


def check_retired_settings(**kwargs: Any) -> Iterable[CheckMessage]:
    return [
        Info(
            f"The setting {name} has no effect any more: {reason}.",
            hint="It may be removed.",
            id="completion_aggregator.I001",
        )
        for name, reason in RETIRED.items()
        if hasattr(settings, name)
    ]


def check_old_package(**kwargs: Any) -> Iterable[CheckMessage]:
    """Find the replaced package beside this one: whatever is installed later overwrites files of the other."""
    try:
        version = metadata.version(OLD_PACKAGE)
    except metadata.PackageNotFoundError:
        return
    yield Error(
        f"{OLD_PACKAGE} {version} is installed, too: the two have the same modules.",
        hint=f"Uninstall both, then install completion-aggregator: pip uninstall {OLD_PACKAGE} completion-aggregator",
        id="completion_aggregator.E005",
    )


def check_old_migrations(databases: Collection[str] | None = None, **kwargs: Any) -> Iterable[CheckMessage]:
    """Find tables that are older than 4.5: our migrations begin where those of 4.5 end."""
    replaced = {tuple(name) for name in import_module(FIRST_MIGRATION).Migration.replaces}
    for alias in databases or ():
        applied = replaced.intersection(MigrationRecorder(connections[alias]).applied_migrations())
        if applied and applied != replaced:
            yield Error(
                f"The tables of {OLD_PACKAGE} are older than version 4.5: the last migration is {max(applied)[1]}.",
                hint=f"Install {OLD_PACKAGE} 4.5.0 first, run migrate, then come back; see docs/howto/upgrade.rst.",
                id="completion_aggregator.E004",
            )


def check_takeover(databases: Collection[str] | None = None, **kwargs: Any) -> Iterable[CheckMessage]:
    using = router.db_for_write(Takeover)
    if using not in (databases or ()) or Takeover._meta.db_table not in connections[using].introspection.table_names():
        return
    if Takeover.objects.using(using).filter(finished_at=None).exists():
        yield checks.Warning(
            f"Rows of {OLD_PACKAGE} 4.5 are not taken over yet: course-wide answers lack learners.",
            hint="Run manage.py migrate_aggregates; see docs/howto/upgrade.rst.",
            id="completion_aggregator.W001",
        )
