"""Settings of the sample LMS.

Three environment variables choose the services, so that every command runs on any of them:
DATABASE_URL (default: SQLite in demo.sqlite3), CACHE_URL (default: local memory) and
CELERY_BROKER_URL (default: none, tasks run at once in the calling process). LOG_FORMAT=json makes the log one for
machines; COMPLETION_AGGREGATOR_METRICS_TOKEN lets Prometheus read metrics/.
"""

from __future__ import annotations

from pathlib import Path

import environ

import completion_aggregator

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = env.str("SECRET_KEY", default="only-for-the-demo-and-the-tests")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", "testserver"]
ROOT_URLCONF = "sample_lms.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
# Arabic shows how pages look from right to left; what has no translation there is in English.
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("ar", "العربية")]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "start"
STATIC_URL = "static/"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "waffle",
    "eventtracking.django.apps.EventTrackingConfig",
    "completion",
    "completion_aggregator",
    "sample_lms",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'demo.sqlite3'}")}
_database = DATABASES["default"]
if _database["ENGINE"].endswith("sqlite3"):
    # Readers and one writer side by side; a writer takes its lock at BEGIN, so that no transaction has to
    # be given up in the middle ("database is locked"); waiting is in seconds.
    _database.setdefault("OPTIONS", {}).update(
        transaction_mode="IMMEDIATE", timeout=20, init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"
    )
elif _database["ENGINE"].endswith("mysql"):
    _database.setdefault("OPTIONS", {}).update(charset="utf8mb4")

CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://")}

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="")
CELERY_TASK_ALWAYS_EAGER = not CELERY_BROKER_URL
CELERY_TASK_ACKS_LATE = True
# A chunk is long work: a process takes the next one only when it is free, so that none waits for a busy process.
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
if CELERY_BROKER_URL.startswith("redis"):
    # Without these, whoever sends to a server that does not answer waits for ever. In seconds.
    CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 5, "socket_timeout": 10}

if env.str("LOG_FORMAT", default="") == "json":
    # A line for each record, with its fields: for machines.
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "class": "pythonjsonlogger.json.JsonFormatter",
                "format": "{asctime}{levelname}{name}{message}",
                "style": "{",
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["console"], "level": "INFO"},
    }

REST_FRAMEWORK = {
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 10,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "completion-aggregator",
    "DESCRIPTION": "How far each learner has come in every course, section, subsection and unit. "
    "Errors are JSON objects with `detail`, a sentence. A method that is not listed is answered 405.",
    "VERSION": completion_aggregator.__version__,
    "LICENSE": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
    "TAGS": [
        {"name": "completion", "description": "Version 1."},
        {"name": "v0", "description": "Deprecated: for clients that know it."},
        {"name": "health", "description": "For load balancers and monitors; no credentials."},
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    # Swagger UI from this site's static files.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# edx-completion emits a tracking event for each completion; here nobody listens.
EVENT_TRACKING_ENABLED = True
EVENT_TRACKING_BACKENDS: dict[str, object] = {}

COMPLETION_AGGREGATOR_LMS = "sample_lms.lms.SampleLMS"
COMPLETION_AGGREGATOR_AUTHENTICATION_CLASSES = [
    "rest_framework.authentication.BasicAuthentication",
    "rest_framework.authentication.SessionAuthentication",
]
COMPLETION_AGGREGATOR_METRICS_TOKEN = env.str("COMPLETION_AGGREGATOR_METRICS_TOKEN", default="")
