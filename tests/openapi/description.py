"""Reading docs/reference/openapi.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonschema import Draft202012Validator

FILE = Path(__file__).resolve().parent.parent.parent / "docs/reference/openapi.yaml"


class Operation(NamedTuple):
    """One method of one path."""

    path: str
    method: str
    told: dict[str, Any]

    @property
    def parameters(self) -> set[str]:
        """The names of all that can be given: in the query, the path and the body."""
        names = {each["name"] for each in self.told.get("parameters", [])}
        content = self.told.get("requestBody", {"content": {}})["content"]
        for each in content.values():
            names |= resolve(each["schema"])["properties"].keys()
        return names


class Example(NamedTuple):
    """An answer that is shown, with the body of its question."""

    name: str
    description: str
    status: int
    value: Any
    schema: dict[str, Any]
    body: Any


@cache
def description() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return loaded


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the component that a schema refers to, or the schema itself."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = description()["components"]["schemas"][name] if name else schema
    return found


def operations() -> list[Operation]:
    return [
        Operation(path, method, told)
        for path, methods in description()["paths"].items()
        for method, told in methods.items()
    ]


def examples() -> list[Example]:
    """Return each example of an answer once, though many operations may show it."""
    return list({example.name: example for operation in operations() for example in _examples(operation)}.values())


def _examples(operation: Operation) -> Iterator[Example]:
    request = operation.told.get("requestBody", {"content": {}})["content"].get("application/json", {})
    for status, response in operation.told["responses"].items():
        for content in response.get("content", {}).values():
            for name, example in content.get("examples", {}).items():
                body = request.get("examples", {}).get(name, {}).get("value")
                yield Example(name, example["description"], int(status), example["value"], content["schema"], body)


def violations(schema: dict[str, Any], value: Any) -> list[str]:
    """Tell what a value has that the schema does not; properties that are not told of, too."""
    validator = Draft202012Validator({**schema, "components": _strict_components()})
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


@cache
def _strict_components() -> dict[str, Any]:
    components = deepcopy(description()["components"])
    for schema in components["schemas"].values():
        schema.setdefault("additionalProperties", False)
    return components


def assert_as_described(path: str, method: str, status: int, data: Any) -> None:
    """Assert that such an answer is described; of a method that is not, that it is not allowed."""
    # The longest path first: a course key may hold slashes, too.
    templates = sorted(description()["paths"], reverse=True)
    template = next(each for each in templates if re.fullmatch(re.sub(r"{\w+}", "(?s:.+)", each) + "?", path))
    operation = description()["paths"][template].get(method.lower())
    if operation is None:
        assert status == 405, f"{method} {template} is not described"
        return
    assert str(status) in operation["responses"], f"{method} {template} is not said to be answered {status}"
    schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    assert violations(schema, data) == []
