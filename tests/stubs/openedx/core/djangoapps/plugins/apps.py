from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from edx_django_utils.plugins import connect_plugin_receivers
from openedx.core.djangoapps.plugins.constants import ProjectType


class PluginsConfig(AppConfig):
    name = "openedx.core.djangoapps.plugins"

    def ready(self) -> None:
        connect_plugin_receivers(ProjectType.LMS if settings.ROOT_URLCONF == "lms.urls" else ProjectType.CMS)
