"""The adapter: how Open edX answers. With the transformer, the only module that imports the platform.

What a learner sees of a course is what the platform's own transformers leave of its collected structure. They are not
run for each learner, but once for all who see the same: staff, and the members of each group that some block is
limited to. Release dates are left to this module, so that a day's releases need no transformation. Only courses with
content that is drawn for each learner (item banks, libraries, A/B tests) are transformed learner by learner.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from common.djangoapps.student import roles as role_classes
from common.djangoapps.student.models import CourseAccessRole, CourseEnrollment, UserProfile
from crum import get_current_request
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.checks import CheckMessage, Error
from django.db.models import Q, QuerySet
from django.http import Http404
from django.urls import NoReverseMatch, reverse
from edx_django_utils.cache import RequestCache
from lms.djangoapps.course_blocks.api import get_course_block_access_transformers
from lms.djangoapps.course_blocks.transformers.start_date import StartDateTransformer
from lms.djangoapps.course_blocks.transformers.user_partitions import UserPartitionTransformer
from lms.djangoapps.course_blocks.transformers.visibility import VisibilityTransformer
from lms.djangoapps.course_blocks.usage_info import CourseUsageInfo
from lms.djangoapps.courseware.access import has_access
from opaque_keys.edx.keys import CourseKey, UsageKey
from openedx.core.djangoapps.content.block_structure.api import get_course_in_cache
from openedx.core.djangoapps.content.block_structure.models import BlockStructureModel
from openedx.core.djangoapps.content.block_structure.transformer_registry import TransformerRegistry
from openedx.core.djangoapps.content.block_structure.transformers import BlockStructureTransformers
from openedx.core.djangoapps.content.course_overviews.models import CourseOverview
from openedx.core.djangoapps.course_groups.cohorts import bulk_cache_cohorts, is_course_cohorted
from openedx.core.djangoapps.course_groups.models import CohortMembership, CourseUserGroup
from xblock.core import XBlock
from xblock.plugin import PluginMissingError
from xmodule.item_bank_block import ItemBankMixin
from xmodule.modulestore.django import modulestore
from xmodule.modulestore.exceptions import ItemNotFoundError

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
from completion_aggregator.transformers import CompletionAggregatorTransformer

try:
    from openedx.core.toggles import AUTHZ_COURSE_AUTHORING_FLAG
except ImportError:  # before Verawood
    AUTHZ_COURSE_AUTHORING_FLAG = None

log = logging.getLogger(__name__)

#: Roles whose holders see all of a course.
STAFF_ROLES = ("staff", "instructor", "limited_staff")
BETA_ROLE = "beta_testers"
#: Trees of one content that are kept. One of a large course takes about a megabyte.
MAX_TREES = 64
#: Schemes of user partitions: by cohort, by enrollment mode. Whoever is in the same groups of these sees the same.
_COHORT = "cohort"
_MODE = "enrollment_track"
_SHARED = {_COHORT, _MODE}
_AB_TEST = "split_test"
#: Fields of a structure's row that together say which structure it is.
_VERSION_FIELDS = (
    "data_version",
    "data_edit_timestamp",
    "transformers_schema_version",
    "block_structure_schema_version",
)
_COURSE_ROLES = tuple(
    getattr(role_classes, f"Course{name}Role")
    for name in ("Staff", "Instructor", "LimitedStaff", "BetaTester", "DataResearcher")
)
_ORG_ROLES = tuple(getattr(role_classes, f"Org{name}Role") for name in ("Staff", "Instructor", "DataResearcher"))


class OpenEdX(LMS):
    """Answers from the LMS, in whose process it runs; in Studio too, as far as marking learners needs it."""

    capabilities = frozenset(Capability)

    def check(self) -> list[CheckMessage]:
        if CompletionAggregatorTransformer in TransformerRegistry.get_available_plugins().values():
            return []
        hint = "Install the package with pip: its entry points tell Open edX of the transformer."
        return [
            Error(
                "The block-structure transformer of completion_aggregator is not installed.",
                hint=hint,
                id="completion_aggregator.E006",
            )
        ]

    def enrollments(self) -> QuerySet[Any]:
        enrollments: QuerySet[Any] = CourseEnrollment.objects.filter(is_active=True)
        return enrollments

    def is_course_staff(self, user: AbstractBaseUser, course_key: CourseKey) -> bool:
        return (
            bool(has_access(user, "staff", course_key))
            or role_classes.CourseDataResearcherRole(course_key).has_user(user)
            or role_classes.OrgDataResearcherRole(course_key.org).has_user(user)
        )

    def role_holders(self, course_key: CourseKey, roles: Collection[str] | None = None) -> QuerySet[Any]:
        in_org = Q(course_id=CourseAccessRole.course_id.field.Empty, org=course_key.org)
        held = CourseAccessRole.objects.filter(Q(course_id=course_key) | in_org)
        if roles is not None:
            held = held.filter(role__in=roles)
        user_ids: QuerySet[Any] = held.values_list("user_id", flat=True)
        if AUTHZ_COURSE_AUTHORING_FLAG is None or not AUTHZ_COURSE_AUTHORING_FLAG.is_enabled(course_key):
            return user_ids
        # Roles are moving to openedx-authz, which has no rows to join: only their classes know all who hold them.
        asked = [role(course_key) for role in _COURSE_ROLES] + [role(course_key.org) for role in _ORG_ROLES]
        holders = set(user_ids)
        for role in asked:
            if roles is None or role.ROLE in roles:
                holders.update(role.users_with_role().values_list("pk", flat=True))
        return get_user_model()._default_manager.filter(pk__in=holders).values_list("pk", flat=True)

    def cohorts(self, course_key: CourseKey) -> dict[int, str] | None:
        _forget_request()
        if not _is_cohorted(course_key):
            return None
        cohorts = CourseUserGroup.objects.filter(course_id=course_key, group_type=CourseUserGroup.COHORT)
        return dict(cohorts.order_by("name").values_list("id", "name"))

    def cohort_members(self, course_key: CourseKey, cohort_ids: Collection[int]) -> QuerySet[Any]:
        memberships = CohortMembership.objects.filter(course_id=course_key, course_user_group_id__in=cohort_ids)
        members: QuerySet[Any] = memberships.values("user_id")
        return members

    def staff_courses(self, user: AbstractBaseUser) -> list[CourseKey]:
        """Return the courses in which the user works; see `LMS.staff_courses`.

        Cost: one query for the courses; the platform reads the user's roles once and compares them in memory.
        """
        # Not by the rows of roles: where openedx-authz keeps them, there are none.
        keys = CourseOverview.objects.order_by("id").values_list("id", flat=True)
        return [key for key in keys if self.is_course_staff(user, key)]

    def learner_names(self, user_ids: Collection[int]) -> dict[int, str]:
        profiles = UserProfile.objects.filter(user_id__in=user_ids).exclude(name="")
        return dict(profiles.values_list("user_id", "name"))

    def matching_learners(self, text: str) -> QuerySet[Any]:
        found = Q(username__icontains=text) | Q(profile__name__icontains=text)
        return get_user_model()._default_manager.filter(found).values("pk")

    def block_url(self, course_key: CourseKey, block_key: str) -> str | None:
        # Studio has no such page.
        with suppress(NoReverseMatch):
            return reverse("jump_to", kwargs={"course_id": str(course_key), "location": block_key})
        return None

    def mobile_courses(self) -> QuerySet[Any]:
        courses: QuerySet[Any] = CourseOverview.objects.filter(mobile_available=True).values("id")
        return courses

    def course_versions(self, course_keys: Collection[CourseKey]) -> dict[CourseKey, str]:
        versions = _read_versions(course_keys)
        for course_key in course_keys:
            if course_key not in versions and _collect_first(course_key):
                versions |= _read_versions([course_key])
        return versions

    def outdated_courses(self, course_keys: Collection[CourseKey]) -> list[CourseKey]:
        """Return those that were collected by other transformers than are installed: the platform will do it anew."""
        rows = _structure_rows(course_keys).exclude(
            transformers_schema_version=TransformerRegistry.get_write_version_hash()
        )
        outdated = {str(key) for key in rows.values_list("data_usage_key", flat=True)}
        return [key for key in course_keys if str(modulestore().make_course_usage_key(key)) in outdated]

    def course_outline(self, course_key: CourseKey) -> CourseOutline:
        return _get_content(course_key).outline

    def course_views(self, course_key: CourseKey, user_ids: Collection[int], *, now: datetime) -> Iterator[CourseView]:
        """Group learners by what they see of the course at `now`; see `LMS.course_views`.

        Cost: a fixed number of queries, and a transformation for each audience that was not met yet in this version;
        in a course that draws content for each learner, the platform's transformation of each learner.
        """
        for _, _, members, shown in _look(course_key, user_ids, now):
            yield CourseView(tree=shown.tree, user_ids=tuple(learner.pk for learner in members))

    def hidden_blocks(self, course_key: CourseKey, user_id: int, *, now: datetime) -> dict[str, HiddenBlock]:
        # One view, or none: there is no such user.
        for content, view, members, shown in _look(course_key, [user_id], now):
            days_early = _days_early(content, members).get(user_id, timedelta())
            return content.tell_hidden(view, shown.removed, days_early)
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Audience:
    """All that decides what the platform's transformers leave to somebody, release dates aside."""

    is_staff: bool = False
    #: Partition and group that the learner's cohort is linked to, if a block is limited to some of these.
    cohort_group: tuple[int, int] | None = None
    #: Mode of the active enrollment, if a block is limited to some of these.
    mode: str | None = None
    #: Set where each learner is an audience of their own.
    user_id: int | None = None


class _View(NamedTuple):
    """Whoever has the same view has the same tree."""

    audience: _Audience
    #: How many of the course's release dates have passed for them.
    released: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """What is the same of a block for everybody."""

    block: engine.Block
    position: int
    #: How many release dates must have passed; 0: there from the beginning.
    release: int
    #: Itself, or all that it is in.
    is_staff_only: bool
    #: Whether it is itself for some groups only.
    has_groups: bool


class _Shown(NamedTuple):
    tree: CourseTree
    #: What the platform's transformers have taken out; what is not released yet is not among it.
    removed: frozenset[UsageKey]


@dataclass(kw_only=True)
class _Content:
    """One collected structure of a course, as far as it is kept in memory."""

    course_key: CourseKey
    outline: CourseOutline
    #: By key as it is in the structure: it may have a branch and a version.
    blocks: dict[UsageKey, _Block]
    dates: list[datetime]
    #: How much earlier everything begins for beta testers.
    days_early: timedelta
    #: Whether content is drawn for each learner, so that none can stand for others.
    is_individual: bool
    has_cohort_groups: bool
    has_mode_groups: bool
    shown: dict[_View, _Shown] = field(default_factory=dict)

    def keep(self, view: _View, shown: _Shown) -> None:
        if view.audience.user_id is None:
            if len(self.shown) >= MAX_TREES:
                self.shown.clear()
            self.shown[view] = shown

    def compile(self, structure: Any, released: int) -> _Shown:
        """Compile what a transformation has left, without what is not released yet."""
        seen: dict[UsageKey, engine.Block] = {}
        waiting = [next(iter(self.blocks))]
        while waiting:
            key = waiting.pop()
            if key in seen:
                continue
            known = self.blocks[key]
            # The course itself is always there; before its start, it is empty.
            children = structure.get_children(key) if known.release <= released else ()
            children = [child for child in children if self.blocks[child].release <= released]
            seen[key] = replace(known.block, children=tuple(self.blocks[child].block.key for child in children))
            waiting.extend(children)
        tree = CourseTree.build(seen[key] for key in sorted(seen, key=lambda key: self.blocks[key].position))
        return _Shown(tree, frozenset(key for key in self.blocks if key not in structure))

    def tell_hidden(self, view: _View, removed: Collection[UsageKey], days_early: timedelta) -> dict[str, HiddenBlock]:
        """Return what somebody does not see, and why."""
        reasons = {
            known.block.key: HiddenBlock(
                reason=HiddenReason.NOT_RELEASED, release_date=self.dates[known.release - 1] - days_early
            )
            for known in self.blocks.values()
            if known.release > view.released
        }
        not_selected = set()
        for parent, child in self._ways_out(removed):
            key, has_groups = self.blocks[child].block.key, self.blocks[child].has_groups
            if parent is None or not _is_item_bank(parent.block_type):
                reasons[key] = HiddenBlock(reason=HiddenReason.OTHER_GROUP if has_groups else HiddenReason.UNKNOWN)
            elif has_groups:  # It may have been drawn, and be for others.
                reasons[key] = HiddenBlock(reason=HiddenReason.UNKNOWN)
            else:
                not_selected.add((self.blocks[parent].block.key, key))
        if not view.audience.is_staff:
            staff_only = HiddenBlock(reason=HiddenReason.STAFF_ONLY)
            reasons |= {known.block.key: staff_only for known in self.blocks.values() if known.is_staff_only}
        return self.outline.hidden(reasons, not_selected)

    def _ways_out(self, removed: Collection[UsageKey]) -> Iterator[tuple[UsageKey | None, UsageKey]]:
        """Give what was removed, each with the parent (none: it is the course) that it was removed from."""
        keys = list(self.blocks)
        if keys[0] in removed:
            yield None, keys[0]
        for parent, block in zip(keys, self.outline.blocks, strict=True):
            # An A/B test is taken out for everybody, and what it holds is put in its place.
            if parent not in removed or parent.block_type == _AB_TEST:
                for child in (keys[place] for place in block.children):
                    if child in removed and child.block_type != _AB_TEST:
                        yield parent, child


def _forget_request() -> None:
    """Drop what the platform remembers for a request where there is none: in a command it would last for ever."""
    if get_current_request() is None:
        RequestCache.clear_all_namespaces()


def _structure_rows(course_keys: Collection[CourseKey]) -> QuerySet[Any]:
    # From their texts: old keys have no run in the table.
    texts = [str(modulestore().make_course_usage_key(course_key)) for course_key in course_keys]
    rows: QuerySet[Any] = BlockStructureModel.objects.filter(data_usage_key__in=list(map(UsageKey.from_string, texts)))
    return rows


def _read_versions(course_keys: Collection[CourseKey]) -> dict[CourseKey, str]:
    """Return the version of each structure that was collected, as it is now."""
    asked = {str(modulestore().make_course_usage_key(course_key)): course_key for course_key in course_keys}
    rows = _structure_rows(course_keys)
    # Old keys have no run in the table, but the same text. MySQL takes a key in other letter case for the same.
    return {
        asked[text]: hashlib.sha256(repr(version).encode()).hexdigest()
        for key, *version in rows.values_list("data_usage_key", *_VERSION_FIELDS)
        if (text := str(key)) in asked
    }


def _collect(course_key: CourseKey) -> Any | None:
    """Return the collected structure, collected now where it has to be; None: there is no such course."""
    try:
        return get_course_in_cache(course_key)
    except ItemNotFoundError:
        return None


def _collect_first(course_key: CourseKey) -> bool:
    """Have a course collected that never was; tell whether it is now. One that cannot be is as good as none."""
    try:
        return _collect(course_key) is not None
    except Exception:
        log.exception("Course %s cannot be collected", course_key)
        return False


class _CollectedMeanwhileError(Exception):
    """The structure is not the one that was asked for any more."""


def _get_content(course_key: CourseKey) -> _Content:
    while True:
        version = OpenEdX().course_versions([course_key]).get(course_key)
        if version is None:
            raise CourseNotFoundError(f"The LMS has no course {course_key}.")
        # Raised, not returned: what is returned is kept for that version, which may come back.
        with suppress(_CollectedMeanwhileError):
            return _load_content(course_key, version, conf.AGGREGATE_UNRELEASED_BLOCKS, conf.SHARE_STRUCTURE)


@lru_cache(maxsize=32)
def _load_content(course_key: CourseKey, version: str, with_unreleased: bool, is_shared: bool) -> _Content:
    """Read a structure.

    Raises:
        _CollectedMeanwhileError: another was collected meanwhile.
    """
    structure = _read_structure(course_key, version)
    keys = _in_course_order(structure)
    places = {key: place for place, key in enumerate(keys)}
    starts = {} if with_unreleased else {key: start for key in keys if (start := _start(structure, key)) is not None}
    dates = sorted(set(starts.values()))
    days_early = timedelta(days=structure.get_xblock_field(keys[0], "days_early_for_beta") or 0)
    blocks = {
        key: _Block(
            block=engine.Block(
                key=str(key.map_into_course(course_key)),
                block_type=key.block_type,
                mode=_mode(structure, key),
                optional=bool(structure.get_xblock_field(key, "optional_completion", False)),
            ),
            position=place,
            release=bisect_right(dates, starts[key]) if key in starts else 0,
            is_staff_only=_is_staff_only(structure, key),
            has_groups=any(_group_access(structure, key).values()),
        )
        for key, place in places.items()
    }
    outline = CourseOutline(
        version=version,
        blocks=tuple(
            OutlineBlock(
                key=known.block.key,
                block_type=known.block.block_type,
                display_name=structure.get_xblock_field(key, "display_name") or "",
                mode=known.block.mode,
                children=tuple(places[child] for child in structure.get_children(key)),
            )
            for key, known in blocks.items()
        ),
        change_dates=tuple(sorted({*dates, *(date - days_early for date in dates)})),
    )
    schemes = _limiting_schemes(structure, keys)
    return _Content(
        course_key=course_key,
        outline=outline,
        blocks=blocks,
        dates=dates,
        days_early=days_early,
        is_individual=not is_shared or any(map(_draws, {key.block_type for key in keys})) or not schemes <= _SHARED,
        has_cohort_groups=_COHORT in schemes,
        has_mode_groups=_MODE in schemes,
    )


def _in_course_order(structure: Any) -> list[UsageKey]:
    """Return all keys, depth first; a block with several parents comes where it is met first."""
    seen: dict[UsageKey, None] = {}
    waiting = [structure.root_block_usage_key]
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen[key] = None
            waiting.extend(reversed(structure.get_children(key)))
    return list(seen)


def _start(structure: Any, key: UsageKey) -> datetime | None:
    """Return when a block begins, no earlier than what it is in."""
    start: datetime | None = structure.get_transformer_block_field(key, StartDateTransformer, "merged_start_date")
    return start


def _is_staff_only(structure: Any, key: UsageKey) -> bool:
    return bool(structure.get_transformer_block_field(key, VisibilityTransformer, "merged_visible_to_staff_only"))


def _group_access(structure: Any, key: UsageKey) -> Mapping[Any, Collection[int]]:
    """Return the groups that a block is for, by partition; a partition without groups limits nothing."""
    groups: Mapping[Any, Collection[int]] = structure.get_xblock_field(key, "group_access") or {}
    return groups


def _mode(structure: Any, key: UsageKey) -> CompletionMode:
    if _find_class(key.block_type) is None:
        return CompletionMode.EXCLUDED
    # Most block types say nothing.
    return CompletionMode(structure.get_xblock_field(key, "completion_mode") or CompletionMode.COMPLETABLE)


def _draws(block_type: str) -> bool:
    """Tell whether blocks of this type show different learners different children."""
    return block_type == _AB_TEST or _is_item_bank(block_type)


def _is_item_bank(block_type: str) -> bool:
    found = _find_class(block_type)
    return found is not None and issubclass(found, ItemBankMixin)


def _find_class(block_type: str) -> type | None:
    """Return the class of a block type; None: none is installed."""
    try:
        found: type = XBlock.load_class(block_type, select=getattr(settings, "XBLOCK_SELECT_FUNCTION", None))
    except PluginMissingError:
        return None
    return found


def _limiting_schemes(structure: Any, keys: Iterable[UsageKey]) -> set[str]:
    """Return how those groups come about that some block is limited to."""
    limited = {
        int(partition_id)
        for key in keys
        for partition_id, group_ids in _group_access(structure, key).items()
        if group_ids
    }
    if not limited:
        return set()
    partitions = structure.get_transformer_data(UserPartitionTransformer, "user_partitions")
    # Not told: then nobody may stand for others.
    return {"?"} if partitions is None else {each.scheme.name for each in partitions if each.id in limited}


_Group = tuple[_View, list[Any], _Shown | None]


def _look(
    course_key: CourseKey, user_ids: Collection[int], now: datetime
) -> Iterator[tuple[_Content, _View, list[Any], _Shown]]:
    """Group learners by what they see, and say what that is."""
    _forget_request()
    learners = list(get_user_model()._default_manager.filter(pk__in=user_ids).order_by("pk"))
    content, groups, structure = _prepare(course_key, learners, now)
    # To be copied by unpickling: that takes a quarter of the time of `copy()`.
    collected = pickle.dumps(structure, pickle.HIGHEST_PROTOCOL)
    for view, members, shown in groups:
        if shown is None:
            shown = content.compile(_transform(content, collected, view.audience, members[0]), view.released)
            content.keep(view, shown)
        yield content, view, members, shown


def _prepare(
    course_key: CourseKey, learners: Sequence[Any], now: datetime
) -> tuple[_Content, list[_Group], Any | None]:
    """Return the content of a course, the learners by what they see, and the structure, if what is missing is in it."""
    while True:
        content = _get_content(course_key)
        views = _group(content, learners, now)
        groups = [(view, members, content.shown.get(view)) for view, members in views.items()]
        if all(shown is not None for *_, shown in groups):
            return content, groups, None
        with suppress(_CollectedMeanwhileError):
            structure = _read_structure(course_key, content.outline.version)
            if _is_cohorted(course_key):
                # The transformers ask for a learner's cohort; not found here, the platform would assign one at random.
                bulk_cache_cohorts(course_key, learners)
            return content, groups, structure


def _group(content: _Content, learners: Sequence[Any], now: datetime) -> dict[_View, list[Any]]:
    """Group learners by what they see."""
    course_key, ids = content.course_key, [learner.pk for learner in learners]
    lms = OpenEdX()
    workers = set(lms.role_holders(course_key, STAFF_ROLES))
    early = _days_early(content, learners)
    cohort_groups = _cohort_groups(course_key, ids) if content.has_cohort_groups else {}
    modes = _modes(course_key, ids) if content.has_mode_groups else {}
    views: dict[_View, list[Any]] = defaultdict(list)
    for learner in learners:
        is_staff = learner.is_staff or (learner.is_active and learner.pk in workers)
        audience = _Audience(
            is_staff=is_staff,
            cohort_group=None if is_staff else cohort_groups.get(learner.pk),
            mode=None if is_staff else modes.get(learner.pk),
            user_id=learner.pk if content.is_individual else None,
        )
        local = now + early.get(learner.pk, timedelta())
        released = len(content.dates) if is_staff else bisect_right(content.dates, local)
        views[_View(audience, released)].append(learner)
    return views


def _days_early(content: _Content, learners: Iterable[Any]) -> dict[int, timedelta]:
    """Return how much earlier everything begins for the beta testers among some learners."""
    if not content.days_early:
        return {}
    testers = set(OpenEdX().role_holders(content.course_key, [BETA_ROLE]))
    return {each.pk: content.days_early for each in learners if each.is_active and each.pk in testers}


def _cohort_groups(course_key: CourseKey, user_ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """Return partition and group of each learner whose cohort is linked to one."""
    if not _is_cohorted(course_key):
        return {}
    links = CohortMembership.objects.filter(
        course_id=course_key, user_id__in=user_ids, course_user_group__courseusergrouppartitiongroup__isnull=False
    )
    rows = links.values_list(
        "user_id",
        "course_user_group__courseusergrouppartitiongroup__partition_id",
        "course_user_group__courseusergrouppartitiongroup__group_id",
    )
    return {user_id: (partition_id, group_id) for user_id, partition_id, group_id in rows}


def _modes(course_key: CourseKey, user_ids: Collection[int]) -> dict[int, str]:
    rows = CourseEnrollment.objects.filter(course_id=course_key, user_id__in=user_ids, is_active=True)
    return dict(rows.values_list("user_id", "mode"))


def _is_cohorted(course_key: CourseKey) -> bool:
    try:
        return bool(is_course_cohorted(course_key))
    except Http404:
        return False


def _read_structure(course_key: CourseKey, version: str) -> Any:
    structure = _collect(course_key)
    if structure is None or _read_versions([course_key]).get(course_key) != version:
        raise _CollectedMeanwhileError
    return structure


def _transform(content: _Content, collected: bytes, audience: _Audience, learner: AbstractBaseUser) -> Any:
    """Return what the platform leaves of a course to an audience, of which `learner` is one."""
    # For whoever is in no group, nobody in particular is asked for: then nothing is assigned to anybody.
    user = AnonymousUser() if audience == _Audience() else learner
    transformers = BlockStructureTransformers(get_course_block_access_transformers(user))
    transformers.usage_info = CourseUsageInfo(content.course_key, user, allow_start_dates_in_future=True)
    structure = pickle.loads(collected)  # noqa: S301  # pickled by this process
    transformers.transform(structure)
    return structure
