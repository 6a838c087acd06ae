"""Answers the peer's questions to the platform: the functions of its `compat`, replaced."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from celery import Celery
from opaque_keys.edx.keys import CourseKey, UsageKey
from rest_framework.authentication import SessionAuthentication
from xblock.completable import XBlockCompletionMode
from xblock.core import XBlock

from benchmarks.course import Course
from benchmarks.peer.lms.models import CourseEnrollment, users_enrolled_in
from completion_aggregator import compat
from completion_aggregator.api.common import CompletionViewMixin

_children: dict[UsageKey, list[UsageKey]] = {}
_aggregators: dict[UsageKey, list[UsageKey]] = {}


def publish(course: Course) -> None:
    """Put the structure of a course into memory."""
    parents: dict[str, str] = {}
    keys = {block.key: UsageKey.from_string(block.key) for block in course.blocks()}
    for block in course.blocks():
        _children[keys[block.key]] = [keys[child] for child in block.children]
        parents.update(dict.fromkeys(block.children, block.key))
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


class _Aggregator(XBlock):
    completion_mode = XBlockCompletionMode.AGGREGATOR


class _Completable(XBlock):
    completion_mode = XBlockCompletionMode.COMPLETABLE


def _load_class(block_type: str, *args: Any, **kwargs: Any) -> type[XBlock]:
    return _Completable if block_type == "html" else _Aggregator


def connect() -> None:
    # What the peer gives to a worker is done at once.
    Celery("benchmarks", set_as_current=True).conf.task_always_eager = True
    compat.get_modulestore = _Modulestore
    compat.get_item_not_found_error = lambda: _NotFoundError
    compat.init_course_block_key = lambda modulestore, course_key: course_key.make_usage_key("course", "course")
    compat.init_course_blocks = lambda user, root_block_key: None
    compat.get_children = lambda course_blocks, block_key: _children[block_key]
    compat.get_block_aggregators = lambda course_blocks, block: _aggregators[block]
    compat.is_block_optional = lambda course_blocks, block: False
    compat.course_enrollment_model = lambda: CourseEnrollment
    compat.get_users_enrolled_in = users_enrolled_in
    XBlock.load_class = _load_class
    CompletionViewMixin.get_authenticators = lambda view: [SessionAuthentication()]
