"""What the site has promised: the completions whose request it answered with success."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Ledger:
    """Kept by the driver, outside of everything that is made to fail."""

    #: Username, course key and block key.
    acknowledged: set[tuple[str, str, str]] = field(default_factory=set)

    def acknowledge(self, username: str, course_key: str, block_key: str) -> None:
        self.acknowledged.add((username, course_key, block_key))
