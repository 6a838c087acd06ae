"""The adapter of Open edX is held to the contract, on the stand-ins of tests/stubs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pytest
from opaque_keys.edx.keys import CourseKey
from openedx.core.djangoapps.content.block_structure.models import BlockStructureModel
from openedx.core.djangoapps.content.course_overviews.models import CourseOverview
from openedx.core.djangoapps.course_groups.cohorts import set_course_cohorted

from completion_aggregator.lms.base import LMS, Capability
from completion_aggregator.lms.openedx import OpenEdX
from tests import openedx
from tests.contract.test_lms_contract import LMSContract, World
from tests.factories import COURSE_KEY, SMALL_COURSE, key

#: As the platform has it.
COURSE_ID_PATTERN = r"(?P<course_id>[^/+]+(/|\+)[^/+]+(/|\+)[^/?]+)"


class OpenEdXWorld(World):
    """Open edX."""

    def publish(self, blocks: Sequence[Any], course_key: CourseKey = COURSE_KEY) -> None:
        openedx.publish(blocks, course_key)

    def flag_mobile(self, course_key: CourseKey) -> None:
        CourseOverview.objects.filter(id=course_key).update(mobile_available=True)

    def delete_course(self, course_key: CourseKey) -> None:
        openedx.delete_course(course_key)

    def enroll(self, user: Any, course_key: CourseKey = COURSE_KEY) -> None:
        openedx.enroll(user, course_key)

    def unenroll(self, user: Any, course_key: CourseKey = COURSE_KEY) -> None:
        openedx.unenroll(user, course_key)

    def give_role(self, user: Any, role: str, course_key: CourseKey = COURSE_KEY) -> None:
        openedx.give_role(user, role, course_key)

    def give_org_role(self, user: Any, role: str, org: str) -> None:
        openedx.give_org_role(user, role, org)

    def give_name(self, user: Any, name: str) -> None:
        openedx.give_name(user, name)

    def make_cohort(self, name: str, *members: Any, course_key: CourseKey = COURSE_KEY) -> int:
        return openedx.make_cohort(name, *members, course_key=course_key)

    def switch_cohorts_off(self, course_key: CourseKey = COURSE_KEY) -> None:
        set_course_cohorted(course_key, False)

    def select(self, user: Any, library: str, children: Collection[str]) -> None:
        openedx.select(user, library, children)


class TestOpenEdX(LMSContract):
    @pytest.fixture(autouse=True)
    def _urls(self, settings: Any) -> None:
        settings.COURSE_ID_PATTERN = COURSE_ID_PATTERN
        settings.ROOT_URLCONF = "lms.urls"

    @pytest.fixture
    def lms(self) -> LMS:
        return OpenEdX()

    @pytest.fixture
    def world(self) -> World:
        return OpenEdXWorld()

    def test_blocks_are_found_by_the_platforms_page(self, lms: LMS) -> None:
        assert (
            lms.block_url(COURSE_KEY, key("course/course")) == f"/courses/{COURSE_KEY}/jump_to/{key('course/course')}"
        )
        assert lms.block_url(COURSE_KEY, key("html/h1")) == f"/courses/{COURSE_KEY}/jump_to/{key('html/h1')}"

    def test_courses_that_other_transformers_have_collected_are_outdated(
        self, lms: LMS, world: World, django_assert_num_queries: Any
    ) -> None:
        keys = [COURSE_KEY, CourseKey.from_string("course-v1:Org+Other+Run")]
        for each in keys:
            world.publish(SMALL_COURSE, each)
        lms.course_versions(keys)
        with django_assert_num_queries(1):
            assert lms.outdated_courses(keys) == []
        BlockStructureModel.objects.update(transformers_schema_version="older")
        with django_assert_num_queries(1):
            assert lms.outdated_courses(keys) == keys

    def test_in_studio_blocks_are_nowhere(self, lms: LMS, settings: Any) -> None:
        settings.ROOT_URLCONF = "cms.urls"

        assert lms.block_url(COURSE_KEY, key("html/h1")) is None

    def test_open_edx_has_every_capability(self, lms: LMS) -> None:
        assert lms.capabilities == set(Capability)
