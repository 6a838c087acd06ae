from __future__ import annotations

from typing import Any

from django.core.cache import cache
from openedx.core.djangoapps.content.block_structure.manager import BlockStructureManager
from xmodule.modulestore.django import modulestore


def get_course_in_cache(course_key: Any) -> Any:
    return get_block_structure_manager(course_key).get_collected()


def update_course_in_cache(course_key: Any) -> None:
    get_block_structure_manager(course_key).update_collected_if_needed()


def clear_course_from_cache(course_key: Any) -> None:
    get_block_structure_manager(course_key).clear()


def get_cache() -> Any:
    return cache


def get_block_structure_manager(course_key: Any) -> BlockStructureManager:
    store = modulestore()
    return BlockStructureManager(store.make_course_usage_key(course_key), store, get_cache())
