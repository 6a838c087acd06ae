"""The headers of the pages: what they may load, and that nobody keeps or frames them unless it is meant."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.utils.decorators import decorator_from_middleware
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_exempt

from completion_aggregator.conf import conf

View = Callable[..., HttpResponseBase]


def page(view: View) -> View:
    """Decorate what shows somebody's data in a window of its own."""
    return _not_framed(never_cache(_hardened(view)))


def framed_page(view: View) -> View:
    """Decorate what others may frame; it may have styles of its own."""
    return xframe_options_exempt(never_cache(_hardened(view, styles="'unsafe-inline'")))


#: X_FRAME_OPTIONS of the site, whether or not it has the middleware.
_not_framed = decorator_from_middleware(XFrameOptionsMiddleware)


def _hardened(view: View, *, styles: str = "") -> View:
    @wraps(view)
    def answer(*args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(*args, **kwargs)
        policy = _policy(styles) if conf.CONTENT_SECURITY_POLICY is None else conf.CONTENT_SECURITY_POLICY
        if policy:
            response.headers["Content-Security-Policy"] = policy
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return answer


def _policy(styles: str) -> str:
    """Return the policy for what the package's own templates are made of.

    Forms may lead anywhere: who logs out may be sent to another host, and some browsers look at that, too.
    """
    static = urlsplit(settings.STATIC_URL or "")
    own = f"'self' {static.scheme or 'https'}://{static.netloc}" if static.netloc else "'self'"
    return f"default-src 'none'; base-uri 'none'; img-src {own} data:; font-src {own}; style-src {own} {styles}".strip()
