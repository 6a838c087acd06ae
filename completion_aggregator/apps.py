"""The Django app, and the Open edX plugin.

Open edX reads `plugin_app` while its settings are being made: nothing here may import a model.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.apps import AppConfig, apps
from django.core import checks as django_checks
from django.utils.translation import gettext_lazy as _

_STUDENT_SIGNALS = "common.djangoapps.student.signals"
_COHORTS = "openedx.core.djangoapps.course_groups"
_RETIREMENT = "openedx.core.djangoapps.user_api.accounts.signals"
_MODULESTORE = "xmodule.modulestore.django"
_MODEL_SIGNALS = "django.db.models.signals"


def _receiver(name: str, signal: str, sender: str | None = None) -> dict[str, str]:
    """Describe that a function of handlers.py hears a signal, both by their names."""
    # The name of the signal too: one function may hear several of the same sender.
    uid = f"completion_aggregator.{name}.{signal}.{sender}"
    receiver = {"receiver_func_name": name, "signal_path": signal, "dispatch_uid": uid}
    return receiver if sender is None else receiver | {"sender_path": sender}


#: What happens in Studio, and where else something is written to a course.
_ANYWHERE = [
    _receiver("course_published", f"{_MODULESTORE}.COURSE_PUBLISHED"),
    _receiver("item_deleted", f"{_MODULESTORE}.ITEM_DELETED"),
    _receiver("course_deleted", f"{_MODULESTORE}.COURSE_DELETED"),
    _receiver(
        "structure_collected",
        f"{_MODEL_SIGNALS}.post_save",
        "openedx.core.djangoapps.content.block_structure.models.BlockStructureModel",
    ),
    _receiver("learner_changed", f"{_STUDENT_SIGNALS}.ENROLL_STATUS_CHANGE"),
    _receiver("learner_changed", f"{_STUDENT_SIGNALS}.ENROLLMENT_TRACK_UPDATED"),
    _receiver("role_changed", "openedx_events.learning.signals.COURSE_ACCESS_ROLE_ADDED"),
    _receiver("role_changed", "openedx_events.learning.signals.COURSE_ACCESS_ROLE_REMOVED"),
]
#: What happens in the LMS alone.
_IN_LMS = [
    _receiver("learner_changed", f"{_COHORTS}.signals.signals.COHORT_MEMBERSHIP_UPDATED"),
    _receiver("cohorts_changed", f"{_MODEL_SIGNALS}.post_save", f"{_COHORTS}.models.CourseCohortsSettings"),
    _receiver("cohorts_changed", f"{_MODEL_SIGNALS}.post_save", f"{_COHORTS}.models.CourseUserGroupPartitionGroup"),
    _receiver("cohorts_changed", f"{_MODEL_SIGNALS}.post_delete", f"{_COHORTS}.models.CourseUserGroupPartitionGroup"),
    _receiver("user_retired", f"{_RETIREMENT}.USER_RETIRE_LMS_CRITICAL"),
    _receiver("user_retired", f"{_RETIREMENT}.USER_RETIRE_LMS_MISC"),
]
_SETTINGS = {name: {"relative_path": f"settings.{name}"} for name in ("common", "production", "devstack", "test")}


class CompletionAggregatorConfig(AppConfig):
    """Connects the receivers, the xAPI transformers and the system checks."""

    name = "completion_aggregator"
    verbose_name = _("Completion aggregator")
    default_auto_field = "django.db.models.BigAutoField"

    plugin_app: ClassVar[dict[str, Any]] = {
        # The paths begin in plugin_urls.py: a plugin can be mounted once only, and there are two mounts.
        "url_config": {"lms.djangoapp": {"namespace": "", "regex": "^", "relative_path": "plugin_urls"}},
        "settings_config": {"lms.djangoapp": _SETTINGS, "cms.djangoapp": _SETTINGS},
        "signals_config": {
            "lms.djangoapp": {"relative_path": "handlers", "receivers": [*_ANYWHERE, *_IN_LMS]},
            "cms.djangoapp": {"relative_path": "handlers", "receivers": _ANYWHERE},
        },
    }

    def ready(self) -> None:
        # Models may be imported only now.
        from completion_aggregator import checks, handlers, metrics

        handlers.connect()
        if metrics.IS_INSTALLED:
            from completion_aggregator import collector

            collector.register()
        if apps.is_installed("event_routing_backends"):
            from completion_aggregator import xapi

            xapi.register()
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
