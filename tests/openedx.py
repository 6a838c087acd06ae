"""What happens in Open edX besides its being asked; on the stand-ins of tests/stubs."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from common.djangoapps.student.models import CourseAccessRole, CourseEnrollment, UserProfile
from lms.djangoapps.courseware.models import StudentModule
from opaque_keys.edx.keys import CourseKey, UsageKey
from openedx.core.djangoapps.content.block_structure.api import clear_course_from_cache, update_course_in_cache
from openedx.core.djangoapps.content.course_overviews.models import CourseOverview
from openedx.core.djangoapps.course_groups.cohorts import add_user_to_cohort, set_course_cohorted
from openedx.core.djangoapps.course_groups.models import CourseUserGroup, CourseUserGroupPartitionGroup
from xmodule.modulestore.django import StoredBlock, modulestore

from sample_lms.olx import OlxBlock
from tests.factories import COURSE_KEY

#: The partition whose groups are linked to cohorts.
COHORT_PARTITION = 50
#: Its groups, by the names that the tests give to cohorts.
GROUPS = {"Red": 1, "Blue": 2, "Gone": 3}


def publish(blocks: Sequence[OlxBlock], course_key: CourseKey = COURSE_KEY, *, days_early: int | None = None) -> None:
    """Publish what describes a course of the sample LMS, and let the platform's task collect it."""
    store = modulestore()
    root = store.make_course_usage_key(course_key)

    def place(text: str) -> UsageKey:
        return root if text == blocks[0].key else UsageKey.from_string(text).map_into_course(course_key)

    course_fields = {"user_partitions": [COHORTS], "days_early_for_beta": days_early}
    stored = [
        StoredBlock(
            key=place(block.key),
            children=tuple(map(place, block.children)),
            fields=_fields(block) | (course_fields if block is blocks[0] else {}),
        )
        for block in blocks
    ]
    CourseOverview.objects.get_or_create(id=course_key, defaults={"org": course_key.org})
    store.publish(course_key, stored)
    update_course_in_cache(course_key)


COHORTS = {
    "id": COHORT_PARTITION,
    "name": "Content groups",
    "description": "",
    "groups": [(number, name) for name, number in GROUPS.items()],
    "scheme_id": "cohort",
}


def _fields(block: OlxBlock) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "display_name": block.display_name,
        "start": block.start,
        "visible_to_staff_only": block.staff_only,
    }
    if block.optional:
        fields["optional_completion"] = True
    if block.cohorts:
        fields["group_access"] = {COHORT_PARTITION: [GROUPS[name] for name in block.cohorts]}
    if block.max_count is not None:
        fields["max_count"] = block.max_count
    return fields


def make_cohort(name: str, *members: Any, course_key: CourseKey = COURSE_KEY) -> int:
    """Make a cohort that is linked to the group of the same name, and its course cohorted."""
    set_course_cohorted(course_key, True)
    cohort = CourseUserGroup.objects.create(course_id=course_key, name=name)
    if name in GROUPS:
        CourseUserGroupPartitionGroup.objects.create(
            course_user_group=cohort, partition_id=COHORT_PARTITION, group_id=GROUPS[name]
        )
    for member in members:
        add_user_to_cohort(cohort, member)
    pk: int = cohort.pk
    return pk


def give_role(user: Any, role: str, course_key: CourseKey = COURSE_KEY) -> None:
    CourseAccessRole.objects.create(user=user, role=role, course_id=course_key, org=course_key.org)


def give_org_role(user: Any, role: str, org: str) -> None:
    CourseAccessRole.objects.create(user=user, role=role, org=org)


def give_name(user: Any, name: str) -> None:
    UserProfile.objects.create(user=user, name=name)


def enroll(user: Any, course_key: CourseKey = COURSE_KEY, mode: str | None = None) -> None:
    CourseEnrollment.enroll(user, course_key, mode=mode)


def unenroll(user: Any, course_key: CourseKey = COURSE_KEY) -> None:
    CourseEnrollment.unenroll(user, course_key)


def delete_course(course_key: CourseKey) -> None:
    modulestore().delete_course(course_key, user_id=1)
    CourseOverview.objects.filter(id=course_key).delete()
    clear_course_from_cache(course_key)


def select(user: Any, library: str, children: Collection[str]) -> None:
    """Fix what a learner has drawn from an item bank."""
    keys = [UsageKey.from_string(child) for child in children]
    StudentModule.save_state(
        user,
        COURSE_KEY,
        UsageKey.from_string(library),
        defaults={"state": json.dumps({"selected": [(key.block_type, key.block_id) for key in keys]})},
    )
