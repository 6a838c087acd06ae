"""What others are told of an aggregation: tracking events and the signal progress_changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from eventtracking import tracker

from completion_aggregator.models import BlockAggregate, CourseAggregate
from completion_aggregator.services import aggregate, aggregate_stale, mark_learners
from completion_aggregator.signals import progress_changed
from tests.factories import COURSE_KEY, SMALL_COURSE, EnrollmentFactory, block, complete, key, publish_course
from tests.listening import Backend, listening, tracking

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def events() -> Iterator[list[dict[str, Any]]]:
    """What a backend of the tracker gets."""
    backend = Backend()
    with tracking(backend):
        yield backend.events


def told(events: list[dict[str, Any]]) -> dict[str, tuple[float, float, float]]:
    """Return earned, possible and percent by short name, and forget the events."""
    found = {
        event["data"]["block_id"].split("type@")[1].replace("+block@", "/"): (
            event["data"]["earned"],
            event["data"]["possible"],
            event["data"]["percent"],
        )
        for event in events
    }
    assert len(found) == len(events)
    events.clear()
    return found


# Tracking events


def test_an_event_holds_what_those_of_4_5_held_and_the_optional_values(
    learner: Any, events: list[dict[str, Any]]
) -> None:
    complete(learner, "html/h1")
    before = datetime.now(UTC)
    aggregate_stale()

    event = next(event for event in events if event["data"]["block_id"] == key("vertical/v1"))
    modified = event["data"]["modified"]
    assert event.pop("timestamp") >= modified >= before
    assert modified == BlockAggregate.objects.get(user=learner, block__block_key=key("vertical/v1")).modified
    assert event == {
        "name": "openedx.completion_aggregator.progress.vertical",
        "data": {
            "user_id": learner.pk,
            "username": "ada",
            "course_id": str(COURSE_KEY),
            "block_id": key("vertical/v1"),
            "modified": modified,
            "created": modified,
            "earned": 1.0,
            "possible": 2.0,
            "percent": 0.5,
            "type": "vertical",
            "optional_earned": 0.0,
            "optional_possible": 0.0,
            "optional_percent": 1.0,
        },
        "context": {"user_id": learner.pk, "course_id": str(COURSE_KEY), "org": "Org"},
    }
    assert {name: type(value) for name, value in event["data"].items()} == {
        "user_id": int,
        "username": str,
        "course_id": str,
        "block_id": str,
        "modified": datetime,
        "created": datetime,
        "earned": float,
        "possible": float,
        "percent": float,
        "type": str,
        "optional_earned": float,
        "optional_possible": float,
        "optional_percent": float,
    }


def test_the_first_aggregation_tells_of_every_row(learner: Any, events: list[dict[str, Any]]) -> None:
    aggregate_stale()

    names = {event["name"].rpartition(".")[2] for event in events}
    assert names == {"course", "chapter", "sequential", "vertical"}
    assert told(events).keys() == {
        each.display_name for each in SMALL_COURSE if each.block_type in {"course", "chapter", "sequential", "vertical"}
    }


def test_only_what_has_changed_is_told(learner: Any, events: list[dict[str, Any]]) -> None:
    aggregate_stale()
    events.clear()
    complete(learner, "html/h1")
    aggregate_stale()

    assert told(events) == {
        "course/course": (1.0, 6.0, 1 / 6),
        "chapter/c1": (1.0, 4.0, 0.25),
        "sequential/s1": (1.0, 3.0, 1 / 3),
        "vertical/v1": (1.0, 2.0, 0.5),
    }
    mark_learners(COURSE_KEY, [learner.pk])
    assert (aggregate_stale().written, events) == (0, [])


def test_another_moment_is_no_change(learner: Any, events: list[dict[str, Any]]) -> None:
    complete(learner, "html/h1")
    aggregate_stale()
    events.clear()
    BlockCompletion.objects.get().save()

    assert (aggregate_stale().written, events) == (5, [])


def test_rows_that_go_are_not_told_but_those_above_are(learner: Any, events: list[dict[str, Any]]) -> None:
    aggregate_stale()
    events.clear()
    publish_course([block("course/course", "chapter/c1"), *SMALL_COURSE[1:12]])

    assert aggregate_stale().deleted == 3
    assert told(events) == {"course/course": (0.0, 4.0, 0.0)}


def test_optional_values_are_told(course: Any, events: list[dict[str, Any]]) -> None:
    publish_course(
        [
            block("course/course", "chapter/c1"),
            block("chapter/c1", "html/h1", "html/h2"),
            block("html/h1"),
            block("html/h2", optional=True),
        ]
    )
    user = EnrollmentFactory().user
    complete(user, "html/h2", value=0.5)
    aggregate_stale()

    data = next(event["data"] for event in events if event["data"]["type"] == "chapter")
    assert {
        name: value for name, value in data.items() if "earned" in name or "possible" in name or "perc" in name
    } == {
        "earned": 0.0,
        "possible": 1.0,
        "percent": 0.0,
        "optional_earned": 0.5,
        "optional_possible": 1.0,
        "optional_percent": 0.5,
    }


@pytest.mark.parametrize("types", [None, (), set()])
def test_nothing_is_told_and_asked_when_events_are_off(
    learner: Any, events: list[dict[str, Any]], settings: Any, types: Any
) -> None:
    settings.COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES = types
    with CaptureQueriesContext(connection) as queries:
        aggregate_stale()

    assert events == []
    assert not [each for each in queries if get_user_model().USERNAME_FIELD in each["sql"].split("FROM")[0]]


def test_only_the_chosen_types_are_told(learner: Any, events: list[dict[str, Any]], settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES = ["course"]
    aggregate_stale()

    assert told(events) == {"course/course": (0.0, 6.0, 0.0)}


def test_without_a_tracker_learners_are_aggregated_all_the_same(
    learner: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(tracker, "TRACKERS", {})

    mark_learners(COURSE_KEY, [learner.pk])
    assert aggregate_stale().written == 11
    assert caplog.records == []


def test_a_tracker_that_fails_is_logged_and_harms_nothing(
    learner: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError("No event.")

    with tracking(Backend()):
        monkeypatch.setattr(tracker.get_tracker(), "emit", fail)
        assert aggregate_stale().written == 11

    message = f"Values that have changed in {COURSE_KEY} could not be told"
    assert [(record.getMessage(), str(record.exc_info[1])) for record in caplog.records] == [(message, "No event.")]
    assert CourseAggregate.objects.get().computed_at is not None


def test_nothing_is_told_before_the_commit(learner: Any, events: list[dict[str, Any]]) -> None:
    with listening(progress_changed) as heard:
        with transaction.atomic():
            aggregate(COURSE_KEY, [learner.pk])
            assert (events, heard) == ([], [])

        assert (len(events), len(heard)) == (10, 1)


def test_nothing_is_told_of_what_is_rolled_back(learner: Any, events: list[dict[str, Any]]) -> None:
    with listening(progress_changed) as heard, transaction.atomic():
        aggregate(COURSE_KEY, [learner.pk])
        transaction.set_rollback(True)

    assert (events, heard) == ([], [])


def test_nothing_is_told_of_a_user_who_is_gone(learner: Any, events: list[dict[str, Any]], caplog: Any) -> None:
    other = EnrollmentFactory().user
    with transaction.atomic():
        aggregate(COURSE_KEY, [learner.pk, other.pk])
        learner.delete()

    assert {event["data"]["user_id"] for event in events} == {other.pk}
    assert caplog.records == []


def count_queries(learners: int) -> int:
    for _ in range(learners):
        complete(EnrollmentFactory().user, "html/h1", "html/h2", "problem/p1")
    with CaptureQueriesContext(connection) as queries:
        aggregate_stale()
    return len(queries)


def test_many_learners_cost_no_more_queries_than_one(course: Any, events: list[dict[str, Any]]) -> None:
    count_queries(1)
    events.clear()
    with listening(progress_changed) as heard:
        assert count_queries(1) == count_queries(20)

        assert (len(events), len(heard)) == (210, 21)


def test_events_cost_one_query(course: Any) -> None:
    count_queries(1)
    silent = count_queries(3)
    with tracking(Backend()):
        assert count_queries(3) == silent + 1


# progress_changed


def test_progress_is_told_once_for_each_learner_and_course(learner: Any) -> None:
    with listening(progress_changed) as heard:
        aggregate_stale()
        complete(learner, "html/h1", "html/h2", "problem/p1")
        aggregate_stale()

    user = {"user_id": learner.pk, "course_key": COURSE_KEY}
    assert heard == [
        user | {"earned": 0.0, "possible": 6, "percent": 0.0, "previous_percent": None},
        user | {"earned": 3.0, "possible": 6, "percent": 0.5, "previous_percent": 0.0},
    ]


def test_progress_of_the_same_values_is_not_told(learner: Any) -> None:
    complete(learner, "html/h1")
    aggregate_stale()
    with listening(progress_changed) as heard:
        BlockCompletion.objects.get().save()
        assert aggregate_stale().written == 5

    assert heard == []


def test_a_receiver_that_raises_harms_neither_others_nor_the_aggregation(learner: Any, caplog: Any) -> None:
    def fail(**kwargs: Any) -> None:
        raise ZeroDivisionError("No.")

    with listening(progress_changed, fail) as heard:
        assert aggregate_stale().written == 11

    assert len(heard) == 1
    assert ["No." in record.getMessage() for record in caplog.records] == [True]
