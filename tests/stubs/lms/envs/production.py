"""Settings of the LMS, with the operator's YAML."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from edx_django_utils.plugins import add_plugins
from lms.envs.common import *  # noqa: F403
from openedx.core.djangoapps.plugins.constants import ProjectType, SettingsType

# JSON is YAML.
_yaml: dict[str, Any] = json.loads(Path(os.environ["LMS_CFG"]).read_text()) if "LMS_CFG" in os.environ else {}
vars().update(_yaml)
ENV_TOKENS = _yaml
add_plugins(__name__, ProjectType.LMS, SettingsType.PRODUCTION)
