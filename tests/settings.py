"""Settings of the tests: those of the sample LMS, on a database in memory unless DATABASE_URL names another."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("DATABASE_URL", "sqlite://:memory:")
# Stand-ins of Open edX: tests/stubs/README.rst.
sys.path.append(str(Path(__file__).parent / "stubs"))

from sample_lms.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS += [  # noqa: F405
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
