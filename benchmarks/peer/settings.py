"""Settings of the LMS that the peer runs in; it does not start without most of them."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

_url = urlsplit(os.environ["DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.mysql",
        "NAME": _url.path.strip("/"),
        "HOST": _url.hostname,
        "PORT": _url.port or 3306,
        "USER": _url.username,
        "PASSWORD": _url.password or "",
        "OPTIONS": {"charset": "utf8mb4"},
    }
}
SECRET_KEY = "only-for-the-benchmark"  # noqa: S105 - nobody can reach it
USE_TZ = True
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "benchmarks.peer.urls"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "completion",
    "waffle",
    "event_routing_backends",
    "eventtracking.django.apps.EventTrackingConfig",
    "completion_aggregator",
    "benchmarks.peer.lms",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
REST_FRAMEWORK = {"PAGE_SIZE": 10}
LMS_ROOT_URL = "http://localhost"
RUNNING_WITH_TEST_SETTINGS = True

EVENT_TRACKING_ENABLED = True
EVENT_TRACKING_BACKENDS: dict[str, object] = {}
EVENT_TRACKING_BACKENDS_ALLOWED_XAPI_EVENTS: list[str] = []

COMPLETION_AGGREGATOR_BLOCK_TYPES = {"course", "chapter", "sequential", "vertical"}
COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES = None
COMPLETION_AGGREGATOR_AGGREGATE_UNRELEASED_BLOCKS = False
COMPLETION_AGGREGATOR_USE_COLLECTED_BLOCK_STRUCTURE = False
COMPLETION_AGGREGATOR_UPDATER_CACHE_TIMEOUT = 600
COMPLETION_AGGREGATOR_AGGREGATION_LOCK = "aggregation"
COMPLETION_AGGREGATOR_AGGREGATION_LOCK_TIMEOUT_SECONDS = 1800
COMPLETION_AGGREGATOR_CLEANUP_LOCK = "cleanup"
COMPLETION_AGGREGATOR_CLEANUP_LOCK_TIMEOUT_SECONDS = 900
