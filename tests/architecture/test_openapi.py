"""docs/reference/openapi.yaml is what the code says, and tells all that there is."""

from __future__ import annotations

import inspect
import re
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
from django.core.management import call_command
from django.urls import URLPattern, reverse
from rest_framework.views import APIView

from completion_aggregator import urls
from completion_aggregator.api import filters
from completion_aggregator.api.common import CompletionView, CompletionViewMixin
from completion_aggregator.api.v0 import urls as v0
from completion_aggregator.api.v1 import urls as v1
from tests.openapi.description import FILE, Example, Operation, description, examples, operations, violations

#: Reading a parameter, by its name.
READS = r"parameters(?:\.get_\w+\(|\.values\[|, )\s*\"(\w+)\""
#: What views call, and what these read for them.
HELPERS = {
    name: inspect.getsource(function)
    for where in (CompletionViewMixin, filters)
    for name, function in inspect.getmembers(where, inspect.isfunction)
}


def read_names(source: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """Return the names of the parameters that this code reads, by itself or by what it calls."""
    called = {name for name in HELPERS.keys() - seen if f"{name}(" in source}
    names = {*re.findall(READS, source)}
    return names.union(*(read_names(HELPERS[name], seen | called) for name in called))


class Route(NamedTuple):
    """What a path of the API leads to."""

    path: str
    view: type[CompletionView]

    @property
    def methods(self) -> set[str]:
        return {name for name in self.view.http_method_names if name != "options" and hasattr(self.view, name)}

    @property
    def parameters(self) -> set[str]:
        """What the view reads."""
        classes = [each for each in self.view.__mro__ if re.search(r"\.api\.v\d", each.__module__)]
        source = "".join(map(inspect.getsource, classes))
        paging = {"self.paginate(": {"page", "page_size"}, "RosterPagination": {"cursor"}}
        return read_names(source).union(*(names for sign, names in paging.items() if sign in source))


def routes() -> list[Route]:
    found = []
    for version in (v0, v1):
        namespace = f"completion_api_{version.__name__.split('.')[-2]}"
        for pattern in version.urlpatterns:
            names = {name: f"{{{name}}}" for name in pattern.pattern.regex.groupindex}
            path = unquote(reverse(f"{namespace}:{pattern.name}", kwargs=names))
            found.append(Route(f"{path.removesuffix('/')}/", pattern.callback.view_class))
    patterns = [each for each in urls.urlpatterns if isinstance(each, URLPattern)]
    views = {each.name: getattr(each.callback, "view_class", object) for each in patterns}
    return found + [Route(f"{reverse(name)}/", view) for name, view in views.items() if issubclass(view, APIView)]


def test_the_file_is_what_the_code_says(tmp_path: Path) -> None:
    generated = tmp_path / "openapi.yaml"

    call_command("spectacular", file=str(generated), fail_on_warn=True, validate=True, stderr=StringIO())

    assert generated.read_text() == FILE.read_text(), "docs/reference/openapi.yaml is out of date: run `make schema`."


def test_every_path_is_told_with_every_method() -> None:
    there = {(route.path, method) for route in routes() for method in route.methods}

    assert {(operation.path, operation.method) for operation in operations()} == there


@pytest.mark.parametrize("route", routes(), ids=lambda route: route.path)
def test_every_parameter_that_is_read_is_told(route: Route) -> None:
    told = set().union(*(operation.parameters for operation in operations() if operation.path == route.path))

    assert route.parameters <= told


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.told["operationId"])
def test_every_operation_is_told_completely(operation: Operation) -> None:
    told = operation.told

    assert told["summary"]
    assert told["description"]
    assert told["security"]
    assert told.get("deprecated", False) == ("/v0/" in operation.path)
    assert [each["name"] for each in told.get("parameters", []) if not each.get("description")] == []
    is_public = told["security"] == [{}]
    assert is_public == ("/health/" in operation.path)
    statuses = {"400", "401", "403"} if not is_public else set()
    statuses |= {"413", "415"} if "requestBody" in told else set()
    assert statuses <= told["responses"].keys()
    assert "404" in told["responses"] or "{" not in operation.path
    assert {"200", "201", "202"} & told["responses"].keys()
    for status, response in told["responses"].items():
        assert response["description"], status
        if status >= "400":
            assert response["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}


def test_every_operation_of_version_1_is_shown_by_an_example() -> None:
    shown = {each.description.split("?")[0].split("`")[1] for each in examples() if each.status < 400}
    for operation in operations():
        if "/v1/" in operation.path:
            pattern = f"{operation.method.upper()} {re.sub(r'{.+?}', '.+', operation.path)}"
            assert any(re.fullmatch(pattern, each) for each in shown), f"no example of {pattern}"


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_every_example_has_the_shape_that_is_told(example: Example) -> None:
    assert violations(example.schema, example.value) == []


def test_the_names_of_the_operations_stay() -> None:
    # Generated clients have them in their code.
    assert {operation.told["operationId"] for operation in operations()} >= {
        "explainCompletion",
        "exportCourseCompletion",
        "getCourseCompletion",
        "getCourseCompletionV0",
        "getCourseStats",
        "getCourseSummary",
        "listCourseCompletions",
        "listCourseCompletionsV0",
        "queryCompletionsInBulk",
        "queryCourseCompletion",
        "refreshCompletion",
        "submitBlockCompletionV0",
    }


def test_every_component_is_used() -> None:
    text = FILE.read_text()
    names: list[Any] = list(description()["components"]["schemas"])

    assert [name for name in names if f"#/components/schemas/{name}'" not in text] == []
