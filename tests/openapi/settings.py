"""Settings of the demo that the tests start: passwords are checked with each request, so that has to be quick."""

from __future__ import annotations

from sample_lms.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
