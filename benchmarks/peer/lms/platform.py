"""Answers the peer's questions to the platform: the functions of its `compat`, replaced."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from celery import Celery
from opaque_keys.edx.keys import CourseKey, UsageKey
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from xblock.completable import XBlockCompletionMode
from xblock.core import XBlock
from xblock.plugin import PluginMissingError

from benchmarks.course import Course
from benchmarks.peer.lms.models import CourseEnrollment, users_enrolled_in
from completion_aggregator import compat
from completion_aggregator.api.common import CompletionViewMixin

_children: dict[UsageKey, list[UsageKey]] = {}
_aggregators: dict[UsageKey, list[UsageKey]] = {}
_optional: set[UsageKey] = set()
_roots: dict[CourseKey, UsageKey] = {}
_mobile: set[CourseKey] = set()


def publish(course: Course) -> None:
    """Put the structure of a course into memory."""
    parents: dict[str, str] = {}
    course_key = CourseKey.from_string(course.key)
    keys = {block.key: UsageKey.from_string(block.key).map_into_course(course_key) for block in course.blocks()}
    for known in (_children, _aggregators):
        for key in [key for key in known if key.course_key == course_key]:
            del known[key]
    _roots[course_key] = next(iter(keys.values()))
    if course.mobile:
        _mobile.add(course_key)
    for block in course.blocks():
        _children[keys[block.key]] = [keys[child] for child in block.children]
        parents.update(dict.fromkeys(block.children, block.key))
        if block.optional:
            _optional.add(keys[block.key])
        above = []
        key = block.key
        while key in parents:
            key = parents[key]
            above.append(keys[key])
        _aggregators[keys[block.key]] = above


class _NotFoundError(Exception):
    pass


class _Modulestore:
    def bulk_operations(self, course_key: CourseKey) -> AbstractContextManager[None]:
        return nullcontext()

    def get_item(self, block_key: UsageKey) -> type[XBlock]:
        """Return the class of the block, which has all that is asked of a block."""
        if block_key not in _children:
            raise _NotFoundError
        return _load_class(block_key.block_type)


class _Aggregator(XBlock):
    completion_mode = XBlockCompletionMode.AGGREGATOR


class _Completable(XBlock):
    completion_mode = XBlockCompletionMode.COMPLETABLE


class _Excluded(XBlock):
    completion_mode = XBlockCompletionMode.EXCLUDED


_CLASSES = {
    **dict.fromkeys(("course", "chapter", "sequential", "vertical"), _Aggregator),
    **dict.fromkeys(("html", "problem", "video"), _Completable),
    "discussion": _Excluded,
}


def _load_class(block_type: str, *args: Any, **kwargs: Any) -> type[XBlock]:
    if block_type not in _CLASSES:
        raise PluginMissingError(block_type)
    return _CLASSES[block_type]


def _course_block_key(modulestore: _Modulestore, course_key: CourseKey) -> UsageKey:
    if course_key not in _roots:
        raise _NotFoundError
    return _roots[course_key]


def _course_blocks(user: object, root_block_key: UsageKey) -> UsageKey:
    """Return what stands for the structure of a course or of a part of it: the key of its first block."""
    if root_block_key not in _children:
        raise _NotFoundError
    return root_block_key


def _aggregators_of(course_blocks: UsageKey, block: UsageKey) -> list[UsageKey]:
    above = _aggregators.get(block, [])
    if course_blocks.block_type == "course":
        return above
    return above[: above.index(course_blocks) + 1] if course_blocks in above else []


def connect() -> None:
    # What the peer gives to a worker is done at once.
    Celery("benchmarks", set_as_current=True).conf.task_always_eager = True
    compat.get_modulestore = _Modulestore
    compat.get_item_not_found_error = lambda: _NotFoundError
    compat.init_course_block_key = _course_block_key
    compat.init_course_blocks = _course_blocks
    compat.get_children = lambda course_blocks, block_key: _children.get(block_key, [])
    compat.get_block_aggregators = _aggregators_of
    compat.is_block_optional = lambda course_blocks, block: block in _optional
    compat.course_enrollment_model = lambda: CourseEnrollment
    compat.get_users_enrolled_in = users_enrolled_in
    compat.get_mobile_only_courses = lambda enrollments: enrollments.filter(course_id__in=_mobile)
    XBlock.load_class = _load_class
    CompletionViewMixin.get_authenticators = lambda view: [BasicAuthentication(), SessionAuthentication()]
