from __future__ import annotations

from cms.envs.common import *  # noqa: F403
from edx_django_utils.plugins import add_plugins
from openedx.core.djangoapps.plugins.constants import ProjectType, SettingsType

add_plugins(__name__, ProjectType.CMS, SettingsType.TEST)
