from __future__ import annotations

from edx_django_utils.plugins import add_plugins
from lms.envs.common import *  # noqa: F403
from openedx.core.djangoapps.plugins.constants import ProjectType, SettingsType

add_plugins(__name__, ProjectType.LMS, SettingsType.DEVSTACK)
