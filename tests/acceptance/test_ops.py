"""The files in ops/ name only what a site tells, and the documentation has all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from completion_aggregator.collector import read_gauges
from completion_aggregator.models import StaleCompletion
from completion_aggregator.services import aggregate_stale, verify_sample
from tests.acceptance.helpers import DETAIL
from tests.factories import complete

ROOT = Path(__file__).resolve().parent.parent.parent
ALERTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "ops/prometheus/alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "ops/grafana/completion-aggregator.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
NAME = re.compile(r"completion_aggregator_\w+")
LABELS = re.compile(r"(completion_aggregator_\w+)\{([^}]*)\}")


@pytest.fixture
def scraped(transactional_db: None, client: Client, learner: Any, settings: Any) -> dict[str, set[str]]:
    """The labels of each series that a site tells on which something has happened, by name."""
    settings.COMPLETION_AGGREGATOR_METRICS_TOKEN = "secret"  # noqa: S105
    complete(learner, "html/h1")
    StaleCompletion.objects.create(user=learner, course_key="nonsense", created=timezone.now())
    aggregate_stale()
    verify_sample()
    client.force_login(learner)
    client.get(DETAIL, {"username": "ada"})
    read_gauges.cache_clear()
    page = client.get("/api/completion/metrics/", headers={"Authorization": "Bearer secret"}).content.decode()
    read_gauges.cache_clear()
    families = text_string_to_metric_families(page)
    samples = [sample for family in families for sample in family.samples]
    # What has labels is told as soon as it has happened; that something was repeated is rare.
    found = {"completion_aggregator_retries_total": {"cause"}}
    for sample in samples:
        found.setdefault(sample.name, set()).update(sample.labels)
    return found


def expressions() -> list[str]:
    of_panels = [target["expr"] for panel in PANELS for target in panel["targets"]]
    return [*(alert["expr"] for alert in ALERTS), *of_panels]


def test_every_metric_that_is_asked_for_is_told(scraped: dict[str, set[str]]) -> None:
    assert len(expressions()) > 20
    assert {name for each in expressions() for name in NAME.findall(each)} - scraped.keys() == set()


def test_every_label_that_is_asked_for_is_told(scraped: dict[str, set[str]]) -> None:
    asked = [
        (name, label)
        for each in expressions()
        for name, labels in LABELS.findall(each)
        for label in re.findall(r"(\w+)[=!]", labels)
    ]

    assert asked
    assert [(name, label) for name, label in asked if label not in scraped[name]] == []


def test_every_metric_is_documented(scraped: dict[str, set[str]]) -> None:
    documented = set(NAME.findall((ROOT / "docs/reference/metrics.rst").read_text()))
    ours = {re.sub("_(bucket|count|sum|created)$", "", name) for name in scraped if NAME.match(name)}

    assert {name.removesuffix("_total") for name in ours} == {name.removesuffix("_total") for name in documented}


def test_every_alert_says_what_to_do() -> None:
    documented = (ROOT / "docs/howto/monitor.rst").read_text()

    assert [alert["alert"] for alert in ALERTS if f"\n``{alert['alert']}``\n" not in documented] == []
    assert all(alert["annotations"]["summary"] and alert["labels"]["severity"] for alert in ALERTS)


def test_every_alert_is_tried_out() -> None:
    tried = (ROOT / "ops/prometheus/alerts.test.yml").read_text()

    assert [alert["alert"] for alert in ALERTS if f"alertname: {alert['alert']}\n" not in tried] == []


def test_panels_do_not_overlap_and_have_titles() -> None:
    cells = [
        (x, y)
        for panel in PANELS
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert len({panel["title"] for panel in PANELS}) == len({panel["id"] for panel in PANELS}) == len(PANELS)
