"""The translations are complete."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from babel.messages.mofile import read_mo
from django.utils.translation import gettext, override

from tests.messages import PACKAGE, catalog_paths, compiled, extract_catalog, is_translated, read_catalog

catalogs = pytest.mark.parametrize("path", catalog_paths(), ids=lambda path: path.parts[-3])
#: What may stand in a template outside of a tag for translation: no words.
WORDLESS = re.compile(r"[^\W\d_]")


def keys(catalog: Any) -> set[Any]:
    return {(message.context, message.id) for message in catalog if message.id}


def test_there_is_a_second_language() -> None:
    assert "de" in [path.parts[-3] for path in catalog_paths()]


@catalogs
def test_a_catalog_holds_the_texts_of_the_package_and_no_others(path: Path) -> None:
    """If not: `make messages`, then translate what is new."""
    catalog = read_catalog(path)
    found = extract_catalog(catalog)

    assert keys(found) - keys(catalog) == set()
    assert keys(catalog) - keys(found) == set()
    assert not catalog.obsolete


@catalogs
def test_every_text_has_a_translation_that_takes_the_same_values(path: Path) -> None:
    catalog = read_catalog(path)

    assert [message.id for message in catalog if message.id and not is_translated(message)] == []
    assert [(message.id, errors) for message, errors in catalog.check()] == []
    for message in catalog:
        texts = zip(*(x if isinstance(x, list | tuple) else (x,) for x in (message.id, message.string)), strict=True)
        for original, translation in texts:
            if message.id:
                assert sorted(_fields(translation)) == sorted(_fields(original)), message.id


def _fields(text: str) -> list[str]:
    return re.findall(r"%\(\w+\)s|\{\w+\}", text)


@catalogs
def test_django_reads_what_the_catalog_says(path: Path) -> None:
    assert path.with_suffix(".mo").read_bytes() == compiled(read_catalog(path))
    assert len(read_mo(BytesIO(path.with_suffix(".mo").read_bytes()))) == len(read_catalog(path))
    with override("de"):
        assert gettext("My progress") == "Mein Fortschritt"


@pytest.mark.parametrize("path", sorted((PACKAGE / "templates").rglob("*.html")), ids=lambda path: path.name)
def test_a_template_has_no_words_outside_of_translations(path: Path) -> None:
    text = path.read_text()
    for what in (
        r"{% blocktranslate.*?{% endblocktranslate %}",
        r"{%.*?%}",
        r"{{.*?}}",
        r"{#.*?#}",
        r"<style>.*?</style>",
    ):
        text = re.sub(what, "", text, flags=re.DOTALL)
    for attribute in ("title", "alt", "placeholder", "aria-label"):
        assert not re.search(rf'\b{attribute}="[^"]*[a-z]', text), attribute

    assert [line for line in re.sub(r"<[^>]*>", "", text, flags=re.DOTALL).split("\n") if WORDLESS.search(line)] == []
