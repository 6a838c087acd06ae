"""health/: whether this process answers, whether it can work, and whether the aggregation keeps up.

Anybody may ask: load balancers have no account. The answers tell nothing but a number of seconds, and no more than
one question in a few seconds reaches the database for it. No part of a version of the API.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

from django.db import Error, transaction
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from completion_aggregator.api.common import harden
from completion_aggregator.api.schema import operations
from completion_aggregator.conf import conf
from completion_aggregator.selectors.status import get_lag

#: How long what was read is told. Unit: seconds.
KEEP = 5


# Without it, a host with ATOMIC_REQUESTS opens a transaction before the view is asked: with no database, a 500.
@method_decorator(transaction.non_atomic_requests, name="dispatch")
class _HealthView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()
    renderer_classes = (JSONRenderer,)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        harden(response)
        return response


class HealthView(_HealthView):
    """This process answers. Nothing is looked at: whoever restarts a process that does not answer asks here."""

    @operations.get_health
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class ReadinessView(_HealthView):
    """This process reaches the database, with its tables. Whoever sends requests to processes asks here.

    That the workers are behind does not matter here: no learner would be better off with fewer processes.
    """

    @operations.get_readiness
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"}) if _read_lag() is not None else _no_database()


class LagView(_HealthView):
    """No marker has been due for longer than COMPLETION_AGGREGATOR_MAX_LAG. A monitor without Prometheus asks here."""

    @operations.get_lag
    def get(self, request: Request) -> Response:
        lag = _read_lag()
        if lag is None:
            return _no_database()
        if lag > conf.MAX_LAG:
            text = _("The oldest due marker has waited for %(lag)d seconds, more than %(max)d.")
            return _unavailable(text % {"lag": lag, "max": conf.MAX_LAG})
        return Response({"status": "ok", "lag": lag})


def _read_lag() -> float | None:
    """Return the lag in seconds, as of the last few; None: the database does not answer."""
    try:
        return read_lag(int(time.monotonic() // KEEP))
    except Error:
        return None


@lru_cache(maxsize=1)
def read_lag(slot: int) -> float:
    """Read the lag; once for each slot of time."""
    return get_lag()


def _no_database() -> Response:
    return _unavailable(_("The database does not answer."))


def _unavailable(detail: str) -> Response:
    return Response({"detail": detail}, status=status.HTTP_503_SERVICE_UNAVAILABLE)
