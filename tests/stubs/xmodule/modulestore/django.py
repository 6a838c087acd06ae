"""The store of courses, and the signals of who writes to it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from types import SimpleNamespace
from typing import Any

from common.djangoapps.split_modulestore_django.models import SplitModulestoreCourseIndex
from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey, UsageKey
from opaque_keys.edx.locator import LibraryLocator
from xblock.core import XBlock
from xblock.plugin import PluginMissingError
from xmodule.modulestore.exceptions import ItemNotFoundError
from xmodule.partitions.partitions import Group, UserPartition


class SwitchedSignal(Signal):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__()


class SignalHandler:
    pre_publish = SwitchedSignal("pre_publish")
    course_published = SwitchedSignal("course_published")
    course_deleted = SwitchedSignal("course_deleted")
    library_updated = SwitchedSignal("library_updated")
    item_deleted = SwitchedSignal("item_deleted")


PRE_PUBLISH = SignalHandler.pre_publish
COURSE_PUBLISHED = SignalHandler.course_published
COURSE_DELETED = SignalHandler.course_deleted
LIBRARY_UPDATED = SignalHandler.library_updated
ITEM_DELETED = SignalHandler.item_deleted


@dataclass(frozen=True, kw_only=True)
class StoredBlock:
    """A block as its authors wrote it: fields that they did not set are absent."""

    key: UsageKey
    children: tuple[UsageKey, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)


class SplitModuleStore:
    """The published branch of all courses."""

    def make_course_usage_key(self, course_key: CourseKey) -> UsageKey:
        return course_key.make_usage_key("course", course_key.run if course_key.deprecated else "course")

    def get_course(self, course_key: CourseKey, depth: int = 0) -> Any | None:
        try:
            return self.get_item(self.make_course_usage_key(course_key))
        except ItemNotFoundError:
            return None

    def get_item(self, usage_key: UsageKey, depth: int = 0) -> Any:
        return self.load(usage_key.course_key)[1].get(usage_key) or _raise(usage_key)

    def load(self, course_key: CourseKey) -> tuple[SplitModulestoreCourseIndex, dict[UsageKey, Any]]:
        index = SplitModulestoreCourseIndex.objects.filter(course_id=course_key).first()
        if index is None or index.course_id != course_key:
            raise ItemNotFoundError(course_key)
        return index, {block.key: _load_xblock(block) for block in index.content}

    def publish(self, course_key: CourseKey, blocks: Iterable[StoredBlock], *, run_signal: bool = True) -> None:
        """Write the next version, all of it; the signal comes at the end of the bulk operation."""
        with transaction.atomic():
            SplitModulestoreCourseIndex.objects.update_or_create(
                course_id=course_key,
                defaults={"published_version": uuid.uuid4().hex[:24], "edited_on": timezone.now(), "content": blocks},
            )
        if run_signal:
            SignalHandler.course_published.send_robust(sender=type(self), course_key=course_key)

    def delete_item(self, usage_key: UsageKey, user_id: int) -> None:
        SignalHandler.item_deleted.send_robust(sender=type(self), usage_key=usage_key, user_id=user_id)

    def delete_course(self, course_key: CourseKey, user_id: int) -> None:
        SplitModulestoreCourseIndex.objects.filter(course_id=course_key).delete()
        SignalHandler.course_deleted.send_robust(sender=type(self), course_key=course_key)

    def publish_library(self, library_key: LibraryLocator) -> None:
        SignalHandler.course_published.send_robust(sender=type(self), course_key=library_key)


def _raise(usage_key: UsageKey) -> Any:
    raise ItemNotFoundError(usage_key)


def _load_xblock(block: StoredBlock) -> Any:
    """Return an object with the attributes of the XBlock that the runtime would make."""
    fields = dict(block.fields)
    try:
        cls = XBlock.load_class(block.key.block_type)
        if hasattr(cls, "completion_mode"):
            fields.setdefault("completion_mode", cls.completion_mode)
    except PluginMissingError:
        cls = None  # The platform takes its HiddenBlock, which says nothing of completion.
    partitions = [
        UserPartition(**{**each, "groups": [Group(*group) for group in each["groups"]]})
        for each in fields.pop("user_partitions", ())
    ]
    return SimpleNamespace(
        **{"display_name": None, "start": None, "visible_to_staff_only": False, "group_access": {}, "max_count": -1}
        | fields,
        user_partitions=partitions,
        location=block.key,
        category=block.key.block_type,
        children=list(block.children),
        xblock_class=cls,
    )


def at_version(block: StoredBlock, version: str) -> StoredBlock:
    """Give a block the keys that it had in structures collected between September 2025 and January 2026."""

    def qualify(key: UsageKey) -> UsageKey:
        return key.map_into_course(key.course_key.for_branch("published-branch").for_version(version))

    return replace(block, key=qualify(block.key), children=tuple(map(qualify, block.children)))


@cache
def modulestore() -> SplitModuleStore:
    return SplitModuleStore()
