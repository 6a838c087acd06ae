"""What the settings of the LMS and of Studio have in common."""

from __future__ import annotations

import json

import environ
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

env = environ.Env()
SECRET_KEY = env.str("SECRET_KEY", default="only-for-the-tests")
ALLOWED_HOSTS = ["testserver"]
USE_TZ = True
COURSE_ID_PATTERN = r"(?P<course_id>[^/+]+(/|\+)[^/+]+(/|\+)[^/?]+)"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {"default": env.db_url("DATABASE_URL")}
DATABASES["default"]["ATOMIC_REQUESTS"] = True
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
CELERY_ALWAYS_EAGER = True
EVENT_TRACKING_ENABLED = True
EVENT_TRACKING_BACKENDS: dict[str, object] = {}
LMS_ROOT_URL = "http://testserver"
FEATURES: dict[str, bool] = {}
# What edx-event-routing-backends asks for where it is not really in the platform.
RUNNING_WITH_TEST_SETTINGS = True
XAPI_AGENT_IFI_TYPE = "external_id"
OAUTH2_PROVIDER_APPLICATION_MODEL = "oauth2_provider.Application"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.AllowAllUsersModelBackend"]
_ISSUER = "http://testserver/oauth2"
_SIGNING_KEY = json.loads(RSAAlgorithm.to_jwk(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
JWT_AUTH = {
    "JWT_ISSUERS": [{"ISSUER": _ISSUER, "AUDIENCE": "openedx", "SECRET_KEY": "only-for-the-tests-but-of-32-bytes"}],
    "JWT_ALGORITHM": "HS256",
    "JWT_AUTH_HEADER_PREFIX": "JWT",
    "JWT_SIGNING_ALGORITHM": "RS512",
    "JWT_PRIVATE_SIGNING_JWK": json.dumps({"kid": "tests", **_SIGNING_KEY}),
    "JWT_PUBLIC_SIGNING_JWK_SET": json.dumps(
        {"keys": [{"kid": "tests"} | {name: _SIGNING_KEY[name] for name in ("kty", "n", "e")}]}
    ),
    "JWT_ISSUER": _ISSUER,
    "JWT_AUDIENCE": "openedx",
    "JWT_SUPPORTED_VERSION": "1.0.0",
    "JWT_VERIFY_AUDIENCE": False,
    "JWT_DECODE_HANDLER": "edx_rest_framework_extensions.auth.jwt.decoder.jwt_decode_handler",
    "JWT_AUTH_COOKIE": "edx-jwt-cookie",
    "JWT_AUTH_COOKIE_HEADER_PAYLOAD": "edx-jwt-cookie-header-payload",
    "JWT_AUTH_COOKIE_SIGNATURE": "edx-jwt-cookie-signature",
}
REST_FRAMEWORK = {
    "DEFAULT_PAGINATION_CLASS": "edx_rest_framework_extensions.paginators.DefaultPagination",
    "PAGE_SIZE": 10,
}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "rest_framework",
    "waffle",
    "oauth2_provider",
    "celery_utils",
    "eventtracking.django.apps.EventTrackingConfig",
    "common.djangoapps.split_modulestore_django",
    "common.djangoapps.student",
    "openedx.core.djangoapps.content.block_structure",
    "openedx.core.djangoapps.content.course_overviews",
    "openedx.core.djangoapps.course_groups",
    "openedx.core.djangoapps.plugins.apps.PluginsConfig",
    "openedx.core.djangoapps.user_api",
]
MIDDLEWARE = [
    "edx_django_utils.cache.middleware.RequestCacheMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "crum.CurrentRequestUserMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
