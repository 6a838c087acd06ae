"""What is logged: docs/reference/logs.rst lists every event with its fields."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError

from completion_aggregator.logs import log_event
from completion_aggregator.models import StaleCompletion
from completion_aggregator.services import aggregate_stale, aggregation
from completion_aggregator.tasks import dispatch
from sample_lms.lms import SampleLMS
from tests.factories import COURSE_KEY, EnrollmentFactory, complete

ROOT = Path(__file__).resolve().parent.parent.parent
USUAL = logging.makeLogRecord({}).__dict__.keys() | {"message", "asctime"}


@pytest.fixture(autouse=True)
def _everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "completion_aggregator")


def events(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the fields of each event, the name of the event among them."""
    return [
        {name: value for name, value in vars(record).items() if name not in USUAL}
        for record in caplog.records
        if hasattr(record, "event")
    ]


def test_a_chunk_tells_what_was_done(caplog: pytest.LogCaptureFixture, learner: Any) -> None:
    complete(learner, "html/h1")
    aggregate_stale()

    (event,) = events(caplog)
    assert event.pop("seconds") > 0
    assert event.pop("lag") > 0
    assert event == {
        "event": "chunk_aggregated",
        "course": str(COURSE_KEY),
        "learners": 1,
        "written": 11,
        "deleted": 0,
        "resolved": 2,
        "failed": 0,
        "skipped": 0,
    }
    (record,) = caplog.records
    assert record.levelname == "INFO"
    assert record.name == "completion_aggregator.services.aggregation"
    pattern = (
        r"chunk_aggregated course=course-v1:Org\+Course\+Run seconds=\d+\.\d{3} learners=1 written=11 deleted=0 .*"
    )
    assert re.fullmatch(pattern, record.getMessage())


def test_a_failure_tells_who_and_why(
    caplog: pytest.LogCaptureFixture,
    learner: Any,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise ValueError(learner.username)

    monkeypatch.setattr(SampleLMS, "course_views", fail)
    with django_capture_on_commit_callbacks(execute=True):
        aggregate_stale()

    failed = [event for event in events(caplog) if event["event"] == "learners_failed"]
    assert failed == [
        {
            "event": "learners_failed",
            "course": str(COURSE_KEY),
            "learners": 1,
            "user_ids": str(learner.pk),
            "cause": "ValueError",
        }
    ]
    assert learner.username not in caplog.text
    texts = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert texts == [f"learners_failed course={COURSE_KEY} learners=1 user_ids={learner.pk} cause=ValueError"]


def test_an_attempt_that_is_repeated_is_told(
    caplog: pytest.LogCaptureFixture, learner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_rows, left = aggregation.ensure_rows, [OperationalError("deadlock")]

    def fail_once(*args: Any) -> None:
        if left:
            raise left.pop()
        ensure_rows(*args)

    monkeypatch.setattr(aggregation, "ensure_rows", fail_once)
    aggregate_stale()

    repeated, done = events(caplog)
    assert repeated == {"event": "attempt_repeated", "attempts": 1, "cause": "OperationalError"}
    assert (done["event"], done["learners"]) == ("chunk_aggregated", 1)


def test_a_dispatch_tells_what_was_sent(caplog: pytest.LogCaptureFixture, learner: Any) -> None:
    EnrollmentFactory()
    dispatch(chunk_size=1)

    (sent,) = [event for event in events(caplog) if event["event"] == "chunks_sent"]
    assert sent.pop("seconds") > 0
    assert sent == {"event": "chunks_sent", "learners": 2, "chunks": 2}


@pytest.mark.parametrize(("options", "name"), [([], "chunks_sent"), (["--inline"], "pass_finished")])
def test_a_pass_of_the_service_is_told(
    caplog: pytest.LogCaptureFixture, learner: Any, options: list[str], name: str
) -> None:
    call_command("run_aggregator_service", *options, stdout=StringIO())

    (finished,) = [event for event in events(caplog) if event["event"] == name]
    assert finished.pop("seconds") > 0
    assert finished == {"event": name, "learners": 1, "chunks": 1}


def test_no_name_is_logged(caplog: pytest.LogCaptureFixture, learner: Any) -> None:
    complete(learner, "html/h1")
    aggregate_stale()
    StaleCompletion.objects.create(user=learner, course_key="nonsense")
    aggregate_stale()

    assert caplog.records
    assert learner.username not in caplog.text


def test_every_event_is_documented_with_its_fields() -> None:
    written = "".join(path.read_text() for path in (ROOT / "completion_aggregator").rglob("*.py"))
    names = set(re.findall(r'"(chunk_\w+|chunks_\w+|pass_\w+|learners_failed|attempt_\w+)"', written))
    documented = (ROOT / "docs/reference/logs.rst").read_text()

    assert names == {
        "chunk_aggregated",
        "chunks_sent",
        "pass_finished",
        "pass_failed",
        "learners_failed",
        "attempt_repeated",
    }
    assert [name for name in names if f"``{name}``" not in documented] == []


def test_an_event_is_one_line_whatever_is_in_it(caplog: pytest.LogCaptureFixture) -> None:
    log_event(logging.getLogger("completion_aggregator.x"), logging.INFO, "chunks_sent", course="two\nlines")

    assert caplog.messages == ['chunks_sent course="two\\nlines"']


def test_what_nobody_listens_to_is_not_made(caplog: pytest.LogCaptureFixture) -> None:
    class Loud:
        def __str__(self) -> str:
            raise AssertionError

    log_event(logging.getLogger("completion_aggregator.quiet"), logging.DEBUG, "nothing", value=Loud())

    assert caplog.records == []


def test_the_sample_lms_logs_json(tmp_path: Path) -> None:
    code = (
        "import django, logging; django.setup()\n"
        "from completion_aggregator.logs import log_event\n"
        "log_event(logging.getLogger('completion_aggregator.x'), 20, 'chunks_sent', learners=3, seconds=.5)\n"
    )
    environment = os.environ | {"LOG_FORMAT": "json", "DJANGO_SETTINGS_MODULE": "sample_lms.settings"}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )

    record = json.loads(done.stderr)
    assert record.pop("asctime")
    assert record == {
        "levelname": "INFO",
        "name": "completion_aggregator.x",
        "message": "chunks_sent learners=3 seconds=0.500",
        "event": "chunks_sent",
        "learners": 3,
        "seconds": 0.5,
    }
