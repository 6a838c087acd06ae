"""The stylesheet and the templates of the pages, looked at as files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

import completion_aggregator

PACKAGE = Path(completion_aggregator.__file__).parent
STYLE = (PACKAGE / "static/completion_aggregator/style.css").read_text(encoding="utf-8")
TEMPLATES = sorted((PACKAGE / "templates").rglob("*.html"))
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#\w{6})", each)) for each in re.findall(r":root \{(.*?)\}", STYLE, re.S)[:2]
)

#: What stands on what, and the contrast that it needs (WCAG 2.2: 1.4.3 for text, 1.4.11 for the rest).
PAIRS = [
    *(
        (text, ground, 4.5)
        for text in ("text", "muted", "link", "warn", "bad")
        for ground in ("page", "surface", "hover")
    ),
    ("accent-text", "accent", 4.5),
    ("accent", "surface", 4.5),
    ("warn", "warn-soft", 4.5),
    ("bad", "bad-soft", 4.5),
    ("text", "track", 4.5),
    *((line, ground, 3.0) for line in ("edge", "focus") for ground in ("page", "surface")),
    ("accent", "track", 3.0),
    ("line-2", "surface", 3.0),
    ("line-3", "surface", 3.0),
]


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back", "needed"), PAIRS)
def test_what_is_to_be_read_or_seen_stands_out(colours: dict[str, str], front: str, back: str, needed: float) -> None:
    darker, lighter = sorted(map(luminance, (colours[front], colours[back])))

    assert (lighter + 0.05) / (darker + 0.05) >= needed


def test_dark_changes_every_colour_of_light() -> None:
    assert DARK.keys() == LIGHT.keys()


def test_the_stylesheet_needs_nothing_else_and_knows_no_left_or_right() -> None:
    rules = re.sub(r"/\*.*?\*/", "", STYLE, flags=re.S)

    assert not re.search(r"@import|url\(|!important", rules)
    sides = (
        r"(margin|padding|border|inset)-(left|right|top|bottom)|float:|(?<![\w-])(left|right|top|bottom|width|height):"
    )
    assert re.findall(sides, rules) == []
    assert not re.search(r"text-align: (left|right)", rules)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(PACKAGE / "templates")))
def test_every_text_of_a_template_can_be_translated(template: Path) -> None:
    source = template.read_text(encoding="utf-8")
    source = re.sub(r"\{% blocktranslate.*?\{% endblocktranslate %\}|\{%.*?%\}|\{\{.*?\}\}", "", source, flags=re.S)
    page = BeautifulSoup(source, "html.parser")
    for each in page(["style"]):
        each.decompose()

    spoken = [
        str(tag[name]) for name in ("aria-label", "title", "alt", "placeholder") for tag in page.select(f"[{name}]")
    ]
    found = [text for text in [*page.stripped_strings, *spoken] if re.search(r"[^\W\d_]", text) and text != "html"]
    assert found == []
