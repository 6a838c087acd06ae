"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.core import checks as django_checks
from django.utils.translation import gettext_lazy as _


class CompletionAggregatorConfig(AppConfig):
    """Connects the receivers, the xAPI transformers and the system checks."""

    name = "completion_aggregator"
    verbose_name = _("Completion aggregator")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Models may be imported only now.
        from completion_aggregator import checks, handlers

        handlers.connect()
        if apps.is_installed("event_routing_backends"):
            from completion_aggregator import xapi

            xapi.register()
        for check in (
            checks.check_lms,
            checks.check_settings,
            checks.check_classes,
            checks.check_retired_settings,
        ):
            django_checks.register(check, "completion_aggregator")
