"""The port: what completion_aggregator asks an LMS, and the records in which it answers.

An adapter is a subclass of `LMS`, named by the setting COMPLETION_AGGREGATOR_LMS. Adapters import this module;
everybody else goes through completion_aggregator.compat. Questions are asked for many at once where that helps.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, reduce
from operator import or_
from typing import Any, ClassVar

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.checks import CheckMessage
from django.db.models import Q, QuerySet
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.engine import CompletionMode, CourseTree
from completion_aggregator.exceptions import NotSupportedByLMSError


class Capability(enum.Enum):
    """What not every LMS has; the value ends the sentence "This LMS has no …"."""

    COHORTS = "cohorts"
    MOBILE_COURSES = "flag for courses available on mobile"
    ROLES = "access roles in courses"


class HiddenReason(enum.StrEnum):
    """Why a learner does not see a block of the course; what lasts longer comes later."""

    #: Its release date, or that of a block above it, has not come.
    NOT_RELEASED = "not_released"
    #: It is for another group: a cohort, an enrollment mode, the other half of an experiment.
    OTHER_GROUP = "other_group"
    #: A random bank has drawn others for this learner.
    NOT_SELECTED = "not_selected"
    STAFF_ONLY = "staff_only"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenBlock:
    """That a learner does not see a block, and why."""

    reason: HiddenReason
    #: When it will be released; only for NOT_RELEASED.
    release_date: datetime | None = None


NOT_SELECTED = HiddenBlock(reason=HiddenReason.NOT_SELECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineBlock:
    """One block of a published course, whoever may see it."""

    #: Text of the usage key.
    key: str
    block_type: str
    display_name: str
    mode: CompletionMode = CompletionMode.COMPLETABLE
    #: Places of its children in `CourseOutline.blocks`, in the order shown.
    children: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CourseOutline:
    """All blocks of one published version of a course, in course order, the course block first."""

    version: str
    blocks: tuple[OutlineBlock, ...]
    #: Moments, ascending, at which somebody's view of the course changes by itself: release dates.
    change_dates: tuple[datetime, ...] = field(default=())

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Place in the course of each block, by key."""
        return {block.key: position for position, block in enumerate(self.blocks)}

    def below(self, key: str) -> set[str]:
        """Return the keys of a block and of everything under it; `key` must be in the outline."""
        found: set[int] = set()
        waiting = [self.positions[key]]
        while waiting:
            position = waiting.pop()
            if position not in found:
                found.add(position)
                waiting.extend(self.blocks[position].children)
        return {self.blocks[position].key for position in found}

    def hidden(
        self, reasons: Mapping[str, HiddenBlock], not_selected: Container[tuple[str, str]] = ()
    ) -> dict[str, HiddenBlock]:
        """Return all blocks that no way leads to, by key, with the reason: for adapters.

        On a way the reason that lasts longest counts, of several ways the one that opens first. The course block is
        always there; what hides it hides what is in it.

        Args:
            reasons: of the blocks that are hidden themselves, whatever leads to them; by key.
            not_selected: pairs of keys, a random bank and a child that it has not drawn.
        """
        root = self.blocks[0].key
        found = {root: reasons.get(root)}
        waiting = [0]
        while waiting:
            parent = self.blocks[waiting.pop()]
            for place in parent.children:
                child = self.blocks[place].key
                drawn = NOT_SELECTED if (parent.key, child) in not_selected else None
                why = max(found[parent.key], drawn, reasons.get(child), key=_lasting)
                if child not in found or _lasting(why) < _lasting(found[child]):
                    found[child] = why
                    waiting.append(place)
        del found[root]
        return {key: why for key, why in found.items() if why is not None}

    def next_change(self, now: datetime) -> datetime | None:
        """Return the first of the change dates after `now`."""
        later = bisect_right(self.change_dates, now)
        return self.change_dates[later] if later < len(self.change_dates) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseView:
    """What some learners see of a course; learners with the same view share a tree."""

    tree: CourseTree
    user_ids: tuple[int, ...]


class LMS(ABC):
    """What an LMS must answer. Methods that need a capability are only called, and overridden, where it is declared."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    def check(self) -> list[CheckMessage]:
        """Return what is wrong with this LMS's own configuration, for `manage.py check`."""
        return []

    @abstractmethod
    def enrollments(self) -> QuerySet[Any]:
        """Return the active enrollments of the site: rows with `user` (to the user model) and `course_id`."""

    @abstractmethod
    def is_course_staff(self, user: AbstractBaseUser, course_key: CourseKey) -> bool:
        """Tell whether the user works in this course or for its organisation (global staff need not be asked)."""

    @abstractmethod
    def course_versions(self, course_keys: Collection[CourseKey]) -> dict[CourseKey, str]:
        """Return what is published now of each course; courses that do not exist are left out.

        Returns:
            Versions of at most 64 characters, never the same for two publications.
        Cost: queries do not grow with the number of courses.
        """

    @abstractmethod
    def course_outline(self, course_key: CourseKey) -> CourseOutline:
        """Return all blocks of the course as published now.

        Raises:
            CourseNotFoundError: no such course.
        Cost: O(blocks); asked once per version and process.
        """

    @abstractmethod
    def course_views(self, course_key: CourseKey, user_ids: Collection[int], *, now: datetime) -> Iterable[CourseView]:
        """Group learners by what they see of the course at `now`, enrolled or not.

        Returns:
            Each learner in exactly one view; learners who do not exist in none.
        Raises:
            CourseNotFoundError: no such course.
        Cost: queries do not grow with the number of learners, except where content is drawn for each of them.
        """

    def outdated_courses(self, course_keys: Collection[CourseKey]) -> Collection[CourseKey]:
        """Return those of which the first to ask for the outline or views will wait for minutes; here none.

        Cost: one query.
        """
        return []

    def role_holders(self, course_key: CourseKey, roles: Collection[str] | None = None) -> QuerySet[Any]:
        """Return the user ids of those who hold one of the roles (None: any) in the course or in all of its org."""
        raise self.lacks(Capability.ROLES)

    def cohorts(self, course_key: CourseKey) -> dict[int, str] | None:
        """Return the names of the course's cohorts by id; None when the course is not cohorted (any more)."""
        raise self.lacks(Capability.COHORTS)

    def cohort_members(self, course_key: CourseKey, cohort_ids: Collection[int]) -> QuerySet[Any]:
        """Return the user ids of the members of these cohorts of the course."""
        raise self.lacks(Capability.COHORTS)

    def staff_courses(self, user: AbstractBaseUser) -> Collection[CourseKey]:
        """Return the courses in which the user works; see `is_course_staff`.

        Cost: here one look-up per course of the site; an LMS that can tell by a query should.
        """
        keys = self.enrollments().order_by().values_list("course_id", flat=True).distinct()
        return [key for key in keys if self.is_course_staff(user, key)]

    def learner_names(self, user_ids: Collection[int]) -> dict[int, str]:
        """Return what people are called, by user id; who gave no name is left out.

        Cost: one query.
        """
        users = get_user_model()._default_manager.filter(pk__in=user_ids)
        return {user.pk: name for user in users if (name := _full_name(user))}

    def matching_learners(self, text: str) -> QuerySet[Any]:
        """Return the user ids of those in whose username or name the text occurs, in capitals or not."""
        users = get_user_model()
        names = {users.USERNAME_FIELD, "first_name", "last_name"} & {each.name for each in users._meta.fields}
        found = [Q(**{f"{name}__icontains": text}) for name in names]
        return users._default_manager.filter(reduce(or_, found)).values("pk")

    def block_url(self, course_key: CourseKey, block_key: str) -> str | None:
        """Return where a learner finds the block, or, for the course block, the course; None: nowhere."""
        return None

    def hidden_blocks(self, course_key: CourseKey, user_id: int, *, now: datetime) -> dict[str, HiddenBlock]:
        """Tell, by block key, why this learner does not see at `now` what of the course the learner does not see.

        Returns:
            Every block of the outline that is not in the learner's view, enrolled or not: those below a hidden one too,
            those with several parents only if no way leads to them. Nothing for learners who do not exist.
            Here nothing: the reason of a block that is neither here nor in the view is not known.
        Raises:
            CourseNotFoundError: no such course.
        Cost: as of `course_views`, for one learner.
        """
        return {}

    def mobile_courses(self) -> QuerySet[Any]:
        """Return the course ids of the courses that are flagged as available on mobile."""
        raise self.lacks(Capability.MOBILE_COURSES)

    def lacks(self, capability: Capability) -> NotSupportedByLMSError:
        return NotSupportedByLMSError(f"This LMS has no {capability.value}.")


def _lasting(hidden: HiddenBlock | None) -> tuple[int, float]:
    """Order reasons by how long they last; what is not hidden comes first."""
    if hidden is None:
        return -1, 0
    return list(HiddenReason).index(hidden.reason), hidden.release_date.timestamp() if hidden.release_date else 0


def _full_name(user: AbstractBaseUser) -> str:
    full_name = getattr(user, "get_full_name", None)
    return "" if full_name is None else full_name()
