"""metrics/: what Prometheus reads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from completion_aggregator import collector
from completion_aggregator.models import AggregatedChunk, ReachedThreshold, SnapshotWish, StaleCompletion, Verification
from completion_aggregator.services import aggregate_stale, claim_stale_chunks
from tests.acceptance.helpers import DETAIL
from tests.factories import COURSE_KEY, EnrollmentFactory, complete

METRICS = "/api/completion/metrics/"
TOKEN = "a token"  # noqa: S105
ROOT = Path(__file__).resolve().parent.parent.parent
#: Aggregates, tells the time of a request and asks for the metrics where neither package is installed.
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(["prometheus_client", "opentelemetry"]))
import django
django.setup()
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
from completion_aggregator.models import StaleCompletion
from completion_aggregator.services import aggregate_stale
StaleCompletion.objects.create(user_id=1, course_key="course-v1:No+Such+Course")
print(aggregate_stale())
print(Client().get("/api/completion/v1/course/").status_code)
answer = Client().get("/api/completion/metrics/", headers={"Authorization": "Bearer secret"})
print(answer.status_code, answer.json())
"""


@pytest.fixture(autouse=True)
def _nothing_remembered(settings: Any) -> Iterator[None]:
    settings.COMPLETION_AGGREGATOR_METRICS_TOKEN = TOKEN
    read_gauges = collector.read_gauges
    read_gauges.cache_clear()
    yield
    read_gauges.cache_clear()


def scrape(client: Client) -> dict[str, float]:
    """Return the value of each of our series, by name and labels."""
    response = client.get(METRICS, headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=")
    return series(response.content)


def series(page: bytes) -> dict[str, float]:
    samples = (sample for family in text_string_to_metric_families(page.decode()) for sample in family.samples)
    found = {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for sample in samples
        if not sample.name.endswith("_created")
    }
    prefix = "completion_aggregator_"
    return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}


def test_nobody_reads_them_where_no_token_is_set(client: Client, db: None, settings: Any, staff: Any) -> None:
    settings.COMPLETION_AGGREGATOR_METRICS_TOKEN = ""
    client.force_login(staff)

    answer = client.get(METRICS, headers={"Authorization": "Bearer "})

    assert (answer.status_code, answer.json()) == (404, {"detail": "Metrics are switched off."})


@pytest.mark.parametrize("sent", ["", "Bearer", "Bearer wrong", "Basic a token", "a token", "Bearer ü"])
def test_the_token_is_asked_for(client: Client, db: None, sent: str) -> None:
    answer = client.get(METRICS, HTTP_AUTHORIZATION=sent)

    assert (answer.status_code, answer.json()) == (401, {"detail": "The token is missing or wrong."})
    assert answer["WWW-Authenticate"] == "Bearer"


def test_nothing_is_changed_by_it(client: Client, db: None) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answers = {name: getattr(client, name)(METRICS, headers=headers) for name in ("head", "options", "post")}

    assert {name: (each.status_code, each.content) for name, each in answers.items()} == {
        "head": (200, b""),
        "options": (200, b""),
        "post": (405, b""),
    }
    assert all("no-store" in each["Cache-Control"] for each in answers.values())


def test_gauges_tell_what_is_stored(client: Client, learner: Any) -> None:
    now = timezone.now()
    others = [EnrollmentFactory().user for _ in range(3)]
    list(claim_stale_chunks(limit=1))
    StaleCompletion.objects.filter(user=others[0]).update(attempts=1, not_before=now + timedelta(hours=1))
    StaleCompletion.objects.filter(user=others[1]).update(attempts=10)
    StaleCompletion.objects.filter(user=others[2]).update(bulk=True)
    StaleCompletion.objects.filter(user=learner).update(created=now - timedelta(seconds=500))
    ReachedThreshold.objects.create(user=learner, course_id=1, threshold=0.5, percent=0.5, reached_at=now, due_at=now)
    ReachedThreshold.objects.create(user=learner, course_id=1, threshold=0.25, percent=0.5, reached_at=now, sent_at=now)
    SnapshotWish.objects.create(course_id=1, wanted_at=now - timedelta(seconds=200))
    SnapshotWish.objects.create(course_id=2, wanted_at=None)
    counts = dict.fromkeys(("seconds", "learners", "written", "deleted", "resolved", "failed", "skipped"), 1)
    AggregatedChunk.objects.create(finished_at=now, **counts)

    found = scrape(client)

    names = ("database_up", "markers", "markers_bulk", "markers_queued", "stale_learners", "unsent_thresholds")
    assert {name: value for name, value in found.items() if name.split()[0] in names} == {
        "database_up": 1,
        "markers state=due": 2,
        "markers state=waiting": 1,
        "markers state=given_up": 1,
        "markers_bulk": 1,
        "markers_queued": 1,
        "stale_learners": 4,
        "unsent_thresholds": 1,
    }
    assert 500 <= found["oldest_due_age_seconds"] < 600
    assert 200 <= found["snapshot_lag_seconds"] < 300
    assert found["last_chunk_timestamp_seconds"] == pytest.approx(now.timestamp(), abs=0.001)


def test_an_empty_site_has_gauges_too(client: Client, db: None) -> None:
    found = scrape(client)

    assert found["oldest_due_age_seconds"] == found["snapshot_lag_seconds"] == found["markers state=due"] == 0
    assert "last_chunk_timestamp_seconds" not in found
    assert not any("verif" in name or "drift" in name for name in found)


def test_what_the_last_verification_has_found_is_told(client: Client, learner: Any) -> None:
    Verification.objects.create(
        finished_at=timezone.now(), courses=9, failed_courses=1, learners=50, stale=4, drifted=3, causes={"value": 3}
    )

    found = scrape(client)

    names = ("verified_learners", "drifted_learners", "unverified_courses")
    assert {name: found[name] for name in names} == dict(zip(names, (50, 3, 1), strict=True))
    assert found["verification_timestamp_seconds"] == pytest.approx(timezone.now().timestamp(), abs=60)


@pytest.mark.parametrize("number", [1, 100])
def test_a_scrape_costs_seven_queries_once_in_a_while(
    client: Client, course: Any, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "KEEP", 10**12)
    for _ in range(number):
        EnrollmentFactory()

    counts = []
    for _ in range(3):
        with CaptureQueriesContext(connection) as captured:
            scrape(client)
        counts.append(len(captured))

    assert counts == [7, 0, 0]


def test_without_a_database_the_page_says_so(client: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(slot: int) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(collector, "read_gauges", fail)

    found = scrape(client)

    assert found["database_up"] == 0
    # What the process has counted is told all the same.
    assert "chunk_seconds_count" in found


def test_whoever_exports_the_default_registry_has_them(client: Client, db: None) -> None:
    assert series(generate_latest(REGISTRY)).keys() == scrape(client).keys()


def test_requests_are_timed_by_endpoint_status_and_freshness(client: Client, learner: Any, staff: Any) -> None:
    aggregate_stale()
    endpoint = "request_seconds_count endpoint=completion_api_v1:detail freshness={} status={}"
    names = [endpoint.format(*labels) for labels in (("stored", 200), ("computed", 200), ("stored", 401))]
    before = scrape(client)

    client.get(DETAIL, {"username": "ada"})
    client.force_login(learner)
    client.get(DETAIL, {"username": "ada"})
    complete(learner, "html/h1")
    client.get(DETAIL, {"username": "ada"})
    client.get(DETAIL, {"username": "ada"})

    after = scrape(client)
    assert [after[name] - before.get(name, 0) for name in names] == [1, 2, 1]


def test_labels_tell_of_no_learner_and_no_course(client: Client, learner: Any) -> None:
    complete(learner, "html/h1")
    aggregate_stale()
    client.force_login(learner)
    client.get(DETAIL, {"username": "ada"})

    page = client.get(METRICS, headers={"Authorization": f"Bearer {TOKEN}"}).content.decode()

    assert str(COURSE_KEY) not in page
    assert get_user_model().objects.get().username not in page
    allowed = {"le", "state", "outcome", "operation", "cause", "endpoint", "status", "freshness"}
    found = {name.split("=")[0] for each in series(page.encode()) for name in each.split(" ")[1:]}
    assert found <= allowed


def test_nothing_of_it_is_needed(tmp_path: Path) -> None:
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'site.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": "sample_lms.settings",
        "COMPLETION_AGGREGATOR_METRICS_TOKEN": "secret",
    }
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", WITHOUT], cwd=ROOT, env=environment, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    refused = {"detail": "The package prometheus_client is not installed."}
    assert "failed=1" in done.stdout
    assert done.stdout.splitlines()[-2:] == ["401", f"503 {refused}"]
