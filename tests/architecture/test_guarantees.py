"""Each test that the documentation names as holding a promise exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@cache
def names_in(path: str) -> set[str]:
    """Return the names of the tests of a file, of its classes too; none if there is no such file."""
    if not (ROOT / path).is_file():
        return set()
    tree = ast.parse((ROOT / path).read_text())
    return {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def named() -> list[tuple[str, str, str]]:
    """Return each page with the tests that it names."""
    return [
        (page.relative_to(ROOT).as_posix(), path, name)
        for page in sorted((ROOT / "docs").rglob("*.rst"))
        for path, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", page.read_text())
    ]


@pytest.mark.parametrize(("page", "path", "name"), named())
def test_a_test_that_is_named_exists(page: str, path: str, name: str) -> None:
    assert name in names_in(path)


def test_every_promise_names_a_test() -> None:
    text = (ROOT / "docs/concepts/guarantees.rst").read_text().split("What is not promised")[0]
    promises = re.split(r"^\*\*(?=\w)", text, flags=re.MULTILINE)[1:]

    assert promises
    assert [promise for promise in promises if "``tests/" not in promise] == []
