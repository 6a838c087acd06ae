"""Settings: defaults, overrides, and what is valid."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from completion_aggregator.conf import RETIRED, Setting, Settings, conf, tracking_event_names

BY_NAME = {setting.name: setting for setting in Settings.all()}
CLASSES = "completion_aggregator.api.common.CompletionPagination"


def test_every_setting_has_the_name_of_the_replaced_plugin_or_its_prefix() -> None:
    assert list(BY_NAME) == [
        "COMPLETION_AGGREGATOR_LMS",
        "COMPLETION_AGGREGATOR_BLOCK_TYPES",
        "COMPLETION_AGGREGATOR_ASYNC_AGGREGATION",
        "COMPLETION_AGGREGATOR_AGGREGATE_UNRELEASED_BLOCKS",
        "COMPLETION_AGGREGATOR_SHARE_STRUCTURE",
        "COMPLETION_AGGREGATOR_AUTHENTICATION_CLASSES",
        "COMPLETION_AGGREGATOR_PAGINATION_CLASS",
        "COMPLETION_AGGREGATOR_MEAN_CACHE_TIMEOUT",
        "COMPLETION_AGGREGATOR_ROUTING_KEY",
        "COMPLETION_AGGREGATOR_QUEUE_TIMEOUT",
        "COMPLETION_AGGREGATOR_TASK_TIME_LIMIT",
        "COMPLETION_AGGREGATOR_BULK_BUDGET",
        "COMPLETION_AGGREGATOR_MAX_ATTEMPTS",
        "COMPLETION_AGGREGATOR_RETRY_DELAY",
        "COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES",
        "COMPLETION_AGGREGATOR_THRESHOLDS",
        "COMPLETION_AGGREGATOR_SNAPSHOT_INTERVAL",
        "COMPLETION_AGGREGATOR_SNAPSHOT_DAYS",
        "COMPLETION_AGGREGATOR_AT_RISK_DAYS",
        "COMPLETION_AGGREGATOR_AT_RISK_PERCENT",
        "COMPLETION_AGGREGATOR_VERIFY_SAMPLE",
        "COMPLETION_AGGREGATOR_REFRESH_RATE",
        "COMPLETION_AGGREGATOR_EXPENSIVE_RATE",
        "COMPLETION_AGGREGATOR_CONTENT_SECURITY_POLICY",
        "COMPLETION_AGGREGATOR_MAX_LAG",
        "COMPLETION_AGGREGATOR_METRICS_TOKEN",
    ]


def test_a_setting_that_is_not_set_has_its_default_and_an_override_ends() -> None:
    assert conf.MAX_ATTEMPTS == 10
    with override_settings(COMPLETION_AGGREGATOR_MAX_ATTEMPTS=3):
        assert conf.MAX_ATTEMPTS == 3
    assert conf.MAX_ATTEMPTS == 10


@pytest.mark.parametrize("setting", [each for each in Settings.all() if each is not Settings.LMS], ids=lambda s: s.name)
def test_every_default_is_valid(setting: Setting[Any]) -> None:
    assert setting.valid(setting.default)


def test_the_lms_is_open_edx_unless_another_is_named() -> None:
    assert (Settings.LMS.default, Settings.LMS.valid("")) == ("completion_aggregator.lms.openedx.OpenEdX", False)


@pytest.mark.parametrize(
    ("name", "value", "is_valid"),
    [
        ("LMS", "some.path.Adapter", True),
        ("LMS", "Adapter", False),
        ("LMS", None, False),
        ("BLOCK_TYPES", {"course"}, True),
        ("BLOCK_TYPES", ["course", "unit"], True),
        ("BLOCK_TYPES", ("course",), True),
        ("BLOCK_TYPES", frozenset({"course"}), True),
        ("BLOCK_TYPES", "course", False),
        ("BLOCK_TYPES", [1], False),
        ("ASYNC_AGGREGATION", False, True),
        ("ASYNC_AGGREGATION", 1, False),
        ("AGGREGATE_UNRELEASED_BLOCKS", True, True),
        ("AGGREGATE_UNRELEASED_BLOCKS", "yes", False),
        ("AUTHENTICATION_CLASSES", (CLASSES,), True),
        ("AUTHENTICATION_CLASSES", [], True),
        ("AUTHENTICATION_CLASSES", CLASSES, False),
        ("AUTHENTICATION_CLASSES", ["short"], False),
        ("PAGINATION_CLASS", CLASSES, True),
        ("PAGINATION_CLASS", object, False),
        ("MEAN_CACHE_TIMEOUT", 0, True),
        ("MEAN_CACHE_TIMEOUT", 0.5, True),
        ("MEAN_CACHE_TIMEOUT", -1, False),
        ("MEAN_CACHE_TIMEOUT", True, False),
        ("MEAN_CACHE_TIMEOUT", "300", False),
        ("MAX_ATTEMPTS", 1, True),
        ("MAX_ATTEMPTS", 0, False),
        ("MAX_ATTEMPTS", 1.5, False),
        ("MAX_ATTEMPTS", True, False),
        ("RETRY_DELAY", 0, True),
        ("RETRY_DELAY", None, False),
        ("TRACKING_EVENT_TYPES", None, True),
        ("TRACKING_EVENT_TYPES", (), True),
        ("TRACKING_EVENT_TYPES", {"course"}, True),
        ("TRACKING_EVENT_TYPES", "course", False),
        ("TRACKING_EVENT_TYPES", True, False),
        ("THRESHOLDS", [], True),
        ("THRESHOLDS", (0.1, 1), True),
        ("THRESHOLDS", [0], False),
        ("THRESHOLDS", [1.01], False),
        ("THRESHOLDS", [True], False),
        ("THRESHOLDS", ["0.5"], False),
        ("THRESHOLDS", 0.5, False),
        ("THRESHOLDS", None, False),
        ("VERIFY_SAMPLE", 0, True),
        ("VERIFY_SAMPLE", -1, False),
        ("VERIFY_SAMPLE", 1.5, False),
        ("REFRESH_RATE", None, True),
        ("REFRESH_RATE", "1/second", True),
        ("REFRESH_RATE", "30/minute", True),
        ("REFRESH_RATE", "30/hour", True),
        ("REFRESH_RATE", "30/day", True),
        ("REFRESH_RATE", "0/minute", False),
        ("REFRESH_RATE", "10/week", False),
        ("REFRESH_RATE", "10", False),
        ("REFRESH_RATE", "often", False),
        ("REFRESH_RATE", 10, False),
        ("EXPENSIVE_RATE", None, True),
        ("EXPENSIVE_RATE", "often", False),
        ("CONTENT_SECURITY_POLICY", None, True),
        ("CONTENT_SECURITY_POLICY", "", True),
        ("CONTENT_SECURITY_POLICY", "default-src 'self'", True),
        ("CONTENT_SECURITY_POLICY", [], False),
        ("SNAPSHOT_INTERVAL", 0, True),
        ("SNAPSHOT_INTERVAL", -1, False),
        ("SNAPSHOT_DAYS", 1, True),
        ("SNAPSHOT_DAYS", 0, False),
        ("AT_RISK_DAYS", 1, True),
        ("AT_RISK_DAYS", 1.5, False),
        ("AT_RISK_PERCENT", 1, True),
        ("AT_RISK_PERCENT", 0, False),
        ("AT_RISK_PERCENT", 50, False),
    ],
)
def test_what_is_valid(name: str, value: Any, is_valid: bool) -> None:
    assert BY_NAME[f"COMPLETION_AGGREGATOR_{name}"].valid(value) is is_valid


def test_every_setting_says_what_it_means_and_expects() -> None:
    assert all(setting.doc.endswith(".") and setting.expects for setting in Settings.all())


def test_retired_settings_are_none_that_still_count() -> None:
    assert RETIRED
    assert not RETIRED.keys() & BY_NAME.keys()
    assert all(name.startswith("COMPLETION_AGGREGATOR_") for name in RETIRED)


def test_the_names_of_the_tracking_events_are_those_of_the_replaced_plugin() -> None:
    assert tracking_event_names(Settings.TRACKING_EVENT_TYPES.default) == [
        "openedx.completion_aggregator.progress.chapter",
        "openedx.completion_aggregator.progress.course",
        "openedx.completion_aggregator.progress.sequential",
        "openedx.completion_aggregator.progress.vertical",
    ]
    assert tracking_event_names(None) == []
