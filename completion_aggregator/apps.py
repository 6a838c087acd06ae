"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks as django_checks
from django.utils.translation import gettext_lazy as _


class CompletionAggregatorConfig(AppConfig):
    """Connects the receivers and the system checks."""

    name = "completion_aggregator"
    verbose_name = _("Completion aggregator")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Models may be imported only now.
        from completion_aggregator import checks, handlers

        handlers.connect()
        for check in (
            checks.check_lms,
            checks.check_settings,
            checks.check_classes,
            checks.check_retired_settings,
            checks.check_old_package,
        ):
            django_checks.register(check, "completion_aggregator")
        for check in (checks.check_old_migrations, checks.check_takeover):
            django_checks.register(check, django_checks.Tags.database, "completion_aggregator")
