"""What many processes have counted, told as one sum by whoever is asked."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from completion_aggregator.models import AggregatedChunk
from tests.factories import complete
from tests.workers.checks import nobody_is_stale
from tests.workers.site import Site, eventually

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

#: Another process of the site: it has counted nothing itself.
ASK = """
import django
django.setup()
from django.test import Client
print(Client().get("/api/completion/metrics/", headers={"Authorization": "Bearer secret"}).content.decode())
"""


def sums(page: str) -> dict[str, float]:
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return {
        sample.name.removeprefix("completion_aggregator_"): sample.value
        for sample in samples
        if sample.name.endswith(("_count", "_resolved_total")) or sample.labels.get("outcome") == "aggregated"
    }


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def test_what_workers_have_counted_outlives_them(
    site: Site, learners: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "counted"
    directory.mkdir()
    port = free_port()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(directory))
    monkeypatch.setenv("METRICS_PORT", str(port))
    site.settings["COMPLETION_AGGREGATOR_METRICS_TOKEN"] = "secret"  # noqa: S105
    expected = {"chunk_seconds_count": 12, "learners_total": 12, "markers_resolved_total": 12, "lag_seconds_count": 12}

    worker = site.start_worker(concurrency=3)
    site.run_pass("--batch-size", "1")
    eventually(nobody_is_stale)
    eventually(lambda: AggregatedChunk.objects.count() == 12)
    worker.wait_until_idle()

    # The worker tells what its processes have done …
    with urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        assert sums(page.read().decode()) == expected
    # … and so does any process that has the same directory, after the worker was killed, and another one has come.
    worker.kill()
    monkeypatch.delenv("METRICS_PORT")
    complete(learners[0], "html/h1")
    site.start_worker().wait_until_idle()
    site.run_pass()
    eventually(lambda: AggregatedChunk.objects.count() == 13)
    eventually(nobody_is_stale)
    asked = site.start("-c", ASK)
    assert asked.wait() == 0
    found = sums(asked.log.read_text())
    assert {name: found[name] for name in expected} == dict.fromkeys(expected, 13)
    assert 'completion_aggregator_markers{state="due"} 0.0' in asked.log.read_text()
