"""What `manage.py check` finds."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks

from completion_aggregator.conf import RETIRED, Settings


def found() -> list[CheckMessage]:
    return run_checks(tags=["completion_aggregator"])


def test_a_right_deployment_has_nothing_to_say() -> None:
    assert found() == []


@pytest.mark.parametrize("path", ["", "no.such.module", "sample_lms.models.Course"])
def test_a_wrong_lms_is_found_with_a_hint(settings: Any, path: str) -> None:
    settings.COMPLETION_AGGREGATOR_LMS = path

    (message,) = found()

    assert (message.id, message.level) == ("completion_aggregator.E001", 40)
    assert "COMPLETION_AGGREGATOR_LMS" in message.msg
    assert "docs/howto/port.rst" in str(message.hint)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BLOCK_TYPES", "chapter"),
        ("ASYNC_AGGREGATION", "yes"),
        ("AGGREGATE_UNRELEASED_BLOCKS", 1),
        ("AUTHENTICATION_CLASSES", "rest_framework.authentication.BasicAuthentication"),
        ("PAGINATION_CLASS", 7),
        ("MEAN_CACHE_TIMEOUT", -1),
        ("MAX_ATTEMPTS", 0),
        ("RETRY_DELAY", None),
    ],
)
def test_a_value_that_cannot_be_is_found(settings: Any, name: str, value: Any) -> None:
    setattr(settings, f"COMPLETION_AGGREGATOR_{name}", value)

    (message,) = found()

    setting = getattr(Settings, name)
    assert (message.id, message.msg) == (
        "completion_aggregator.E002",
        f"The setting {setting.name} must be {setting.expects}.",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("AUTHENTICATION_CLASSES", ["no.such.Class"]), ("PAGINATION_CLASS", "rest_framework.pagination.NoSuchClass")],
)
def test_a_class_that_cannot_be_imported_is_found(settings: Any, name: str, value: Any) -> None:
    setattr(settings, f"COMPLETION_AGGREGATOR_{name}", value)

    (message,) = found()

    assert message.id == "completion_aggregator.E003"
    assert message.msg.startswith(f"COMPLETION_AGGREGATOR_{name}: ")


@pytest.mark.parametrize("name", RETIRED)
def test_a_setting_without_effect_is_told(settings: Any, name: str) -> None:
    setattr(settings, name, 1)

    (message,) = found()

    assert (message.id, message.level) == ("completion_aggregator.I001", 20)
    assert RETIRED[name] in message.msg
