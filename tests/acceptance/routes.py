"""Every path of the package, read from its URL conf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.urls import URLPattern, URLResolver
from django.utils.regex_helper import normalize

from completion_aggregator.urls import urlpatterns


class Route(NamedTuple):
    """One path below the mount, as "v1/course/{course_key}/", and the class of its view."""

    path: str
    view: Any

    @property
    def is_public(self) -> bool:
        """Whether nobody needs an account for it: it is for machines."""
        return self.path.startswith(("health/", "metrics/"))

    @property
    def methods(self) -> set[str]:
        """What the view answers, but for OPTIONS, which all do."""
        names = self.view.http_method_names
        return {name.upper() for name in names if name not in {"head", "options"} and hasattr(self.view, name)}


def routes(patterns: Iterable[Any] = urlpatterns, prefix: str = "") -> Iterator[Route]:
    for pattern in patterns:
        ((path, names),) = normalize(pattern.pattern.regex.pattern)
        whole = prefix + path % {name: f"{{{name}}}" for name in names}
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, whole)
        else:
            assert isinstance(pattern, URLPattern)
            view: Any = pattern.callback
            yield Route(f"{whole.removesuffix('/')}/", view.view_class)
