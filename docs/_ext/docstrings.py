"""Reads the docstrings of the code: sections Args, Returns and Raises, and lines that begin with Cost or Source."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring

CONFIG = Config(napoleon_use_rtype=False)


def process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if what in ("attribute", "property"):
        if lines and lines[0].startswith("Alias for field number"):
            lines.clear()  # what Python says of a field that nobody has described
        return
    apart: list[str] = []
    for line in lines:
        if line.startswith(("Cost: ", "Source: ")) and apart and apart[-1]:
            apart.append("")
        apart.append(line)
    lines[:] = GoogleDocstring(apart, CONFIG, app, what, name, obj, options).lines()


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
