"""Settings of the tests: those of the sample LMS, on a database in memory unless DATABASE_URL names another."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("DATABASE_URL", "sqlite://:memory:")
# Stand-ins of Open edX: tests/stubs/README.rst.
sys.path.append(str(Path(__file__).parent / "stubs"))

# As in an LMS, before anything reads it: djangorestframework-jwt keeps what it has found at its first import.
from openedx.envs.common import JWT_AUTH  # noqa: F401

from sample_lms.settings import *  # noqa: F403
from sample_lms.settings import INSTALLED_APPS as APPS_OF_THE_LMS

INSTALLED_APPS = [
    *APPS_OF_THE_LMS,
    # Statements for xAPI are made by event_routing_backends; its tasks need celery_utils.
    "celery_utils",
    "event_routing_backends",
    # Stand-ins of Open edX.
    "common.djangoapps.split_modulestore_django",
    "common.djangoapps.student",
    "edx_when",
    "lms.djangoapps.courseware",
    "oauth2_provider",
    "openedx.core.djangoapps.content.block_structure",
    "openedx.core.djangoapps.content.course_overviews",
    "openedx.core.djangoapps.course_groups",
    "openedx.core.djangoapps.user_api",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# What event_routing_backends asks for. At its import it tells at length that the platform is not there.
LMS_ROOT_URL = "https://lms.example"
XAPI_AGENT_IFI_TYPE = "external_id"
RUNNING_WITH_TEST_SETTINGS = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"event_routing_backends.helpers": {"level": "CRITICAL"}},
}
