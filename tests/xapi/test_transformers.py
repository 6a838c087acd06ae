"""xAPI statements, checked with the tools that edx-event-routing-backends has for that."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.test import TestCase
from event_routing_backends import helpers
from event_routing_backends.processors.xapi.registry import XApiTransformersRegistry
from event_routing_backends.processors.xapi.tests.test_transformers import XApiTransformersFixturesTestMixin
from event_routing_backends.processors.xapi.transformer_processor import XApiProcessor
from event_routing_backends.settings.common import plugin_settings

from completion_aggregator.conf import Settings, allow_tracking_events, tracking_event_names
from completion_aggregator.services import aggregate_stale
from completion_aggregator.xapi import ProgressTransformer, register
from tests.factories import COURSE_KEY, complete, key
from tests.listening import Backend, tracking

HERE = Path(__file__).parent
NAMES = tracking_event_names(Settings.TRACKING_EVENT_TYPES.default)


class ExternalId:
    """How the platform calls a learner towards others."""

    external_user_id = UUID("32e08e30-f8ae-4ce2-94a8-c2bfe38a70cb")

    @classmethod
    def add_new_user_id(cls, user: Any, type_name: str) -> tuple[ExternalId, bool]:
        return cls(), False


class ExternalIdType:
    XAPI = "xapi"


@pytest.fixture(autouse=True)
def _platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the library asks the platform for."""
    monkeypatch.setattr(helpers, "ExternalId", ExternalId)
    monkeypatch.setattr(helpers, "ExternalIdType", ExternalIdType)
    monkeypatch.setattr(helpers, "get_potentially_retired_user_by_username", lambda name: None)
    monkeypatch.setattr(helpers, "get_course_overviews", lambda keys: [{"display_name": "A course"} for _ in keys])
    for cached in (helpers.get_anonymous_user_id, helpers.get_course_from_id):
        cached.cache_clear()
    yield
    for cached in (helpers.get_anonymous_user_id, helpers.get_course_from_id):
        cached.cache_clear()


class StatementsTest(XApiTransformersFixturesTestMixin, TestCase):  # type: ignore[misc]  # the library has no types
    """Each event in events/ becomes the statement of the same name in statements/."""

    raw_events_fixture_path = str(HERE / "events")
    expected_events_fixture_path = str(HERE / "statements")

    def get_raw_event(self, event_filename: str) -> dict[str, Any]:
        event: dict[str, Any] = super().get_raw_event(event_filename)
        event["data"]["user_id"] = get_user_model().objects.get(username=event["data"]["username"]).pk
        return event

    def test_statements(self) -> None:
        names = sorted(path.name for path in (HERE / "events").iterdir())
        assert names == [f"{name}.json" for name in NAMES]
        for name in names:
            with self.subTest(name):
                self.check_event_transformer(name, str(HERE / "statements" / name))


@pytest.mark.django_db(transaction=True)
def test_what_is_emitted_becomes_a_statement(learner: Any, settings: Any) -> None:
    settings.XAPI_EVENTS_ENABLED = True
    aggregate_stale()
    complete(learner, "html/h1", "html/h2")
    backend = Backend()
    with tracking(backend):
        aggregate_stale()

    statements = XApiProcessor()(backend.events)

    assert len({statement["id"] for statement in statements}) == 4
    assert {statement["object"]["id"]: statement["result"] for statement in statements} == {
        f"https://lms.example/xblock/{key(name)}": {
            "score": {"scaled": percent},
            "completion": percent == 1.0,
            "extensions": {"https://w3id.org/xapi/cmi5/result/extensions/progress": percent * 100},
        }
        for name, percent in {
            "course/course": 1 / 3,
            "chapter/c1": 0.5,
            "sequential/s1": 2 / 3,
            "vertical/v1": 1.0,
        }.items()
    }
    assert {statement["context"]["contextActivities"]["parent"][0]["id"] for statement in statements} == {
        f"https://lms.example/course/{COURSE_KEY}"
    }


def test_the_events_of_the_default_setting_are_registered() -> None:
    mapping = XApiTransformersRegistry.mapping

    assert {name: mapping[name] for name in NAMES} == dict.fromkeys(NAMES, ProgressTransformer)


def test_other_block_types_are_registered_when_the_setting_names_them(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(XApiTransformersRegistry, "mapping", {})
    settings.COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES = {"unit"}
    register()

    assert list(XApiTransformersRegistry.mapping) == ["openedx.completion_aggregator.progress.unit"]


def make_settings(*makers: Callable[[Any], None]) -> dict[str, Any]:
    module = SimpleNamespace(LMS_ROOT_URL="https://lms.example")
    for make in makers:
        make(module)
    backends = module.EVENT_TRACKING_BACKENDS["event_transformer"]["OPTIONS"]
    return {
        "allowed": sorted(module.EVENT_TRACKING_BACKENDS_ALLOWED_XAPI_EVENTS),
        "transformed": sorted(backends["processors"][0]["OPTIONS"]["whitelist"]),
        "xapi": sorted(backends["backends"]["xapi"]["OPTIONS"]["processors"][0]["OPTIONS"]["whitelist"]),
        "bus": sorted(module.EVENT_BUS_TRACKING_LOGS),
    }


def test_the_events_are_passed_on_in_whichever_order_settings_are_made() -> None:
    made = make_settings(allow_tracking_events, plugin_settings)

    assert all(set(NAMES) < set(names) for names in made.values())
    assert make_settings(plugin_settings, allow_tracking_events, allow_tracking_events) == made


def test_the_library_is_not_imported_where_it_is_not_installed() -> None:
    code = "import django, sys; django.setup(); sys.exit('event_routing_backends' in sys.modules)"
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "sample_lms.settings"}

    subprocess.run([sys.executable, "-c", code], check=True, env=environment)  # noqa: S603
