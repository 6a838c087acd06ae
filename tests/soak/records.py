"""What is written down during a run, outside of everything that is made to fail."""

from __future__ import annotations

from dataclasses import dataclass, field

#: What is still on its way when the site answers again. Seconds.
GRACE = 1.0


@dataclass(slots=True)
class Ledger:
    """What the site has promised: the completions whose request it answered with success."""

    #: Username, course key and block key.
    acknowledged: set[tuple[str, str, str]] = field(default_factory=set)

    def acknowledge(self, username: str, course_key: str, block_key: str) -> None:
        self.acknowledged.add((username, course_key, block_key))


@dataclass(frozen=True, slots=True)
class Request:
    """One request and how it ended. Times are those of `time.monotonic`."""

    kind: str
    started: float
    ended: float
    #: 0: no answer.
    status: int
    error: str = ""

    @property
    def failed(self) -> bool:
        return self.status == 0 or self.status >= 500


@dataclass(slots=True)
class Outage:
    """One fault. Times are those of `time.monotonic`."""

    name: str
    #: Requests may fail meanwhile: somebody who is needed to answer them was killed.
    excuses: bool
    started: float
    #: The first answer with success, and the first chunk that was aggregated, after the fault.
    answered: float | None = None
    aggregated: float | None = None

    def covers(self, request: Request) -> bool:
        """Tell whether a request that failed was under way before the site answered again."""
        until = float("inf") if self.answered is None else self.answered + GRACE
        return self.excuses and request.started <= until and request.ended >= self.started


@dataclass(slots=True)
class World:
    """What the process that changes the world has said."""

    begun: int = 0
    ended: int = 0

    @property
    def stands_still(self) -> bool:
        return self.begun == self.ended


@dataclass(slots=True)
class Log:
    """What the people at the site have seen."""

    requests: list[Request] = field(default_factory=list)
    #: Answers that cannot be true, a sentence each.
    contradictions: list[str] = field(default_factory=list)
    #: How often a learner has looked at once for what was just acknowledged, with nothing else going on.
    own_writes_read: int = 0
