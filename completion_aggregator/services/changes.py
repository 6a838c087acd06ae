"""What differs between a chunk of learners as computed and as stored, and writing exactly that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import repeat
from typing import Any, NamedTuple

from django.db import connections, router

from completion_aggregator.engine import CourseTree, Sums, affected, percent, sum_up
from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.models import BlockAggregate, CourseAggregate, CourseBlock
from completion_aggregator.selectors.computed import LearnerView
from completion_aggregator.services.structure import SyncedCourse
from completion_aggregator.upsert import MomentText, upsert

_BLOCK_FIELDS = ("user_id", "block_id", "earned", "possible", "optional_earned", "optional_possible", "last_modified")
_COURSE_VALUES = ("earned", "possible", "percent", "optional_earned", "optional_possible", "last_modified")
_COURSE_FIELDS = ("user_id", *_COURSE_VALUES, "completed_at")
#: The values of _BLOCK_FIELDS of one row, the moment as text.
_Row = tuple[Any, ...]
#: A learner of whom fewer rows than this can differ has just those read, by key; of anybody else all are read.
_FEW = 32
#: For more keys than this in one statement, MySQL might give its index up (`range_optimizer_max_mem_size`: 8 MB).
_MAX_KEYS = 20_000


class CourseChangedError(CompletionAggregatorError):
    """The course was published while it was being read."""


class StoredCourse(NamedTuple):
    """A learner's course aggregate as it is stored."""

    #: Those of _COURSE_VALUES, the moment as text.
    values: tuple[Any, ...]
    computed_at: datetime | None
    completed_at: datetime | None


def select_course_values(rows: Any) -> dict[int, StoredCourse]:
    """Read course aggregates, by user id."""
    values = rows.values_list(
        "user_id", "computed_at", "completed_at", *_COURSE_VALUES[:-1], MomentText(_COURSE_VALUES[-1])
    )
    return {
        user_id: StoredCourse(tuple(rest), computed_at, completed_at)
        for user_id, computed_at, completed_at, *rest in values
    }


class Changes:
    """What has to be written for a chunk: gathered learner by learner, saved at once."""

    def __init__(self, course: SyncedCourse, stored: Mapping[int, StoredCourse], now: datetime) -> None:
        self.course = course
        self.stored = stored
        self.now = now
        #: Computed rows in order of block id, by user id: all that the learner should have …
        self.whole: dict[int, list[_Row]] = {}
        #: … or, where no other can differ from what is stored, a few of them.
        self.few: dict[int, list[_Row]] = {}
        #: Everybody's course aggregate, and how many of them differ.
        self.courses: list[tuple[Any, ...]] = []
        self.changed_courses = 0
        #: Block aggregates that were written, sorted; and what was stored before, by user id. Both by `save`.
        self.written: list[_Row] = []
        self.before: Mapping[int, list[_Row]] = {}
        self._ids: dict[tuple[str, ...], list[int]] = {}

    def add(self, view: LearnerView, block_keys: Collection[str | None]) -> None:
        """Take one learner's values, and what the markers say has changed of them."""
        user_id, tree, completions = view
        sums = sum_up(tree, completions)
        ids = self._block_ids(tree.aggregators)
        rows = list(
            zip(
                repeat(user_id, len(ids)),
                ids,
                sums.earned,
                tree.possible,
                sums.optional_earned,
                tree.optional_possible,
                sums.last_modified,
                strict=True,
            )
        )
        rows.sort()  # by block id: no two are the same
        touched = self._touched(user_id, tree, block_keys)
        if touched is None:
            self.whole[user_id] = rows
        else:
            self.few[user_id] = [row for row in rows if row[1] in touched]
        self._add_course(user_id, tree, sums)

    def _block_ids(self, keys: tuple[str, ...]) -> list[int]:
        # Learners with the same view have the same aggregators.
        ids = self._ids.get(keys)
        if ids is None:
            try:
                ids = [self.course.structure.block_ids[key] for key in keys]
            except KeyError as error:
                raise CourseChangedError(f"Block {error.args[0]} is newer than the structure.") from None
            self._ids[keys] = ids
        return ids

    def _touched(self, user_id: int, tree: CourseTree, block_keys: Collection[str | None]) -> set[int] | None:
        """Return the ids of the blocks that can differ from what is stored, if they are few; None: any."""
        if self.stored[user_id].computed_at is None or not block_keys or None in block_keys:
            return None
        keys = affected(tree, (key for key in block_keys if key))
        return {self.course.structure.block_ids[key] for key in keys} if len(keys) < _FEW else None

    def _add_course(self, user_id: int, tree: CourseTree, sums: Sums[str]) -> None:
        done = percent(sums.earned[0], tree.possible[0])
        values = (
            sums.earned[0],
            tree.possible[0],
            done,
            sums.optional_earned[0],
            tree.optional_possible[0],
            sums.last_modified[0],
        )
        stored = self.stored[user_id]
        self.changed_courses += stored.computed_at is None or stored.values != values
        completed_at = (stored.completed_at or self.now) if done == 1.0 else None
        self.courses.append((user_id, *values, completed_at))

    def save(self) -> tuple[int, int]:
        """Write what differs and delete what is gone; return the number of rows of each."""
        using = router.db_for_write(BlockAggregate)
        self.before = self._read_stored()
        gone: dict[frozenset[int], list[int]] = defaultdict(list)
        for user_id, rows in sorted((self.whole | self.few).items()):
            before = sorted(self.before.get(user_id, ()))
            if rows == before:
                continue
            known = set(before)
            self.written += [row for row in rows if row not in known]
            if user_id in self.whole and (orphans := {row[1] for row in before}.difference(row[1] for row in rows)):
                gone[frozenset(orphans)].append(user_id)
        upsert(BlockAggregate, _BLOCK_FIELDS, self.written, using=using, same={"modified": self.now})
        # Written even where nothing differs: that it was computed is noted, and a claim ended.
        same = {"course_id": self.course.id, "computed_at": self.now, "queued_until": None}
        upsert(CourseAggregate, _COURSE_FIELDS, sorted(self.courses), using=using, same=same)
        # Learners with the same view lose the same blocks: one statement for all of them.
        deleted = sum(
            BlockAggregate.objects.filter(user_id__in=user_ids, block_id__in=block_ids).delete()[0]
            for block_ids, user_ids in gone.items()
        )
        return len(self.written) + self.changed_courses, deleted

    def _read_stored(self) -> dict[int, list[_Row]]:
        """Read the stored rows that the computed ones are to be compared with, by user id."""
        found: dict[int, list[_Row]] = defaultdict(list)
        # Ids of other courses may lie between this one's; blocks that left the course have theirs still.
        ids = set(CourseBlock.objects.filter(course_id=self.course.id).values_list("id", flat=True))
        keys = [row[:2] for computed in self.few.values() for row in computed]
        if connections[router.db_for_write(BlockAggregate)].vendor != "mysql" or len(keys) > _MAX_KEYS:
            # Elsewhere a list of keys takes longer to plan than all of a learner's rows take to read.
            keys = []
        users = list(self.whole) if keys else [*self.whole, *self.few]
        fields = (*_BLOCK_FIELDS[:-1], MomentText(_BLOCK_FIELDS[-1]))
        rows = BlockAggregate.objects.values_list(*fields)
        for row in rows.filter(user_id__in=users, block_id__gte=min(ids), block_id__lte=max(ids)):
            if row[1] in ids:
                found[row[0]].append(row)
        for row in rows.filter(pk__in=keys):
            found[row[0]].append(row)
        for user_id, computed in self.few.items():
            touched = {row[1] for row in computed}
            found[user_id] = [row for row in found[user_id] if row[1] in touched]
        return found
