"""Spans, taken by OpenTelemetry's own SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from completion_aggregator import tracing
from completion_aggregator.services import aggregate_stale
from sample_lms.lms import SampleLMS
from tests.acceptance.helpers import DETAIL
from tests.factories import COURSE_KEY, complete

PREFIX = "completion_aggregator."


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What is exported."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("tests"))
    yield exporter
    provider.shutdown()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return {name.removeprefix(PREFIX): value for name, value in (span.attributes or {}).items()}


def names_below(spans: InMemorySpanExporter, parent: ReadableSpan) -> list[str]:
    """Return the names of the spans right below one, in the order in which they have begun."""
    below = [
        span for span in spans.get_finished_spans() if span.parent and span.parent.span_id == parent.context.span_id
    ]
    return [span.name.removeprefix(PREFIX) for span in sorted(below, key=lambda span: span.start_time or 0)]


def find(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    (found,) = [span for span in spans.get_finished_spans() if span.name == PREFIX + name]
    return found


@pytest.mark.django_db(transaction=True)
def test_a_chunk_has_a_span_with_its_parts(learner: Any, spans: InMemorySpanExporter) -> None:
    complete(learner, "html/h1")
    aggregate_stale()

    chunk = find(spans, "aggregate_chunk")
    assert attributes(chunk) == {"course": str(COURSE_KEY), "learners": 1, "rows": 11, "resolved": 2, "failed": 0}
    assert names_below(spans, chunk) == ["sync_structure", "lock", "read_markers", "compute", "write", "announce"]


@pytest.mark.django_db
def test_a_part_that_fails_says_so(learner: Any, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise ValueError("no views")

    monkeypatch.setattr(SampleLMS, "course_views", fail)
    aggregate_stale()

    assert attributes(find(spans, "aggregate_chunk"))["failed"] == 1
    part = find(spans, "compute")
    assert part.status.status_code == StatusCode.ERROR
    assert [event.attributes["exception.message"] for event in part.events if event.attributes] == ["no views"]


@pytest.mark.django_db
def test_a_request_has_a_span(client: Client, learner: Any, spans: InMemorySpanExporter) -> None:
    client.force_login(learner)
    client.get(DETAIL, {"username": "ada"})

    assert attributes(find(spans, "request")) == {
        "endpoint": "completion_api_v1:detail",
        "course": str(COURSE_KEY),
        "status": 200,
        "results": 1,
    }


def test_without_a_provider_there_is_nothing_to_pay_for() -> None:
    with tracing.span("nothing", course="x") as current:
        assert not trace.get_current_span().is_recording()
        assert not current.is_recording()
