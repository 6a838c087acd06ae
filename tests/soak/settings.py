"""Settings of every process of the soak: those of the sample LMS, with shorter waits, and a disk that can be full."""

from __future__ import annotations

import os

from sample_lms.settings import *  # noqa: F403
from sample_lms.settings import DATABASES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# An hour in a run of a minute. Seconds.
COMPLETION_AGGREGATOR_QUEUE_TIMEOUT = 15
COMPLETION_AGGREGATOR_RETRY_DELAY = 1
COMPLETION_AGGREGATOR_SNAPSHOT_INTERVAL = 5

if pages := os.environ.get("SOAK_MAX_PAGES"):
    # No page more than these: SQLite answers as it does on a full disk.
    DATABASES["default"]["OPTIONS"]["init_command"] += f"; PRAGMA max_page_count={int(pages)}"

# Errors with their tracebacks on stderr, into the log of each process.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django.request": {"handlers": ["console"], "level": "ERROR"}},
}
