"""health/: what load balancers and monitors ask, without an account."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from completion_aggregator.api.health import read_lag
from completion_aggregator.models import StaleCompletion
from tests.factories import COURSE_KEY
from tests.openapi.description import assert_as_described

HEALTH = "/api/completion/health/"
READY = f"{HEALTH}ready/"
LAG = f"{HEALTH}lag/"
ROOT = Path(__file__).resolve().parent.parent.parent
#: Asks each of the three where the database cannot be reached, as a host does that has a transaction for each request.
ASK = f"""
import json, django
django.setup()
from django.conf import settings
from django.test import Client
settings.DATABASES["default"]["ATOMIC_REQUESTS"] = True
client = Client()
answers = [client.get(path) for path in {[HEALTH, READY, LAG]!r}]
print(json.dumps([(answer.status_code, answer.json()) for answer in answers]))
"""


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    read_lag.cache_clear()
    yield
    read_lag.cache_clear()


def mark(user_id: int, *, seconds: float, **values: Any) -> None:
    """Let a learner have a marker that is so old."""
    created = timezone.now() - timedelta(seconds=seconds)
    StaleCompletion.objects.create(user_id=user_id, course_key=str(COURSE_KEY), created=created, **values)


def ask(client: Client, path: str) -> tuple[int, Any, int]:
    """Return status, body and the number of queries."""
    with CaptureQueriesContext(connection) as captured:
        response = client.get(path)
    assert_as_described(path, "GET", response.status_code, response.json())
    return response.status_code, response.json(), len(captured)


def test_a_process_that_answers_is_alive_without_a_query(client: Client, db: None) -> None:
    assert ask(client, HEALTH) == (200, {"status": "ok"}, 0)


@pytest.mark.parametrize("path", [READY, LAG])
def test_the_database_is_asked_once_however_often_it_is_asked(
    client: Client, db: None, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All within one slot of time.
    monkeypatch.setattr("completion_aggregator.api.health.KEEP", 10**12)
    for number in range(1, 101):
        mark(number, seconds=0)

    assert [ask(client, path)[2] for _ in range(3)] == [1, 0, 0]


def test_nothing_is_due(client: Client, db: None) -> None:
    assert ask(client, LAG) == (200, {"status": "ok", "lag": 0.0}, 1)


def test_the_oldest_due_marker_counts(client: Client, db: None, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_MAX_ATTEMPTS = 3
    mark(1, seconds=5_000, attempts=3)
    mark(2, seconds=4_000, attempts=1, not_before=timezone.now() + timedelta(hours=1))
    mark(3, seconds=300, attempts=1, not_before=timezone.now() - timedelta(hours=1))
    mark(4, seconds=200)

    status, body, queries = ask(client, LAG)

    assert (status, body.keys(), queries) == (200, {"status", "lag"}, 1)
    assert 300 <= body["lag"] < 400


def test_a_lag_above_the_setting_is_told(client: Client, db: None, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_MAX_LAG = 60
    mark(1, seconds=100_000)

    status, body, _ = ask(client, LAG)

    assert (status, body.keys()) == (503, {"detail"})
    assert body["detail"].startswith("The oldest due marker has waited for 10000")
    assert body["detail"].endswith(" seconds, more than 60.")
    # Requests are served as well as before.
    assert ask(client, READY)[:2] == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////nowhere/at/all",
        pytest.param("mysql://root@127.0.0.1:1/none", marks=pytest.mark.services),
        pytest.param("postgres://127.0.0.1:1/none", marks=pytest.mark.services),
    ],
)
def test_without_a_database(url: str) -> None:
    environment = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "sample_lms.settings"}
    asked = subprocess.run(  # noqa: S603
        [sys.executable, "-c", ASK], cwd=ROOT, env=environment, capture_output=True, text=True
    )

    assert asked.returncode == 0, asked.stderr
    unreachable = [503, {"detail": "The database does not answer."}]
    assert json.loads(asked.stdout) == [[200, {"status": "ok"}], unreachable, unreachable]


@pytest.mark.parametrize("path", [HEALTH, READY, LAG])
def test_a_redirect_is_no_answer_to_a_load_balancer(client: Client, db: None, path: str) -> None:
    assert client.get(path.removesuffix("/")).status_code == 200
    assert client.head(path).status_code == 200
    assert client.post(path).status_code == 405
