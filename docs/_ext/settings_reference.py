"""Lists the settings from completion_aggregator/conf.py, so that the reference cannot drift from the code.

.. settings::          every setting: name, default, meaning, what is valid
.. retired-settings::  the settings of the replaced plugin that have no effect any more, and why
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

from completion_aggregator.conf import RETIRED, Settings


class _Generated(Directive):
    """Parses what `lines` makes from the code as if it stood in the page."""

    has_content = False
    lines: Callable[..., list[str]]

    def run(self) -> list[nodes.Node]:
        node = nodes.section()
        node.document = self.state.document
        self.state.nested_parse(StringList(self.lines(), source="completion_aggregator/conf.py"), 0, node)
        return node.children


class SettingsDirective(_Generated):
    def lines(self) -> list[str]:
        found = []
        for setting in Settings.all():
            found += [
                f"``{setting.name}``",
                f"    {setting.doc}",
                "",
                f"    * Default: {_default(setting.default)}",
                f"    * Valid: {setting.expects}",
                "",
            ]
        return found


class RetiredSettingsDirective(_Generated):
    def lines(self) -> list[str]:
        return [line for name, reason in RETIRED.items() for line in (f"``{name}``", f"    {reason}", "")]


def _default(value: Any) -> str:
    if isinstance(value, set | frozenset):
        return ", ".join(f"``{each}``" for each in sorted(value))
    if isinstance(value, list | tuple):
        return ", ".join(f"``{each}``" for each in value)
    return f"``{value}``" if value != "" else "none; it must be set"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("settings", SettingsDirective)
    app.add_directive("retired-settings", RetiredSettingsDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
