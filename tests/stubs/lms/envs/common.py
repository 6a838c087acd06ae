"""Settings of the LMS, before the operator's YAML."""

from __future__ import annotations

from edx_django_utils.plugins import add_plugins, get_plugin_apps
from openedx.core.djangoapps.plugins.constants import ProjectType, SettingsType
from openedx.envs.common import *  # noqa: F403

ROOT_URLCONF = "lms.urls"
INSTALLED_APPS += ["lms.djangoapps.courseware"]  # noqa: F405
INSTALLED_APPS.extend(get_plugin_apps(ProjectType.LMS))
add_plugins(__name__, ProjectType.LMS, SettingsType.COMMON)
