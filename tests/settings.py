"""Settings of the tests: those of the sample LMS, on a database in memory unless DATABASE_URL names another."""

from __future__ import annotations

import os

os.environ.setdefault("DATABASE_URL", "sqlite://:memory:")

from sample_lms.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
