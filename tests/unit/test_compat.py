"""The one door to the LMS, and the checks that look through it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import Any

import pytest
from django.core.checks import CheckMessage, Error, Info, run_checks
from django.core.exceptions import ImproperlyConfigured

from completion_aggregator.checks import (
    OLD_PACKAGE,
    check_classes,
    check_lms,
    check_old_package,
    check_retired_settings,
    check_settings,
)
from completion_aggregator.compat import get_lms
from completion_aggregator.conf import RETIRED, Settings
from completion_aggregator.lms.base import LMS
from sample_lms.lms import SampleLMS

HINT = "Outside of Open edX, name your LMS's adapter class in COMPLETION_AGGREGATOR_LMS; see docs/howto/port.rst."


class HalfAnLMS(LMS):
    """An adapter that answers but one question."""

    def enrollments(self) -> Any:
        return None


class WorriedLMS(SampleLMS):
    """An adapter that finds something wrong with its own configuration."""

    def check(self) -> list[CheckMessage]:
        return [Info("The LMS is worried.", id="worried.I001")]


def not_a_class() -> Iterator[None]:
    yield None


PORT = "completion_aggregator.lms.base.LMS"
UNANSWERED = "course_outline, course_versions, course_views"
WRONG = [
    ("", "The setting COMPLETION_AGGREGATOR_LMS is empty."),
    ("SampleLMS", "COMPLETION_AGGREGATOR_LMS: SampleLMS doesn't look like a module path"),
    ("sample_lms.nowhere.LMS", "COMPLETION_AGGREGATOR_LMS: No module named 'sample_lms.nowhere'"),
    (
        "sample_lms.lms.Missing",
        'COMPLETION_AGGREGATOR_LMS: Module "sample_lms.lms" does not define a "Missing" attribute/class',
    ),
    (
        "collections.OrderedDict",
        "COMPLETION_AGGREGATOR_LMS: collections.OrderedDict is not a subclass of completion_aggregator.lms.base.LMS.",
    ),
    (
        f"{__name__}.not_a_class",
        f"COMPLETION_AGGREGATOR_LMS: {__name__}.not_a_class is not a subclass of completion_aggregator.lms.base.LMS.",
    ),
    (
        f"{__name__}.HalfAnLMS",
        f"COMPLETION_AGGREGATOR_LMS: {__name__}.HalfAnLMS does not answer {UNANSWERED}, is_course_staff.",
    ),
    (
        PORT,
        f"COMPLETION_AGGREGATOR_LMS: {PORT} does not answer {UNANSWERED}, enrollments, is_course_staff.",
    ),
    (None, "The setting COMPLETION_AGGREGATOR_LMS is empty."),
    (5, "The setting COMPLETION_AGGREGATOR_LMS is not a dotted path: 5"),
    (
        ["sample_lms.lms.SampleLMS"],
        "The setting COMPLETION_AGGREGATOR_LMS is not a dotted path: ['sample_lms.lms.SampleLMS']",
    ),
]


def test_the_configured_adapter_answers() -> None:
    assert type(get_lms()) is SampleLMS


def test_the_adapter_is_made_once(settings: Any) -> None:
    first = get_lms()
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.WorriedLMS"
    other = get_lms()
    settings.COMPLETION_AGGREGATOR_LMS = "sample_lms.lms.SampleLMS"

    assert get_lms() is first
    assert type(other).__name__ == "WorriedLMS"


@pytest.mark.parametrize(("path", "reason"), WRONG)
def test_a_setting_that_names_no_adapter_is_refused_with_the_reason(settings: Any, path: Any, reason: str) -> None:
    settings.COMPLETION_AGGREGATOR_LMS = path

    with pytest.raises(ImproperlyConfigured) as refused:
        get_lms()

    assert str(refused.value) == reason


@pytest.mark.parametrize(("path", "reason"), WRONG)
def test_check_e001_finds_a_setting_that_names_no_adapter(settings: Any, path: Any, reason: str) -> None:
    settings.COMPLETION_AGGREGATOR_LMS = path

    assert check_lms() == [Error(reason, hint=HINT, id="completion_aggregator.E001")]


def test_the_lms_is_asked_for_its_own_check(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.WorriedLMS"

    assert check_lms() == [Info("The LMS is worried.", id="worried.I001")]


def test_nothing_is_wrong_with_the_sample_lms() -> None:
    assert [*check_lms(), *check_settings(), *check_classes(), *check_retired_settings()] == []


def test_check_e002_finds_every_setting_that_is_not_valid(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_MAX_ATTEMPTS = 0
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = "no"

    assert check_settings() == [
        Error(
            "The setting COMPLETION_AGGREGATOR_ASYNC_AGGREGATION must be True or False.",
            hint="True: a completion only marks the learner stale, a worker or command aggregates later. False: the"
            " learner's own completion is aggregated right after the request's transaction has committed.",
            id="completion_aggregator.E002",
        ),
        Error(
            "The setting COMPLETION_AGGREGATOR_MAX_ATTEMPTS must be a whole number above 0.",
            hint="How often the aggregation of a learner in a course may fail before it is left alone. Unit: attempts.",
            id="completion_aggregator.E002",
        ),
    ]


def test_an_empty_lms_is_one_error_and_not_two(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_LMS = ""

    assert check_settings() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("AUTHENTICATION_CLASSES", ["no.such.Class"]), ("PAGINATION_CLASS", "rest_framework.pagination.NoSuchClass")],
)
def test_check_e003_finds_a_class_that_cannot_be_imported(settings: Any, name: str, value: Any) -> None:
    setattr(settings, f"COMPLETION_AGGREGATOR_{name}", value)

    (message,) = check_classes()

    assert (message.id, message.hint) == ("completion_aggregator.E003", getattr(Settings, name).doc)
    assert message.msg.startswith(f"COMPLETION_AGGREGATOR_{name}: ")


def test_a_value_of_the_wrong_type_is_left_to_check_e002(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_PAGINATION_CLASS = 7

    assert list(check_classes()) == []


@pytest.mark.parametrize(("name", "reason"), RETIRED.items())
def test_check_i001_tells_of_settings_without_effect(settings: Any, name: str, reason: str) -> None:
    setattr(settings, name, None)

    assert check_retired_settings() == [
        Info(
            f"The setting {name} has no effect any more: {reason}.",
            hint="It may be removed.",
            id="completion_aggregator.I001",
        )
    ]


def test_check_e005_finds_the_replaced_package_beside_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(check_old_package()) == []
    monkeypatch.setattr(metadata, "version", {OLD_PACKAGE: "4.5.0"}.__getitem__)

    assert list(check_old_package()) == [
        Error(
            "openedx-completion-aggregator 4.5.0 is installed, too: the two have the same modules.",
            hint="Uninstall both, then install completion-aggregator: "
            "pip uninstall openedx-completion-aggregator completion-aggregator",
            id="completion_aggregator.E005",
        )
    ]


def test_the_checks_are_registered(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_LMS = ""
    settings.COMPLETION_AGGREGATOR_RETRY_DELAY = -1
    settings.COMPLETION_AGGREGATOR_CLEANUP_LOCK = "x"

    found = run_checks(tags=["completion_aggregator"])

    assert sorted(str(message.id) for message in found) == [
        "completion_aggregator.E001",
        "completion_aggregator.E002",
        "completion_aggregator.I001",
    ]
