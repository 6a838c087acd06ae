"""XBlock classes, installed as the platform installs its own (entry points of `xblock.v1`)."""

from __future__ import annotations

from xblock.completable import CompletableXBlockMixin, XBlockCompletionMode
from xblock.core import XBlock
from xmodule.item_bank_block import ItemBankMixin


class _Sequence(XBlock):
    completion_mode = XBlockCompletionMode.AGGREGATOR
    has_children = True


class CourseBlock(_Sequence):
    pass


class SectionBlock(_Sequence):
    pass


class SequenceBlock(_Sequence):
    pass


class VerticalBlock(_Sequence):
    pass


class SplitTestBlock(_Sequence):
    pass


class ItemBankBlock(ItemBankMixin, XBlock):
    pass


class LegacyLibraryContentBlock(ItemBankMixin, XBlock):
    pass


class HtmlBlock(XBlock):
    """Says nothing of its completion: completable."""


class VideoBlock(CompletableXBlockMixin, XBlock):
    pass


class ProblemBlock(XBlock):
    pass


class DiscussionXBlock(XBlock):
    completion_mode = XBlockCompletionMode.EXCLUDED
