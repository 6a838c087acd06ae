"""Settings of the demo that the tests start: as its own, but for what so many requests need."""

from __future__ import annotations

from sample_lms.settings import *  # noqa: F403

# Passwords are checked with each request.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
# Schemathesis asks more often than anybody may.
COMPLETION_AGGREGATOR_EXPENSIVE_RATE = COMPLETION_AGGREGATOR_REFRESH_RATE = None
