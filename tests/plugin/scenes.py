"""What test_plugin.py has happen, each scene in a process of the LMS or of Studio that prints its result as JSON."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any

from completion.models import BlockCompletion
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import Resolver404, resolve
from opaque_keys.edx.keys import CourseKey, UsageKey
from openedx.core.djangoapps.content.block_structure.api import update_course_in_cache
from waffle.models import Switch
from xmodule.modulestore.django import StoredBlock, modulestore

from completion_aggregator.models import BlockAggregate, StaleCompletion

COURSE_KEY = CourseKey.from_string("course-v1:Org+Course+Run")
PATHS = (
    "/api/completion/v1/completion-batch",
    "/api/completion/v1/subsection-completion/ada/course-v1:a+b+c/block-v1:a+b+c",
    "/api/completion/v1/course/course-v1:a+b+c/",
    "/completion-aggregator/v1/stats/course-v1:a+b+c/",
    "/api/completion/v0/course/",
    "/completion-aggregator/v0/course/course-v1:a+b+c/",
    "/api/completion/progress_bar/course-v1:a+b+c/",
    "/completion-aggregator/progress_bar/course-v1:a+b+c/chapter/",
)


def marked() -> dict[str, Any]:
    user_ids = StaleCompletion.objects.values("user_id")
    return {"marked": list(get_user_model().objects.filter(pk__in=user_ids).values_list("username", flat=True))}


def usage_key(name: str) -> UsageKey:
    return COURSE_KEY.make_usage_key(*name.split("/"))


def publish_course(*names: str) -> None:
    root = StoredBlock(key=usage_key("course/course"), children=tuple(map(usage_key, names)))
    modulestore().publish(COURSE_KEY, [root, *(StoredBlock(key=usage_key(name)) for name in names)])


def show_settings() -> dict[str, Any]:
    names = ("LMS", "BLOCK_TYPES", "ASYNC_AGGREGATION")
    found = {name: getattr(settings, f"COMPLETION_AGGREGATOR_{name}") for name in names}
    allowed = settings.EVENT_TRACKING_BACKENDS_ALLOWED_XAPI_EVENTS
    return found | {"statements": sorted(name for name in allowed if "completion_aggregator" in name)}


def enroll() -> dict[str, Any]:
    from common.djangoapps.student.models import CourseEnrollment

    Switch.objects.create(name="completion.enable_completion_tracking", active=True)
    publish_course("html/h1", "html/h2")
    update_course_in_cache(COURSE_KEY)
    CourseEnrollment.enroll(get_user_model().objects.create(username="ada"), COURSE_KEY)
    return marked()


def publish() -> dict[str, Any]:
    publish_course("html/h1", "html/h2", "html/h3", "html/h4")
    return marked()


def collect() -> dict[str, Any]:
    update_course_in_cache(COURSE_KEY)
    return marked()


def complete() -> dict[str, Any]:
    ada = get_user_model().objects.get()
    BlockCompletion.objects.submit_completion(ada, usage_key("html/h3"), 1.0)
    return marked()


def ask() -> dict[str, Any]:
    client = Client()
    client.force_login(get_user_model().objects.get(), backend="django.contrib.auth.backends.AllowAllUsersModelBackend")
    found = {}
    for path in ("/api/completion/v1/course/", "/completion-aggregator/v1/course/"):
        answer = client.get(path, {"username": "ada"}).json()
        (found[path],) = (result["completion"] for result in answer["results"])
    return found


def delete() -> dict[str, Any]:
    modulestore().delete_course(COURSE_KEY, user_id=1)
    return marked()


def retire() -> dict[str, Any]:
    from openedx.core.djangoapps.user_api.accounts.signals import USER_RETIRE_LMS_MISC

    USER_RETIRE_LMS_MISC.send(sender=object, user=get_user_model().objects.get())
    return marked() | {"aggregates": BlockAggregate.objects.count()}


def neighbours() -> dict[str, str]:
    found = {}
    for path in PATHS:
        with suppress(Resolver404):
            found[path] = resolve(path).func.__module__
    return found


SCENES = {each.__name__: each for each in (enroll, publish, collect, complete, ask, delete, retire, neighbours)}
SCENES["settings"] = show_settings


def play(name: str) -> None:
    sys.stdout.write(json.dumps(SCENES[name]()))
