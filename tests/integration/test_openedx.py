"""The adapter of Open edX beyond the contract: what only this platform has, on the stand-ins of tests/stubs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from common.djangoapps.student.models import CourseAccessRole, CourseEnrollment
from common.djangoapps.student.roles import CourseBetaTesterRole, CourseStaffRole, OrgStaffRole
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from edx_django_utils.cache import RequestCache
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from lms.djangoapps.course_blocks.api import get_course_blocks
from lms.djangoapps.courseware.models import StudentModule
from opaque_keys.edx.keys import UsageKey
from openedx.core.djangoapps.content.block_structure.api import update_course_in_cache
from openedx.core.djangoapps.content.block_structure.models import BlockStructureModel
from openedx.core.djangoapps.course_groups.cohorts import set_course_cohorted
from openedx.core.djangoapps.course_groups.models import CohortMembership, CourseUserGroupPartitionGroup
from openedx.core.toggles import AUTHZ_COURSE_AUTHORING_FLAG
from waffle.testutils import override_flag, override_switch
from xmodule.modulestore.django import StoredBlock, at_version, modulestore

from completion_aggregator.engine import CompletionMode, CourseTree
from completion_aggregator.lms import openedx as adapter
from completion_aggregator.lms.openedx import OpenEdX
from completion_aggregator.transformers import CompletionAggregatorTransformer
from sample_lms.olx import OlxBlock
from tests import openedx
from tests.contract.test_lms_contract import COHORTED, LIBRARY, PLAIN, POOL
from tests.factories import COURSE_KEY, UserFactory, block, key, usage_key

pytestmark = pytest.mark.django_db

#: A partition of enrollment tracks and one whose groups are drawn, as the platform makes them.
TRACKS = {
    "id": 51,
    "name": "Tracks",
    "description": "",
    "groups": [(1, "audit"), (2, "verified")],
    "scheme_id": "enrollment_track",
}
DRAWN = {"id": 52, "name": "A/B", "description": "", "groups": [(0, "A"), (1, "B")], "scheme_id": "random"}


def publish_raw(*blocks: StoredBlock, **course_fields: Any) -> None:
    """Publish blocks with fields that only this platform has."""
    root, *others = blocks
    partitions = {"user_partitions": [openedx.COHORTS, TRACKS, DRAWN]}
    root = StoredBlock(key=root.key, children=root.children, fields=root.fields | partitions | course_fields)
    modulestore().publish(COURSE_KEY, [root, *others])
    update_course_in_cache(COURSE_KEY)


def stored(name: str, *children: str, **fields: Any) -> StoredBlock:
    return StoredBlock(key=usage_key(name), children=tuple(map(usage_key, children)), fields=fields)


def tree_of(user: Any) -> CourseTree:
    (view,) = OpenEdX().course_views(COURSE_KEY, [user.pk], now=timezone.now())
    assert view.user_ids == (user.pk,)
    return view.tree


def leaves_of(user: Any) -> set[str]:
    return {text.split("type@")[1].replace("+block@", "/") for text in tree_of(user).leaves}


def own_blocks(user: Any) -> set[str]:
    """Return what the platform itself shows to somebody now."""
    structure = get_course_blocks(user, modulestore().make_course_usage_key(COURSE_KEY))
    return {str(usage_key) for usage_key in structure.get_block_keys()}


def seen(tree: CourseTree) -> set[str]:
    return {*tree.aggregators, *tree.leaves}
