"""Completion modes of the block types that the sample LMS knows.

Source: the XBlock classes of Open edX (`completion_mode`); what is not listed counts as completable.
"""

from __future__ import annotations

AGGREGATORS = frozenset(
    {
        "chapter",
        "conditional",
        "course",
        "itembank",
        "library_content",
        "randomize",
        "sequential",
        "split_test",
        "unit",
        "vertical",
        "wrapper",
    }
)
EXCLUDED = frozenset({"about", "course_info", "custom_tag_template", "discussion", "static_tab", "wiki"})
#: Types whose children are drawn at random for each learner.
LIBRARIES = frozenset({"itembank", "library_content"})
