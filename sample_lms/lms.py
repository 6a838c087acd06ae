"""The adapter: how the sample LMS answers completion_aggregator."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.urls import reverse
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator import engine
from completion_aggregator.conf import conf
from completion_aggregator.engine import CompletionMode, CourseTree
from completion_aggregator.exceptions import CourseNotFoundError
from completion_aggregator.lms.base import (
    LMS,
    Capability,
    CourseOutline,
    CourseView,
    HiddenBlock,
    HiddenReason,
    OutlineBlock,
)
from sample_lms.models import (
    Block,
    BlockLink,
    Cohort,
    CohortMembership,
    Course,
    CourseAccessRole,
    Enrollment,
    LibrarySelection,
)
from sample_lms.modes import AGGREGATORS, EXCLUDED

STAFF_ROLES = ("staff", "instructor", "limited_staff", "data_researcher")


class SampleLMS(LMS):
    """Answers from the tables of the sample LMS."""

    capabilities = frozenset(Capability)

    def enrollments(self) -> QuerySet[Enrollment]:
        return Enrollment.objects.filter(is_active=True)

    def is_course_staff(self, user: AbstractBaseUser, course_key: CourseKey) -> bool:
        return _roles(course_key).filter(user_id=user.pk, role__in=STAFF_ROLES).exists()

    def role_holders(self, course_key: CourseKey, roles: Collection[str] | None = None) -> QuerySet[Any]:
        held = _roles(course_key)
        return (held if roles is None else held.filter(role__in=roles)).values("user_id")

    def cohorts(self, course_key: CourseKey) -> dict[int, str] | None:
        cohorted = Course.objects.filter(course_key=course_key, cohorted=True)
        cohorts = Cohort.objects.filter(Exists(cohorted), course_id=course_key).order_by("name")
        return dict(cohorts.values_list("id", "name")) or ({} if cohorted.exists() else None)

    def cohort_members(self, course_key: CourseKey, cohort_ids: Collection[int]) -> QuerySet[Any]:
        return CohortMembership.objects.filter(course_id=course_key, cohort_id__in=cohort_ids).values("user_id")

    def staff_courses(self, user: AbstractBaseUser) -> list[CourseKey]:
        roles = list(CourseAccessRole.objects.filter(user_id=user.pk, role__in=STAFF_ROLES))
        held = {role.course_id for role in roles if role.course_id}
        orgs = {role.org for role in roles if not role.course_id}
        courses = Course.objects.all() if orgs else Course.objects.filter(course_key__in=held)
        keys = courses.order_by("course_key").values_list("course_key", flat=True)
        return [key for key in keys if key is not None and (key in held or key.org in orgs)]

    def block_url(self, course_key: CourseKey, block_key: str) -> str | None:
        if UsageKey.from_string(block_key).block_type == "course":
            return reverse("course", args=[course_key])
        return reverse("jump_to", args=[course_key, block_key])

    def mobile_courses(self) -> QuerySet[Any]:
        return Course.objects.filter(mobile_available=True).values("course_key")

    def course_versions(self, course_keys: Collection[CourseKey]) -> dict[CourseKey, str]:
        courses = Course.objects.filter(course_key__in=course_keys)
        return {key: version for key, version in courses.values_list("course_key", "version") if key is not None}

    def course_outline(self, course_key: CourseKey) -> CourseOutline:
        return _get_content(course_key).outline

    def course_views(self, course_key: CourseKey, user_ids: Collection[int], *, now: datetime) -> Iterator[CourseView]:
        content = _get_content(course_key)
        for view, members in _group(content, course_key, user_ids, now).items():
            yield CourseView(tree=content.tree(view), user_ids=tuple(members))

    def hidden_blocks(self, course_key: CourseKey, user_id: int, *, now: datetime) -> dict[str, HiddenBlock]:
        content = _get_content(course_key)
        # One view, or none: there is no such user.
        for view in _group(content, course_key, [user_id], now):
            return content.tell_hidden(view)
        return {}


def _roles(course_key: CourseKey) -> QuerySet[CourseAccessRole]:
    """Select the roles held in a course, or in all of its org."""
    here = Q(course_id=course_key) | Q(course_id=CourseAccessRole.course_id.field.Empty, org=course_key.org)
    return CourseAccessRole.objects.filter(here)


def _learners(course_key: CourseKey, user_ids: Collection[int]) -> Iterator[tuple[int, bool, str | None]]:
    """Give id, whether they see everything, and cohort of each of the users that exist."""
    works_here = _roles(course_key).filter(user_id=OuterRef("pk"), role__in=STAFF_ROLES)
    is_cohorted = Course.objects.filter(course_key=course_key, cohorted=True)
    membership = CohortMembership.objects.filter(Exists(is_cohorted), course_id=course_key, user_id=OuterRef("pk"))
    users = get_user_model().objects.filter(pk__in=user_ids).order_by("pk")
    rows = users.annotate(works_here=Exists(works_here), cohort=Subquery(membership.values("cohort__name")[:1]))
    for user_id, is_staff, works, cohort in rows.values_list("pk", "is_staff", "works_here", "cohort"):
        yield user_id, is_staff or works, cohort


def _group(
    content: _Content, course_key: CourseKey, user_ids: Collection[int], now: datetime
) -> dict[_View, list[int]]:
    """Group learners by what they see."""
    selections = _selections(course_key, user_ids) if content.libraries else {}
    views: dict[_View, list[int]] = defaultdict(list)
    for user_id, sees_all, cohort in _learners(course_key, user_ids):
        view = _View(
            sees_all=sees_all,
            cohort=cohort,
            released=bisect_right(content.outline.change_dates, now),
            drawn=content.draw(user_id, selections.get(user_id, {})),
        )
        views[view].append(user_id)
    return views


def _selections(course_key: CourseKey, user_ids: Collection[int]) -> dict[int, dict[str, list[str]]]:
    found: dict[int, dict[str, list[str]]] = defaultdict(dict)
    rows = LibrarySelection.objects.filter(course_id=course_key, user_id__in=user_ids)
    for user_id, library_key, selected in rows.values_list("user_id", "library_key", "selected"):
        found[user_id][library_key] = selected
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """All that decides what somebody sees; whoever has the same view has the same tree."""

    sees_all: bool
    cohort: str | None
    #: How many of the course's release dates have passed.
    released: int
    #: For each random library, in course order: the children drawn.
    drawn: tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A block with what its type and its row say about it."""

    block: engine.Block
    #: Place of its start date among the release dates; 0: shown from the beginning.
    release: int
    staff_only: bool
    cohorts: frozenset[str]
    max_count: int | None


class _Content:
    """One published version of a course, in memory."""

    def __init__(self, outline: CourseOutline, blocks: dict[str, _Block]) -> None:
        self.outline = outline
        self.blocks = blocks
        #: Only these differ from learner to learner.
        self.libraries = [each for each in blocks.values() if each.max_count is not None and each.max_count >= 0]
        self.tree = lru_cache(maxsize=256)(self._build_tree)

    def draw(self, user_id: int, selections: Mapping[str, list[str]]) -> tuple[frozenset[str], ...]:
        """Return which children of each random library this learner gets.

        What was drawn when the learner opened the library stays, as far as it is still there; the rest is drawn from
        the learner's own sequence of random numbers, so that asking twice gives the same.
        """
        drawn = []
        for library in self.libraries:
            children = library.block.children
            kept = [key for key in selections.get(library.block.key, ()) if key in children][: library.max_count]
            others = [key for key in children if key not in kept]
            random.Random(f"{user_id} {library.block.key}").shuffle(others)
            drawn.append(frozenset([*kept, *others][: library.max_count]))
        return tuple(drawn)

    def _build_tree(self, view: _View) -> CourseTree:
        drawn = {library.block.key: keys for library, keys in zip(self.libraries, view.drawn, strict=True)}
        hidden = self._reasons(view)
        seen: dict[str, tuple[str, ...]] = {}
        waiting = [next(iter(self.blocks))]
        while waiting:
            key = waiting.pop()
            if key in seen:
                continue
            # The course itself is always there; before its start, it is empty.
            children = () if key in hidden else self.blocks[key].block.children
            chosen = drawn.get(key)
            seen[key] = tuple(c for c in children if c not in hidden and (chosen is None or c in chosen))
            waiting.extend(seen[key])
        return CourseTree.build(
            replace(each.block, children=seen[key]) for key, each in self.blocks.items() if key in seen
        )

    def tell_hidden(self, view: _View) -> dict[str, HiddenBlock]:
        """Return what is not in a view, and why."""
        not_selected = {
            (library.block.key, child)
            for library, drawn in zip(self.libraries, view.drawn, strict=True)
            for child in library.block.children
            if child not in drawn
        }
        return self.outline.hidden(self._reasons(view), not_selected)

    def _reasons(self, view: _View) -> dict[str, HiddenBlock]:
        """Return the blocks that are hidden themselves, whatever they are in."""
        if view.sees_all:
            return {}
        return {key: why for key, each in self.blocks.items() if (why := self._find_reason(each, view)) is not None}

    def _find_reason(self, each: _Block, view: _View) -> HiddenBlock | None:
        if each.staff_only:
            return HiddenBlock(reason=HiddenReason.STAFF_ONLY)
        if each.cohorts and view.cohort not in each.cohorts:
            return HiddenBlock(reason=HiddenReason.OTHER_GROUP)
        if each.release > view.released:
            date = self.outline.change_dates[each.release - 1]
            return HiddenBlock(reason=HiddenReason.NOT_RELEASED, release_date=date)
        return None


def _get_content(course_key: CourseKey) -> _Content:
    content = None
    while content is None:
        version = Course.objects.filter(course_key=course_key).values_list("version", flat=True).first()
        if version is None:
            raise CourseNotFoundError(f"The LMS has no course {course_key}.")
        content = _load_content(course_key, version, conf.AGGREGATE_UNRELEASED_BLOCKS)
    return content


@lru_cache(maxsize=32)
def _load_content(course_key: CourseKey, version: str, with_unreleased: bool) -> _Content | None:
    """Read a version from the tables; None when another was published meanwhile."""
    course = Course.objects.filter(course_key=course_key, version=version)
    rows = list(Block.objects.filter(course__in=course).order_by("position"))
    links = BlockLink.objects.filter(parent__course__in=course).order_by("parent", "position")
    children: dict[int, list[int]] = defaultdict(list)
    for parent_id, child_id in links.values_list("parent_id", "child_id"):
        children[parent_id].append(child_id)
    if not course.exists():
        return None
    dates = [] if with_unreleased else sorted({row.start for row in rows if row.start is not None})
    places = {row.pk: place for place, row in enumerate(rows)}
    outline = CourseOutline(
        version=version,
        blocks=tuple(
            OutlineBlock(
                key=row.block_key,
                block_type=row.block_type,
                display_name=row.display_name,
                mode=_mode(row.block_type),
                children=tuple(places[child] for child in children[row.pk]),
            )
            for row in rows
        ),
        change_dates=tuple(dates),
    )
    keys = [row.block_key for row in rows]
    blocks = {
        row.block_key: _Block(
            block=engine.Block(
                key=row.block_key,
                block_type=row.block_type,
                mode=_mode(row.block_type),
                optional=row.optional,
                children=tuple(keys[places[child]] for child in children[row.pk]),
            ),
            release=dates.index(row.start) + 1 if dates and row.start is not None else 0,
            staff_only=row.staff_only,
            cohorts=frozenset(row.cohorts),
            max_count=row.max_count,
        )
        for row in rows
    }
    return _Content(outline, blocks)


def _mode(block_type: str) -> CompletionMode:
    if block_type in AGGREGATORS:
        return CompletionMode.AGGREGATOR
    return CompletionMode.EXCLUDED if block_type in EXCLUDED else CompletionMode.COMPLETABLE
