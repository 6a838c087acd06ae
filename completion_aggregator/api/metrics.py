"""metrics/: what Prometheus reads, where nothing else of the host shows it. No part of a version of the API."""

from __future__ import annotations

import os
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views import View

from completion_aggregator.api.common import harden
from completion_aggregator.conf import conf
from completion_aggregator.metrics import IS_INSTALLED


@method_decorator(transaction.non_atomic_requests, name="dispatch")
class MetricsView(View):
    """The metrics, for whoever has the token: a scraper has no account."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        harden(response)
        return response

    def get(self, request: HttpRequest) -> HttpResponse:
        if not conf.METRICS_TOKEN:
            return _refuse(404, _("Metrics are switched off."))
        if not constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {conf.METRICS_TOKEN}"):
            response = _refuse(401, _("The token is missing or wrong."))
            response["WWW-Authenticate"] = "Bearer"
            return response
        if not IS_INSTALLED:
            return _refuse(503, _("The package prometheus_client is not installed."))
        return HttpResponse(*_page())


def _refuse(status: int, detail: str) -> HttpResponse:
    return JsonResponse({"detail": detail}, status=status)


def _page() -> tuple[bytes, str]:
    """Return the text of the page and its type."""
    from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    from completion_aggregator.collector import DatabaseCollector

    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        # Of all the processes that count there, not of this one alone.
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(DatabaseCollector())
    return generate_latest(registry), CONTENT_TYPE_LATEST
