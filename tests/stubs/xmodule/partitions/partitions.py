"""User partitions: how the learners of a course are divided into groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stevedore.extension import ExtensionManager


@dataclass(frozen=True)
class Group:
    id: int
    name: str


@dataclass
class UserPartition:
    id: int
    name: str
    description: str
    groups: list[Group]
    scheme_id: str = "random"
    parameters: dict[str, Any] = field(default_factory=dict)
    active: bool = True

    @property
    def scheme(self) -> Any:
        """The class that knows which group a learner is in; found by its entry point."""
        scheme = ExtensionManager("openedx.user_partition_scheme")[self.scheme_id].plugin
        scheme.name = self.scheme_id
        return scheme

    def access_denied_message(self, block_key: Any, user: Any, user_group: Group | None, allowed: list[Group]) -> Any:
        """Return a text that explains why; None: the block is just not there."""
        return None
