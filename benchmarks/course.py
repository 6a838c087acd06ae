"""The courses that everything is measured on, and who completes what in them.

Standard library alone: both sides import it, each in its own environment, so both have the same work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

#: Chapters, sections in each, units in each, blocks in each: 1,000 blocks to complete and 261 aggregators.
SHAPE = (10, 5, 4, 5)
#: 40 blocks and 15 aggregators, for what does not depend on the size of a course.
SMALL_SHAPE = (2, 2, 2, 5)
TYPES = ("course", "chapter", "sequential", "vertical", "html")
#: Blocks in a unit; a learner completes one of them in each unit.
UNIT_SIZE = 5
#: Fields that a client asks for to get everything.
ALL_FIELDS = "chapter,sequential,vertical"


class Block(NamedTuple):
    key: str
    block_type: str
    name: str
    #: Keys, in order.
    children: tuple[str, ...]
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Course:
    """A regular course: every block of a level has the same number of children."""

    name: str
    shape: tuple[int, ...] = SHAPE
    #: Units that later publications have added to the first section.
    added: int = 0
    mobile = False
    cohorts = ()

    @property
    def key(self) -> str:
        return f"course-v1:Bench+{self.name}+1"

    def blocks(self) -> Iterator[Block]:
        """Give all blocks in course order, the course itself first."""
        return self._walk("course", 0)

    def units(self) -> list[Block]:
        """Return the units of the first publication."""
        units = [block for block in self.blocks() if block.block_type == "vertical"]
        return [unit for place, unit in enumerate(units) if not 0 <= place - self.shape[2] < self.added]

    def choice(self, place: int) -> list[str]:
        """Return the keys of the blocks that learners of this place complete: one in each unit."""
        return [unit.children[(place + number) % UNIT_SIZE] for number, unit in enumerate(self.units())]

    def _walk(self, name: str, depth: int) -> Iterator[Block]:
        below = [f"{name}_{number}" for number in range(self._count_children(name, depth))]
        children = tuple(self._block_key(child, depth + 1) for child in below)
        yield Block(self._block_key(name, depth), TYPES[depth], name, children)
        for child in below:
            yield from self._walk(child, depth + 1)

    def _count_children(self, name: str, depth: int) -> int:
        if depth == len(self.shape):
            return 0
        return self.shape[depth] + (self.added if name == "course_0_0" else 0)

    def _block_key(self, name: str, depth: int) -> str:
        return f"block-v1:Bench+{self.name}+1+type@{TYPES[depth]}+block@{name}"


def place_of(learner: int) -> int:
    """Return which of a unit's blocks this learner begins with; `seed.complete` computes the same in SQL."""
    return learner % UNIT_SIZE


MAIN = Course("Main")
#: What `publish_mark` and `publish_drain` publish again and again.
PUBLISHED = Course("Published")
STATS = Course("Stats", SMALL_SHAPE)
LIST = tuple(Course(f"List{number}", SMALL_SHAPE) for number in range(30))

#: Ids of users. Learners have the ids from 1 on, on both sides.
STAFF = 1_000_000
LISTER = 1_000_001
#: The learner whose detail is asked for, and the one who completes blocks; the others are never asked for alone.
READER = 7
SAVER = 30

LEARNERS = 2_000
#: Who is in PUBLISHED.
PUBLISHED_LEARNERS = 10_000
STATS_LEARNERS = 100_000
#: Of the STATS_LEARNERS, how many hold a role in the course.
ROLE_HOLDERS = 50
#: The learners that the peer computes: each costs the same, and 2,000 of them would take hours.
PEER_LEARNERS = 50
#: Whose rows it writes for `storage`.
PEER_STORED_LEARNERS = 200
PEER_PUBLISHED_LEARNERS = 200
#: Learners on a page of all fields, and on one of the course level.
PAGE = 100
COURSE_PAGE = 1_000
