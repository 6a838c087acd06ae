"""What lies before a learner: where things stand in each course, what comes next, and what is not open yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.engine import CompletionMode, Tally
from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.lms.base import CourseOutline, HiddenBlock, HiddenReason, OutlineBlock
from completion_aggregator.models import CourseAggregate
from completion_aggregator.selectors.completions import NOTHING, get_learner_completions
from completion_aggregator.selectors.structure import get_course_states, get_structures

UNIT = "vertical"
#: The types of the blocks on a path; the last one is what a learner opens and works through.
PATH_TYPES = ("chapter", "sequential", UNIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathBlock:
    """A chapter, sequential or unit of a course as it stands before one learner."""

    course_key: CourseKey
    block_key: str
    block_type: str
    display_name: str
    #: Nothing of nothing as long as it is not open.
    tally: Tally
    #: False: it is not released to the learner yet. What is below it is not told.
    is_open: bool = True
    #: When it will be released, as far as the LMS says so.
    opens_at: datetime | None = None
    #: In course order.
    children: tuple[PathBlock, ...] = ()

    def walk(self) -> Iterator[PathBlock]:
        """Give the block and all below it, in course order."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def is_optional(self) -> bool:
        """Whether all that counts in it is optional."""
        return not self.tally.possible and bool(self.tally.optional_possible)

    @property
    def is_empty(self) -> bool:
        """Whether nothing in it counts: there is something to read or to talk about, but nothing to do."""
        return not self.tally.possible and not self.tally.optional_possible

    @property
    def is_done(self) -> bool:
        """Whether there was something to do, and all of it is done; of what is optional, if all is."""
        return self.is_open and not self.is_empty and self.percent >= 1.0

    @property
    def percent(self) -> float:
        """0.0-1.0; of what is optional, if all is."""
        return self.tally.optional_percent if self.is_optional else self.tally.percent

    @property
    def url(self) -> str | None:
        """Where the learner finds it; see `LMS.block_url`."""
        return get_lms().block_url(self.course_key, self.block_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerPath:
    """One learner's way through one course."""

    course_key: CourseKey
    #: The course key where the LMS has no such course (any more).
    display_name: str
    tally: Tally
    chapters: tuple[PathBlock, ...]
    #: The first unit in course order with something required left to do, after the blocks that lead to it; or empty.
    next_trail: tuple[PathBlock, ...]
    #: Where the learner finds the course.
    url: str | None

    @property
    def is_done(self) -> bool:
        """Whether all that is required is done; a course without anything to do is not."""
        return bool(self.tally.possible) and self.tally.percent >= 1.0

    @property
    def next_opening(self) -> datetime | None:
        """When the first of what is not open yet opens, as far as that was asked for and the LMS says so."""
        blocks = (block for chapter in self.chapters for block in chapter.walk())
        return min((block.opens_at for block in blocks if block.opens_at is not None), default=None)

    @property
    def next_block(self) -> PathBlock | None:
        """The unit (or what has something to do outside of units) to go on with; None: nothing open is left to do."""
        return self.next_trail[-1] if self.next_trail else None


def get_learner_path(user: AbstractBaseUser, course_key: CourseKey) -> LearnerPath:
    """Return one learner's way through one course, enrolled or not, with what is not open yet. Nothing is saved.

    Cost: see `get_learner_paths`.
    """
    (path,) = get_learner_paths(user, [course_key], with_unreleased=True)
    return path


def get_learner_paths(
    user: AbstractBaseUser, course_keys: Sequence[CourseKey], *, with_unreleased: bool = False
) -> list[LearnerPath]:
    """Return one learner's way through each of the courses, in their order.

    Args:
        with_unreleased: True: also tell what is not open yet.
    Cost: that of `get_learner_completions` with block types, and that of `get_course_states` once more; with what is
    not open yet, for each course with a release to come what the LMS takes to tell what it hides.
    """
    now = timezone.now()
    completions = get_learner_completions(user, course_keys, block_types=PATH_TYPES)
    structures = get_structures(get_course_states(course_keys).values())
    paths = []
    for completion in completions:
        course_key, outline = completion.course_key, structures[completion.course_key].outline
        is_asked = with_unreleased and outline.next_change(now) is not None
        unreleased = _unreleased(user, course_key, now) if is_asked else {}
        tallies = {key: tally for of_type in completion.blocks.values() for key, tally in of_type}
        paths.append(_path(_Walk(course_key, outline, tallies, unreleased), completion.tally))
    return paths


def get_learner_courses(user: AbstractBaseUser) -> list[CourseKey]:
    """Return the courses in which the learner is enrolled: those still to be done first, the last active ones first.

    Cost: two queries. What is stored decides; it may be out of date.
    """
    course_keys = get_lms().enrollments().filter(user_id=user.pk).values_list("course_id", flat=True)
    rows = CourseAggregate.objects.filter(user_id=user.pk, computed_at__isnull=False)
    values = rows.values_list("course__course_key", "percent", "possible", "last_modified")
    stored = {
        key: (percent >= 1.0 and possible > 0, moment.timestamp() if moment else 0.0)
        for key, percent, possible, moment in values
    }

    def place(course_key: CourseKey) -> tuple[bool, float, str]:
        is_done, last_activity = stored.get(str(course_key), (False, 0.0))
        return is_done, -last_activity, str(course_key)

    return sorted(set(course_keys), key=place)


def _unreleased(user: AbstractBaseUser, course_key: CourseKey, now: datetime) -> dict[str, HiddenBlock]:
    try:
        hidden = get_lms().hidden_blocks(course_key, user.pk, now=now)
    except CompletionAggregatorError:
        # The course is gone, or broken; the log has been told when its completion was read.
        return {}
    return {key: block for key, block in hidden.items() if block.reason == HiddenReason.NOT_RELEASED}


def _path(walk: _Walk, tally: Tally) -> LearnerPath:
    course_key, blocks = walk.course_key, walk.outline.blocks
    chapters = walk.below(0) if blocks else ()
    return LearnerPath(
        course_key=course_key,
        display_name=(blocks[0].display_name if blocks else "") or str(course_key),
        tally=tally,
        chapters=chapters,
        next_trail=_find_next(chapters),
        url=get_lms().block_url(course_key, blocks[0].key) if blocks else None,
    )


class _Walk:
    """The way down through the blocks of the path that a learner sees, or will see."""

    def __init__(
        self,
        course_key: CourseKey,
        outline: CourseOutline,
        tallies: Mapping[str, Tally],
        unreleased: Mapping[str, HiddenBlock],
    ) -> None:
        self.course_key = course_key
        self.outline = outline
        self.tallies = tallies
        self.unreleased = unreleased
        self._found: dict[int, tuple[PathBlock, ...]] = {}

    def below(self, position: int) -> tuple[PathBlock, ...]:
        """Return the nearest blocks of the path below a block; what lies between is gone through."""
        if position not in self._found:
            # Should the LMS describe blocks that contain each other, this ends nonetheless.
            self._found[position] = ()
            self._found[position] = tuple(self._nearest(self.outline.blocks[position]))
        return self._found[position]

    def _nearest(self, parent: OutlineBlock) -> Iterator[PathBlock]:
        for position in parent.children:
            block = self.outline.blocks[position]
            if block.block_type not in PATH_TYPES:
                if block.mode == CompletionMode.AGGREGATOR:
                    yield from self.below(position)
            elif block.key in self.tallies or block.key in self.unreleased:
                yield self._block(block, position)

    def _block(self, block: OutlineBlock, position: int) -> PathBlock:
        hidden = self.unreleased.get(block.key)
        return PathBlock(
            course_key=self.course_key,
            block_key=block.key,
            block_type=block.block_type,
            display_name=block.display_name,
            tally=self.tallies.get(block.key, NOTHING),
            is_open=hidden is None,
            opens_at=None if hidden is None else hidden.release_date,
            children=self.below(position) if hidden is None and block.block_type != UNIT else (),
        )


def _find_next(blocks: Sequence[PathBlock]) -> tuple[PathBlock, ...]:
    for block in blocks:
        if not block.is_open or block.tally.percent >= 1.0:
            continue
        # Where no unit below is left, there is something to do in the block itself.
        return (block, *_find_next(block.children))
    return ()
