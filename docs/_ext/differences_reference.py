"""Lists the differences from 4.5.0 that the differential test knows, so that the page cannot drift from it.

.. differences:: requests   those that a request shows
.. differences:: besides    all others
"""

from __future__ import annotations

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

from tests.differential.differences import BESIDES, IN_REQUESTS


class DifferencesDirective(Directive):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        lines = [".. list-table::", "    :header-rows: 1", "    :widths: 22 28 28 22", ""]
        rows = [("What", "4.5.0", "Here", "Why")]
        differences = {"requests": IN_REQUESTS, "besides": BESIDES}[self.arguments[0]]
        rows += [(each.feature, each.before, each.here, each.why) for each in differences]
        for row in rows:
            lines += [f"    {'* -' if place == 0 else '  -'} {cell}" for place, cell in enumerate(row)]
        node = nodes.section()
        node.document = self.state.document
        self.state.nested_parse(StringList(lines, source="tests/differential/differences.py"), 0, node)
        return node.children


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("differences", DifferencesDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
