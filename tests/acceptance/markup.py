"""What a page shows: its elements and its text."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

Attributes = dict[str, str | None]


class Page(HTMLParser):
    """A page, taken apart."""

    def __init__(self, response: Any, status: int = 200) -> None:
        super().__init__()
        assert response.status_code == status, response.content[:500]
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        #: The attributes of each element, by tag, in order.
        self.elements: dict[str, list[Attributes]] = {}
        #: All text within <main>, or in the page where there is none; spaces as a browser shows them.
        self.text = ""
        #: Text of each link, by its address.
        self.links: dict[str, str] = {}
        self._link: str | None = None
        self.feed(response.content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.setdefault(tag, []).append(dict(attrs))
        if tag == "main":
            self.text = ""
        if tag == "a":
            self._link = dict(attrs)["href"]

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._link = None
        if tag == "main":
            self.handle_data = lambda data: None  # type: ignore[method-assign]

    def handle_data(self, data: str) -> None:
        words = " ".join(data.split())
        if words:
            self.text = f"{self.text} {words}".strip()
            if self._link is not None:
                self.links[self._link] = words
