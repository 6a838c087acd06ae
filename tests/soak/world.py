"""What happens in an LMS besides learning, the same for the same seed: publications, cohorts, enrollments.

A process of its own: `python -m tests.soak.world SEED SECONDS`. It says on stdout when each change begins and ends, so
that the driver knows during which ones a learner's figures may move for another reason than the learner's own work.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import replace

import django

django.setup()

from django.db import Error, close_old_connections  # noqa: E402

from sample_lms.management.commands.demo import COURSE  # noqa: E402
from sample_lms.models import Cohort, CohortMembership, Enrollment  # noqa: E402
from sample_lms.olx import OlxBlock, read_course  # noqa: E402
from sample_lms.publishing import publish  # noqa: E402


def main(seed: str, seconds: float) -> None:
    dice = random.Random(f"{seed} world")
    world = World(dice)
    changes = [world.publish, world.publish, world.move_to_cohort, world.toggle_enrollment, world.toggle_enrollment]
    while True:
        time.sleep(seconds)
        change = dice.choice(changes)
        sys.stdout.write(f"begin {change.__name__}\n")
        sys.stdout.flush()
        done = "done"
        try:
            close_old_connections()
            change()
        except Error as error:
            # Whether it was committed, nobody knows: the next publication replaces all of it.
            sys.stderr.write(f"{change.__name__}: {error}\n")
            done = "failed"
        sys.stdout.write(f"end {change.__name__} {done}\n")
        sys.stdout.flush()


class World:
    """The course as its authors have it, and the people in it."""

    def __init__(self, dice: random.Random) -> None:

        self.dice = dice
        self.course = read_course(COURSE)
        self.original = self.course

    def publish(self) -> None:
        """Hide, show, move, take away or put back a block, and publish."""

        self.dice.choice([self._toggle_hidden, self._toggle_optional, self._move, self._remove, self._put_back])()
        self.course = replace(self.course, blocks=self._in_order())
        publish(self.course)

    def _in_order(self) -> tuple[OlxBlock, ...]:
        """Return the blocks depth first, as a course is read; what hangs nowhere is left out."""
        blocks = {block.key: block for block in self.course.blocks}
        found: dict[str, OlxBlock] = {}
        waiting = [self.course.blocks[0].key]
        while waiting:
            key = waiting.pop()
            if key not in found:
                found[key] = blocks[key]
                waiting.extend(reversed(blocks[key].children))
        return tuple(found.values())

    def _leaves(self) -> list[str]:
        return [block.key for block in self.course.blocks if not block.children and "@course+" not in block.key]

    def _change(self, key: str, **values: object) -> None:
        blocks = [replace(block, **values) if block.key == key else block for block in self.course.blocks]
        self.course = replace(self.course, blocks=tuple(blocks))

    def _toggle_hidden(self) -> None:
        block = self.dice.choice(self.course.blocks[1:])
        self._change(block.key, staff_only=not block.staff_only)

    def _toggle_optional(self) -> None:
        block = self.dice.choice(self.course.blocks[1:])
        self._change(block.key, optional=not block.optional)

    def _move(self) -> None:
        leaf = self.dice.choice(self._leaves())
        unit = self.dice.choice([block for block in self.course.blocks if block.block_type == "vertical"])
        self._unlink(leaf)
        self._link(leaf, unit.key)

    def _remove(self) -> None:
        leaf = self.dice.choice(self._leaves())
        self._unlink(leaf)

    def _put_back(self) -> None:
        self.course = self.original

    def _unlink(self, leaf: str) -> None:
        for block in self.course.blocks:
            if leaf in block.children:
                self._change(block.key, children=tuple(child for child in block.children if child != leaf))

    def _link(self, leaf: str, unit: str) -> None:
        (children,) = (block.children for block in self.course.blocks if block.key == unit)
        self._change(unit, children=(*children, leaf))

    def move_to_cohort(self) -> None:

        membership = self.dice.choice(list(CohortMembership.objects.order_by("pk")))
        membership.cohort = self.dice.choice(list(Cohort.objects.filter(course_id=membership.course_id).order_by("pk")))
        membership.save()

    def toggle_enrollment(self) -> None:
        """Unenroll somebody, or enroll again; every fourth learner comes and goes."""

        enrollment = self.dice.choice(list(Enrollment.objects.order_by("pk"))[::4])
        enrollment.is_active = not enrollment.is_active
        enrollment.save()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
