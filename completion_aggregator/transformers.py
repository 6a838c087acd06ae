"""The block-structure transformer: has Open edX collect what completion is summed from; an entry point of the package.

Every transformer that is installed is run for every course whenever its structure is collected. This one does so
little that it cannot fail.
"""

from __future__ import annotations

from typing import Any

from openedx.core.djangoapps.content.block_structure.transformer import BlockStructureTransformer

#: Fields of an XBlock; whatever a block does not have is not collected.
FIELDS = ("completion_mode", "days_early_for_beta", "display_name", "group_access", "optional_completion")


class CompletionAggregatorTransformer(BlockStructureTransformer):  # type: ignore[misc]  # comes without types
    """Only collects; who sees what is left to the transformers of the platform."""

    # Another number makes the platform collect every course anew.
    WRITE_VERSION = 1
    READ_VERSION = 1

    @classmethod
    def name(cls) -> str:
        return "completion_aggregator"

    @classmethod
    def collect(cls, block_structure: Any) -> None:
        block_structure.request_xblock_fields(*FIELDS)

    def transform(self, usage_info: Any, block_structure: Any) -> None:
        """Change nothing."""
