"""Each test that the documentation names as holding a promise exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
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


def named() -> Iterator[tuple[str, str, str]]:
    """Give each page with the tests that it names; without a file, a test is in that of the test before."""
    for page in sorted((ROOT / "docs").rglob("*.rst")):
        path = ""
        for file, name in re.findall(r"``(?:tests/)?([\w/]+\.py)?::(test_\w+|Test\w+)``", page.read_text()):
            path = f"tests/{file}" if file else path
            yield page.relative_to(ROOT).as_posix(), path, name


@pytest.mark.parametrize(("page", "path", "name"), list(named()))
def test_a_test_that_is_named_exists(page: str, path: str, name: str) -> None:
    assert name in names_in(path)


def test_every_promise_names_a_test() -> None:
    text = (ROOT / "docs/concepts/guarantees.rst").read_text().split("What is not promised")[0]
    promises = re.split(r"^\*\*(?=\w)", text, flags=re.MULTILINE)[1:]

    assert promises
    assert [promise for promise in promises if "``tests/" not in promise] == []
