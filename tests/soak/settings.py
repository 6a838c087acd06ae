"""Settings of every process of the soak: those of the sample LMS, with shorter waits."""

from __future__ import annotations

from sample_lms.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# An hour in a run of a minute. Seconds.
COMPLETION_AGGREGATOR_QUEUE_TIMEOUT = 10
COMPLETION_AGGREGATOR_RETRY_DELAY = 1
COMPLETION_AGGREGATOR_SNAPSHOT_INTERVAL = 5

# Errors with their tracebacks on stderr, into the log of each process.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django.request": {"handlers": ["console"], "level": "ERROR"}},
}
