"""The texts of the package and their translations.

`python -m tests.messages` brings every catalog up to date: texts that are new wait in the .po file for a translation,
those that are gone leave it, and the .mo file, which Django reads, is compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract, extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "completion_aggregator"
LOCALE = PACKAGE / "locale"
KEYWORDS = DEFAULT_KEYWORDS | {
    "gettext_noop": None,
    "gettext_lazy": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
COMMENT_TAGS = ("Translators:",)


def catalog_paths() -> list[Path]:
    """Return the .po file of each language."""
    return sorted(LOCALE.glob("*/LC_MESSAGES/django.po"))


def read_catalog(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3])


def compiled(catalog: Catalog) -> bytes:
    buffer = BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def extract_catalog(like: Catalog) -> Catalog:
    """Return the texts that are in the package now, with the header of another catalog."""
    found = Catalog(project=like.project, version=like.version, creation_date=like.creation_date)
    for path in _sources():
        method = extract_python if path.suffix == ".py" else _extract_template
        with path.open("rb") as file:
            place = str(path.relative_to(ROOT))
            for line, message, comments, context in extract(method, file, KEYWORDS, COMMENT_TAGS):
                found.add(message, locations=[(place, line)], auto_comments=comments, context=context)
    return found


def _sources() -> Iterator[Path]:
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".py", ".html", ".svg"):
            yield path


def _extract_template(file: Any, keywords: Iterable[str], tags: Iterable[str], options: dict[str, Any]) -> Any:
    """Let Django make Python of a template, as its makemessages does; indented lines would be none."""
    source = "\n".join(line.lstrip() for line in templatize(file.read().decode()).split("\n"))
    return extract_python(BytesIO(source.encode()), keywords, tags, {"encoding": "utf-8"} | options)


def update(path: Path) -> int:
    """Bring the catalog of a language up to date; return how many texts wait for a translation."""
    catalog = read_catalog(path)
    catalog.update(extract_catalog(catalog), no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    with path.open("wb") as file:
        write_po(file, catalog, width=100, sort_output=True, include_lineno=False)
    path.with_suffix(".mo").write_bytes(compiled(catalog))
    return sum(not is_translated(message) for message in catalog if message.id)


def is_translated(message: Any) -> bool:
    texts = message.string if isinstance(message.string, tuple | list) else [message.string]
    return all(texts) and not message.fuzzy


def main(write: Callable[[str], object] = sys.stdout.write) -> None:
    for path in catalog_paths():
        write(f"{path.parts[-3]}: {update(path)} texts to translate in {path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
