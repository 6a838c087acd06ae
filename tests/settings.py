"""Settings of the tests: those of the sample LMS, on a database in memory unless DATABASE_URL names another."""

from __future__ import annotations

import os

os.environ.setdefault("DATABASE_URL", "sqlite://:memory:")

from sample_lms.settings import *  # noqa: F403
from sample_lms.settings import INSTALLED_APPS as APPS_OF_THE_LMS

# Statements for xAPI are made by event_routing_backends; its tasks need celery_utils. The other settings are what it
# asks for.
INSTALLED_APPS = [*APPS_OF_THE_LMS, "celery_utils", "event_routing_backends"]
LMS_ROOT_URL = "https://lms.example"
XAPI_AGENT_IFI_TYPE = "external_id"
RUNNING_WITH_TEST_SETTINGS = True

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# At its import it tells at length that the platform is not there.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"event_routing_backends.helpers": {"level": "CRITICAL"}},
}
