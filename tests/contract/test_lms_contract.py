"""What every adapter must answer. A second adapter is held to it by a subclass of LMSContract with its own world."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from opaque_keys.edx.keys import CourseKey

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
from sample_lms.lms import SampleLMS
from sample_lms.models import Cohort, CohortMembership, Course, CourseAccessRole, Enrollment, LibrarySelection
from tests.factories import COURSE_KEY, UserFactory, block, key, publish_course

OTHER_KEY = CourseKey.from_string("course-v1:Org+Other+Run")
FOREIGN_KEY = CourseKey.from_string("course-v1:Foreign+Course+Run")
OLD_KEY = CourseKey.from_string("Org/Course/Run")
UNKNOWN_KEY = CourseKey.from_string("course-v1:Org+Unknown+Run")
NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=1)
A_MOMENT = timedelta(microseconds=1)
UNKNOWN_USER = 2_000_000_000

#: Modes of the block types of the contract; other types are completable.
MODES = {
    "course": CompletionMode.AGGREGATOR,
    "chapter": CompletionMode.AGGREGATOR,
    "discussion": CompletionMode.EXCLUDED,
}

#: What a course of the contract may hold; a world of another LMS translates it.
PLAIN = (
    block("course/course", "chapter/c1", "chapter/c2"),
    block("chapter/c1", "html/h1", "html/shared", "discussion/d1"),
    block("html/h1"),
    block("html/shared"),
    block("discussion/d1"),
    block("chapter/c2", "html/shared", "html/extra"),
    block("html/extra", optional=True),
)
DATED = (
    block("course/course", "html/h1", "chapter/noon", "html/later"),
    block("html/h1"),
    block("chapter/noon", "html/h2", start=NOON),
    block("html/h2"),
    block("html/later", start=LATER),
)
FOR_STAFF = (
    block("course/course", "html/h1", "chapter/c1"),
    block("html/h1"),
    block("chapter/c1", "html/h2", staff_only=True),
    block("html/h2"),
)
COHORTED = (
    block("course/course", "html/all", "html/red", "html/both", "html/gone"),
    block("html/all"),
    block("html/red", cohorts=("Red",)),
    block("html/both", cohorts=("Red", "Blue")),
    block("html/gone", cohorts=("Gone",)),
)
POOL = tuple(f"problem/p{number}" for number in range(10))
LIBRARY = (
    block("course/course", "html/h1", "library_content/pool"),
    block("html/h1"),
    block("library_content/pool", *POOL, max_count=3),
    *map(block, POOL),
)


#: Every way to be hidden, alone and in another.
HIDING = (
    block("course/course", "chapter/open", "chapter/noon", "chapter/later", "chapter/staff", "chapter/red"),
    block("chapter/open", "html/h1", "discussion/d1", "discussion/staff", "library_content/pool"),
    block("html/h1"),
    block("discussion/d1"),
    block("discussion/staff", staff_only=True),
    block("library_content/pool", *POOL, max_count=3),
    *map(block, POOL),
    block("chapter/noon", "html/h2", "discussion/d2", "html/late", "html/red", "html/soon", start=NOON),
    block("html/h2"),
    block("discussion/d2"),
    block("html/late", start=LATER),
    block("html/red", cohorts=("Red",)),
    block("html/soon"),
    block("chapter/later", "html/soon", "html/staff", start=LATER),
    block("html/staff", staff_only=True),
    block("chapter/staff", "html/s1", "html/shared", "html/gone", staff_only=True),
    block("html/s1", start=NOON),
    block("html/shared"),
    block("html/gone", cohorts=("Gone",)),
    block("chapter/red", "html/r1", "html/shared", "html/both", cohorts=("Red",)),
    block("html/r1"),
    block("html/both", cohorts=("Red", "Blue")),
)
STAFF_ONLY = HiddenBlock(reason=HiddenReason.STAFF_ONLY)
OTHER_GROUP = HiddenBlock(reason=HiddenReason.OTHER_GROUP)
NOT_SELECTED = HiddenBlock(reason=HiddenReason.NOT_SELECTED)
UNTIL_NOON = HiddenBlock(reason=HiddenReason.NOT_RELEASED, release_date=NOON)
UNTIL_LATER = HiddenBlock(reason=HiddenReason.NOT_RELEASED, release_date=LATER)


class World(ABC):
    """What the contract does in an LMS besides asking it."""

    @abstractmethod
    def publish(self, blocks: Sequence[Any], course_key: CourseKey = COURSE_KEY) -> None: ...

    @abstractmethod
    def flag_mobile(self, course_key: CourseKey) -> None: ...

    @abstractmethod
    def delete_course(self, course_key: CourseKey) -> None: ...

    @abstractmethod
    def enroll(self, user: Any, course_key: CourseKey = COURSE_KEY) -> None: ...

    @abstractmethod
    def unenroll(self, user: Any, course_key: CourseKey = COURSE_KEY) -> None: ...

    @abstractmethod
    def give_role(self, user: Any, role: str, course_key: CourseKey = COURSE_KEY) -> None: ...

    @abstractmethod
    def give_org_role(self, user: Any, role: str, org: str) -> None: ...

    @abstractmethod
    def give_name(self, user: Any, name: str) -> None: ...

    @abstractmethod
    def make_cohort(self, name: str, *members: Any, course_key: CourseKey = COURSE_KEY) -> int:
        """Make a cohort, and its course cohorted; return the cohort's id."""

    @abstractmethod
    def switch_cohorts_off(self, course_key: CourseKey = COURSE_KEY) -> None: ...

    @abstractmethod
    def select(self, user: Any, library: str, children: Collection[str]) -> None:
        """Fix what the learner has drawn from a library."""


class SampleWorld(World):
    """The sample LMS."""

    def publish(self, blocks: Sequence[Any], course_key: CourseKey = COURSE_KEY) -> None:
        publish_course(blocks, course_key)

    def flag_mobile(self, course_key: CourseKey) -> None:
        Course.objects.filter(course_key=course_key).update(mobile_available=True)

    def delete_course(self, course_key: CourseKey) -> None:
        Course.objects.get(course_key=course_key).delete()

    def enroll(self, user: Any, course_key: CourseKey = COURSE_KEY) -> None:
        Enrollment.objects.create(user=user, course_id=course_key)

    def unenroll(self, user: Any, course_key: CourseKey = COURSE_KEY) -> None:
        Enrollment.objects.filter(user=user, course_id=course_key).update(is_active=False)

    def give_role(self, user: Any, role: str, course_key: CourseKey = COURSE_KEY) -> None:
        CourseAccessRole.objects.create(user=user, role=role, course_id=course_key, org=course_key.org)

    def give_org_role(self, user: Any, role: str, org: str) -> None:
        CourseAccessRole.objects.create(user=user, role=role, org=org)

    def give_name(self, user: Any, name: str) -> None:
        user.first_name, user.last_name = name.split(" ")
        user.save()

    def make_cohort(self, name: str, *members: Any, course_key: CourseKey = COURSE_KEY) -> int:
        Course.objects.filter(course_key=course_key).update(cohorted=True)
        cohort = Cohort.objects.create(course_id=course_key, name=name)
        for member in members:
            CohortMembership.objects.create(cohort=cohort, user=member, course_id=course_key)
        return cohort.pk

    def switch_cohorts_off(self, course_key: CourseKey = COURSE_KEY) -> None:
        Course.objects.filter(course_key=course_key).update(cohorted=False)

    def select(self, user: Any, library: str, children: Collection[str]) -> None:
        LibrarySelection.objects.update_or_create(
            user=user, course_id=COURSE_KEY, library_key=library, defaults={"selected": list(children)}
        )


@pytest.mark.django_db
class LMSContract(ABC):
    """Subclass it as Test…, with fixtures for the adapter and its world."""

    @pytest.fixture
    @abstractmethod
    def lms(self) -> LMS: ...

    @pytest.fixture
    @abstractmethod
    def world(self) -> World: ...

    @staticmethod
    def views(lms: LMS, *users: Any, now: datetime = NOON, course_key: CourseKey = COURSE_KEY) -> list[CourseView]:
        return list(lms.course_views(course_key, [user.pk for user in users], now=now))

    def tree(self, lms: LMS, user: Any, now: datetime = NOON) -> CourseTree:
        (view,) = self.views(lms, user, now=now)
        assert view.user_ids == (user.pk,)
        return view.tree

    def leaves(self, lms: LMS, user: Any, now: datetime = NOON) -> set[str]:
        """Return the short names of the blocks that count for a learner."""
        return {text.split("type@")[1].replace("+block@", "/") for text in self.tree(lms, user, now).leaves}

    @staticmethod
    def hidden(lms: LMS, user: Any, now: datetime = NOON) -> dict[str, HiddenBlock]:
        """Return what is hidden from a learner, by short names."""
        found = lms.hidden_blocks(COURSE_KEY, user.pk, now=now)
        return {text.split("type@")[1].replace("+block@", "/"): why for text, why in found.items()}

    def test_enrollments_are_the_active_ones_of_the_whole_site(self, lms: LMS, world: World) -> None:
        ada, bob = UserFactory(), UserFactory()
        world.publish(PLAIN)
        world.enroll(ada)
        world.enroll(ada, OLD_KEY)
        world.enroll(bob)
        world.unenroll(bob)

        found = {(row.user_id, row.course_id) for row in lms.enrollments()}

        assert found == {(ada.pk, COURSE_KEY), (ada.pk, OLD_KEY)}

    def test_enrollments_can_be_filtered_and_joined_to_their_users(self, lms: LMS, world: World) -> None:
        ada, bob = UserFactory(username="ada"), UserFactory(username="bob")
        world.enroll(ada)
        world.enroll(bob, OTHER_KEY)

        names = lms.enrollments().filter(course_id=COURSE_KEY).values_list("user__username", flat=True)

        assert list(names) == ["ada"]

    @pytest.mark.parametrize("role", ["staff", "instructor", "limited_staff", "data_researcher"])
    def test_course_staff_work_in_the_course(self, lms: LMS, world: World, role: str) -> None:
        user, other = UserFactory(), UserFactory()
        world.give_role(user, role)

        assert lms.is_course_staff(user, COURSE_KEY) is True
        assert lms.is_course_staff(user, OTHER_KEY) is False
        assert lms.is_course_staff(other, COURSE_KEY) is False

    def test_org_staff_work_in_every_course_of_the_org(self, lms: LMS, world: World) -> None:
        user = UserFactory()
        world.give_org_role(user, "staff", "Org")

        answers = {course_key: lms.is_course_staff(user, course_key) for course_key in (COURSE_KEY, OTHER_KEY, OLD_KEY)}

        assert answers == {COURSE_KEY: True, OTHER_KEY: True, OLD_KEY: True}
        assert lms.is_course_staff(user, FOREIGN_KEY) is False

    def test_beta_testers_do_not_work_in_the_course(self, lms: LMS, world: World) -> None:
        user = UserFactory()
        world.give_role(user, "beta_testers")

        assert lms.is_course_staff(user, COURSE_KEY) is False

    @pytest.mark.parametrize("role", ["staff", "instructor", "limited_staff", "data_researcher"])
    def test_staff_courses_are_those_in_which_the_user_works(self, lms: LMS, world: World, role: str) -> None:
        for course_key in (COURSE_KEY, OTHER_KEY, OLD_KEY, FOREIGN_KEY):
            world.publish(PLAIN, course_key)
        here, org, tester = UserFactory(), UserFactory(), UserFactory()
        world.give_role(here, role)
        world.give_role(here, role, FOREIGN_KEY)
        world.give_role(here, "beta_testers", OTHER_KEY)
        world.give_org_role(org, "staff", "Org")
        world.give_role(tester, "beta_testers")

        assert set(lms.staff_courses(here)) == {COURSE_KEY, FOREIGN_KEY}
        assert set(lms.staff_courses(org)) == {COURSE_KEY, OTHER_KEY, OLD_KEY}
        assert list(lms.staff_courses(tester)) == []

    def test_staff_courses_are_courses_that_exist_and_each_is_told_once(self, lms: LMS, world: World) -> None:
        world.publish(PLAIN)
        user = UserFactory()
        for course_key in (COURSE_KEY, UNKNOWN_KEY):
            world.give_role(user, "staff", course_key)
        world.give_role(user, "instructor")
        world.give_org_role(user, "staff", "Org")

        assert list(lms.staff_courses(user)) == [COURSE_KEY]

    def test_queries_for_staff_courses_do_not_grow_with_the_number_of_courses(self, lms: LMS, world: World) -> None:
        keys = [CourseKey.from_string(f"course-v1:Org+Course+{run}") for run in range(10)]
        user = UserFactory()
        world.give_org_role(user, "staff", "Org")
        counts = []
        for published in (keys[:1], keys):
            for course_key in published:
                world.publish(PLAIN, course_key)
            user = get_user_model().objects.get(pk=user.pk)
            with CaptureQueriesContext(connection) as queries:
                assert set(lms.staff_courses(user)) == set(published)
            counts.append(len(queries))

        assert counts[0] == counts[1]

    def test_names_are_told_of_those_who_gave_one(self, lms: LMS, world: World) -> None:
        zoe, layla, nameless, other = (UserFactory() for _ in range(4))
        world.give_name(zoe, "Zoë Müller")
        world.give_name(layla, "ليلى حداد")
        world.give_name(other, "Not Asked")

        with CaptureQueriesContext(connection) as queries:
            names = lms.learner_names([zoe.pk, layla.pk, nameless.pk, UNKNOWN_USER])

        assert names == {zoe.pk: "Zoë Müller", layla.pk: "ليلى حداد"}
        assert len(queries) == 1
        assert lms.learner_names([]) == {}

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("ada", {"ada.l", "Adam_100%"}),
            ("ADA", {"ada.l", "Adam_100%"}),
            ("lovel", {"ada.l"}),
            ("m_1", {"Adam_100%"}),
            ("0%", {"Adam_100%"}),
            ("%", {"Adam_100%"}),
            ("حدا", {"layla"}),
            ("nobody", set()),
        ],
    )
    def test_learners_are_found_by_username_and_name(
        self, lms: LMS, world: World, text: str, expected: set[str]
    ) -> None:
        world.give_name(UserFactory(username="ada.l"), "A. Lovelace")
        world.give_name(UserFactory(username="layla"), "ليلى حداد")
        UserFactory(username="Adam_100%")
        UserFactory(username="bob")

        found = get_user_model().objects.filter(pk__in=lms.matching_learners(text))

        assert {user.username for user in found} == expected

    def test_learners_who_are_found_can_be_sought_among_the_enrolled(self, lms: LMS, world: World) -> None:
        ada, adam = UserFactory(username="ada"), UserFactory(username="adam")
        world.enroll(ada)
        world.enroll(adam, OTHER_KEY)

        enrollments = lms.enrollments().filter(course_id=COURSE_KEY, user_id__in=lms.matching_learners("ada"))

        assert [row.user_id for row in enrollments] == [ada.pk]

    def test_each_block_has_a_place_of_its_own(self, lms: LMS, world: World) -> None:
        urls = {lms.block_url(COURSE_KEY, each.key) for each in PLAIN}
        old = lms.block_url(OLD_KEY, str(OLD_KEY.make_usage_key("html", "h1")))

        assert len(urls | {old}) == len(PLAIN) + 1
        for url in urls | {old}:
            assert url is not None
            assert url.startswith("/")
            resolve(url)

    def test_versions_are_told_of_courses_that_exist(self, lms: LMS, world: World) -> None:
        world.publish(PLAIN)
        world.publish(DATED, OLD_KEY)

        versions = lms.course_versions([COURSE_KEY, OLD_KEY, UNKNOWN_KEY])

        assert versions.keys() == {COURSE_KEY, OLD_KEY}
        assert len(set(versions.values())) == 2
        assert all(0 < len(version) <= 64 for version in versions.values())
        assert lms.course_versions([]) == {}

    def test_every_publication_has_a_version_of_its_own(self, lms: LMS, world: World) -> None:
        found = []
        for blocks in (PLAIN, DATED, PLAIN, PLAIN):
            world.publish(blocks)
            found.append(lms.course_versions([COURSE_KEY])[COURSE_KEY])

        assert len(set(found)) == 4
        assert lms.course_versions([COURSE_KEY])[COURSE_KEY] == found[-1]

    def test_queries_for_versions_do_not_grow_with_the_number_of_courses(self, lms: LMS, world: World) -> None:
        keys = [CourseKey.from_string(f"course-v1:Org+Course+{run}") for run in range(10)]
        for course_key in keys:
            world.publish(PLAIN, course_key)
        counts = []
        for asked in (keys[:1], keys):
            with CaptureQueriesContext(connection) as queries:
                assert len(lms.course_versions(asked)) == len(asked)
            counts.append(len(queries))

        assert counts[0] == counts[1]

    def test_the_outline_is_the_whole_course_in_order(self, lms: LMS, world: World) -> None:
        world.publish(PLAIN)

        assert lms.course_outline(COURSE_KEY) == CourseOutline(
            version=lms.course_versions([COURSE_KEY])[COURSE_KEY],
            blocks=tuple(
                OutlineBlock(
                    key=key(name),
                    block_type=name.split("/")[0],
                    display_name=name,
                    mode=MODES.get(name.split("/")[0], CompletionMode.COMPLETABLE),
                    children=children,
                )
                for name, children in (
                    ("course/course", (1, 5)),
                    ("chapter/c1", (2, 3, 4)),
                    ("html/h1", ()),
                    ("html/shared", ()),
                    ("discussion/d1", ()),
                    ("chapter/c2", (3, 6)),
                    ("html/extra", ()),
                )
            ),
            change_dates=(),
        )

    def test_the_outline_has_the_release_dates_in_order(self, lms: LMS, world: World) -> None:
        world.publish(DATED)

        outline = lms.course_outline(COURSE_KEY)

        assert outline.change_dates == (NOON, LATER)
        assert len(outline.blocks) == len(DATED)

    def test_the_outline_of_a_course_that_counts_unreleased_blocks_never_changes(
        self, lms: LMS, world: World, settings: Any
    ) -> None:
        settings.COMPLETION_AGGREGATOR_AGGREGATE_UNRELEASED_BLOCKS = True
        world.publish(DATED)

        assert lms.course_outline(COURSE_KEY).change_dates == ()

    def test_an_unknown_course_has_neither_outline_nor_views(self, lms: LMS, world: World) -> None:
        user = UserFactory()
        with pytest.raises(CourseNotFoundError):
            lms.course_outline(UNKNOWN_KEY)
        with pytest.raises(CourseNotFoundError):
            self.views(lms, user, course_key=UNKNOWN_KEY)

    def test_a_deleted_course_is_unknown(self, lms: LMS, world: World) -> None:
        world.publish(PLAIN)
        lms.course_outline(COURSE_KEY)
        world.delete_course(COURSE_KEY)

        assert lms.course_versions([COURSE_KEY]) == {}
        with pytest.raises(CourseNotFoundError):
            lms.course_outline(COURSE_KEY)

    def test_a_view_is_a_tree_of_what_counts(self, lms: LMS, world: World) -> None:
        world.publish(PLAIN)

        assert self.tree(lms, UserFactory()) == CourseTree(
            aggregators=(key("course/course"), key("chapter/c1"), key("chapter/c2")),
            possible=(2, 2, 1),
            optional_possible=(1, 0, 1),
            leaves={key("html/h1"): 0, key("html/shared"): 1, key("html/extra"): 2},
            ancestors=((0, 1), (0, 1, 2), (0, 2)),
            optional=(False, False, True),
        )

    @pytest.mark.parametrize("blocks", [PLAIN, DATED, FOR_STAFF, COHORTED, LIBRARY])
    def test_what_is_in_a_view_is_in_the_outline_in_the_same_order(
        self, lms: LMS, world: World, blocks: Sequence[Any]
    ) -> None:
        world.publish(blocks)
        tree, positions = self.tree(lms, UserFactory()), lms.course_outline(COURSE_KEY).positions

        assert sorted(tree.aggregators, key=positions.__getitem__) == list(tree.aggregators)
        assert sorted(tree.leaves, key=positions.__getitem__) == list(tree.leaves)
        assert tree.aggregators[0] == lms.course_outline(COURSE_KEY).blocks[0].key

    def test_learners_with_the_same_view_share_one_tree(self, lms: LMS, world: World) -> None:
        world.publish(PLAIN)
        users = [UserFactory() for _ in range(3)]

        (view,) = self.views(lms, *users)
        (again,) = self.views(lms, users[0])

        assert sorted(view.user_ids) == sorted(user.pk for user in users)
        assert view.tree is again.tree

    def test_learners_need_not_be_enrolled(self, lms: LMS, world: World) -> None:
        world.publish(PLAIN)
        ada, bob = UserFactory(), UserFactory()
        world.enroll(ada)

        (view,) = self.views(lms, ada, bob)

        assert sorted(view.user_ids) == [ada.pk, bob.pk]

    def test_learners_who_do_not_exist_are_in_no_view(self, lms: LMS, world: World) -> None:
        world.publish(PLAIN)
        user = UserFactory()

        views = list(lms.course_views(COURSE_KEY, [UNKNOWN_USER, user.pk], now=NOON))

        assert [view.user_ids for view in views] == [(user.pk,)]
        assert list(lms.course_views(COURSE_KEY, [UNKNOWN_USER], now=NOON)) == []
        assert list(lms.course_views(COURSE_KEY, [], now=NOON)) == []

    def test_each_learner_is_in_exactly_one_view(self, lms: LMS, world: World) -> None:
        world.publish(COHORTED)
        users = [UserFactory(is_staff=number % 3 == 0) for number in range(6)]
        world.make_cohort("Red", users[1], users[3])
        world.make_cohort("Blue", users[2])

        members = sorted(user_id for view in self.views(lms, *users) for user_id in view.user_ids)

        assert members == sorted(user.pk for user in users)

    @pytest.mark.parametrize("blocks", [DATED, COHORTED])
    def test_queries_for_views_do_not_grow_with_the_number_of_learners(
        self, lms: LMS, world: World, blocks: Sequence[Any]
    ) -> None:
        world.publish(blocks)
        users = [UserFactory(is_staff=number % 5 == 0) for number in range(30)]
        world.make_cohort("Red", *users[::2])
        world.make_cohort("Blue", *users[1::4])
        self.views(lms, *users)
        counts = []
        for asked in (users[:1], users):
            with CaptureQueriesContext(connection) as queries:
                self.views(lms, *asked)
            counts.append(len(queries))

        assert counts[0] == counts[1]

    @pytest.mark.parametrize(
        ("now", "expected"),
        [
            (NOON - A_MOMENT, {"html/h1"}),
            (NOON, {"html/h1", "html/h2"}),
            (LATER - A_MOMENT, {"html/h1", "html/h2"}),
            (LATER, {"html/h1", "html/h2", "html/later"}),
        ],
    )
    def test_blocks_count_from_their_release(self, lms: LMS, world: World, now: datetime, expected: set[str]) -> None:
        world.publish(DATED)

        assert self.leaves(lms, UserFactory(), now) == expected

    def test_a_course_that_has_not_begun_is_there_and_empty(self, lms: LMS, world: World) -> None:
        world.publish([block("course/course", "html/h1", start=NOON), block("html/h1")])
        user = UserFactory()

        assert self.leaves(lms, user, NOON - A_MOMENT) == set()
        assert self.leaves(lms, user, NOON) == {"html/h1"}

    def test_unreleased_blocks_count_when_the_setting_says_so(self, lms: LMS, world: World, settings: Any) -> None:
        world.publish(DATED)
        user = UserFactory()
        assert self.leaves(lms, user, NOON - A_MOMENT) == {"html/h1"}

        settings.COMPLETION_AGGREGATOR_AGGREGATE_UNRELEASED_BLOCKS = True

        assert self.leaves(lms, user, NOON - A_MOMENT) == {"html/h1", "html/h2", "html/later"}

    def test_what_is_for_staff_only_counts_for_no_learner(self, lms: LMS, world: World) -> None:
        world.publish(FOR_STAFF)

        assert self.tree(lms, UserFactory()).aggregators == (key("course/course"),)
        assert self.leaves(lms, UserFactory()) == {"html/h1"}

    @pytest.mark.parametrize("kind", ["global", "course", "org"])
    def test_staff_see_everything(self, lms: LMS, world: World, kind: str) -> None:
        blocks = [
            block("course/course", "html/h1", "html/hidden", "html/later", "html/red"),
            block("html/h1"),
            block("html/hidden", staff_only=True),
            block("html/later", start=LATER),
            block("html/red", cohorts=("Red",)),
        ]
        world.publish(blocks)
        user = UserFactory(is_staff=kind == "global")
        if kind == "course":
            world.give_role(user, "instructor")
        if kind == "org":
            world.give_org_role(user, "staff", "Org")

        assert self.leaves(lms, user) == {"html/h1", "html/hidden", "html/later", "html/red"}

    def test_staff_of_another_course_see_what_learners_see(self, lms: LMS, world: World) -> None:
        world.publish(FOR_STAFF)
        user, tester = UserFactory(), UserFactory()
        world.give_role(user, "staff", OTHER_KEY)
        world.give_role(tester, "beta_testers")

        assert self.leaves(lms, user) == {"html/h1"}
        assert self.leaves(lms, tester) == {"html/h1"}

    def test_what_is_for_a_cohort_counts_for_its_members_only(self, lms: LMS, world: World) -> None:
        world.publish(COHORTED)
        red, blue, nobody = UserFactory(), UserFactory(), UserFactory()
        world.make_cohort("Red", red)
        world.make_cohort("Blue", blue)

        assert self.leaves(lms, red) == {"html/all", "html/red", "html/both"}
        assert self.leaves(lms, blue) == {"html/all", "html/both"}
        assert self.leaves(lms, nobody) == {"html/all"}

    def test_cohorts_that_are_switched_off_show_nothing(self, lms: LMS, world: World) -> None:
        world.publish(COHORTED)
        red = UserFactory()
        world.make_cohort("Red", red)
        world.switch_cohorts_off()

        assert self.leaves(lms, red) == {"html/all"}

    def test_the_cohort_of_another_course_shows_nothing(self, lms: LMS, world: World) -> None:
        world.publish(COHORTED)
        world.publish(PLAIN, OTHER_KEY)
        user = UserFactory()
        world.make_cohort("Red")
        world.make_cohort("Red", user, course_key=OTHER_KEY)

        assert self.leaves(lms, user) == {"html/all"}

    def test_a_random_library_gives_each_learner_as_many_blocks_as_it_says(self, lms: LMS, world: World) -> None:
        world.publish(LIBRARY)
        drawn = [self.leaves(lms, UserFactory()) for _ in range(12)]

        assert {len(leaves) for leaves in drawn} == {4}
        assert all(leaves - {"html/h1"} <= set(POOL) for leaves in drawn)
        assert len(set(map(frozenset, drawn))) > 1

    def test_asking_a_library_twice_gives_the_same(self, lms: LMS, world: World) -> None:
        world.publish(LIBRARY)
        user = UserFactory()

        assert self.leaves(lms, user) == self.leaves(lms, user)

    def test_what_a_learner_has_drawn_stays(self, lms: LMS, world: World) -> None:
        world.publish(LIBRARY)
        user = UserFactory()
        for chosen in (POOL[:3], POOL[5:8]):
            world.select(user, key("library_content/pool"), [key(name) for name in chosen])
            assert self.leaves(lms, user) == {"html/h1", *chosen}

    def test_what_is_gone_from_a_library_is_replaced(self, lms: LMS, world: World) -> None:
        world.publish(LIBRARY)
        user = UserFactory()
        world.select(user, key("library_content/pool"), [key("problem/p0"), key("problem/gone"), key("problem/p1")])

        leaves = self.leaves(lms, user)

        assert leaves > {"html/h1", "problem/p0", "problem/p1"}
        assert len(leaves) == 4

    def test_staff_draw_from_libraries_too(self, lms: LMS, world: World) -> None:
        world.publish(LIBRARY)

        assert len(self.leaves(lms, UserFactory(is_staff=True))) == 4

    def test_nothing_is_hidden_where_everybody_sees_everything(self, lms: LMS, world: World) -> None:
        world.publish(PLAIN)

        assert self.hidden(lms, UserFactory()) == {}

    def test_what_is_hidden_is_told_with_its_reason(self, lms: LMS, world: World) -> None:
        world.publish(HIDING)
        user = UserFactory()
        world.enroll(user)
        world.select(user, key("library_content/pool"), [key(name) for name in POOL[:3]])

        for_others = {
            "discussion/staff": STAFF_ONLY,
            "html/red": OTHER_GROUP,
            "html/staff": STAFF_ONLY,
            "chapter/staff": STAFF_ONLY,
            "html/s1": STAFF_ONLY,
            # By the other chapter, it is only for another group.
            "html/shared": OTHER_GROUP,
            "html/gone": STAFF_ONLY,
            "chapter/red": OTHER_GROUP,
            "html/r1": OTHER_GROUP,
            "html/both": OTHER_GROUP,
        } | dict.fromkeys(POOL[3:], NOT_SELECTED)
        later = {"html/late": UNTIL_LATER, "chapter/later": UNTIL_LATER}
        # By one chapter at noon, by the other later.
        at_noon = dict.fromkeys(("chapter/noon", "html/h2", "discussion/d2", "html/soon"), UNTIL_NOON)
        assert self.hidden(lms, user, NOON - A_MOMENT) == for_others | later | at_noon
        assert self.hidden(lms, user, NOON) == for_others | later
        assert self.hidden(lms, user, LATER) == for_others

    def test_what_is_for_the_learners_group_is_not_hidden(self, lms: LMS, world: World) -> None:
        world.publish(HIDING)
        red, blue = UserFactory(), UserFactory()
        world.make_cohort("Red", red)
        world.make_cohort("Blue", blue)

        for_staff = {
            "discussion/staff": STAFF_ONLY,
            "html/staff": STAFF_ONLY,
            "chapter/staff": STAFF_ONLY,
            "html/s1": STAFF_ONLY,
            "html/gone": STAFF_ONLY,
        }
        for_red = dict.fromkeys(("html/red", "html/shared", "chapter/red", "html/r1", "html/both"), OTHER_GROUP)
        for user, expected in ((red, for_staff), (blue, for_staff | for_red)):
            hidden = self.hidden(lms, user, LATER)
            assert {name: why for name, why in hidden.items() if name not in POOL} == expected
            assert [why for name, why in hidden.items() if name in POOL] == [NOT_SELECTED] * 7

    def test_from_staff_only_what_was_not_drawn_is_hidden(self, lms: LMS, world: World) -> None:
        world.publish(HIDING)
        user = UserFactory(is_staff=True)
        world.select(user, key("library_content/pool"), [key(name) for name in POOL[:3]])

        assert self.hidden(lms, user, NOON - A_MOMENT) == dict.fromkeys(POOL[3:], NOT_SELECTED)

    def test_before_a_course_begins_all_but_the_course_is_hidden(self, lms: LMS, world: World) -> None:
        blocks = [
            block("course/course", "html/h1", "html/later", "html/staff", start=NOON),
            block("html/h1"),
            block("html/later", start=LATER),
            block("html/staff", staff_only=True),
        ]
        world.publish(blocks)

        assert self.hidden(lms, UserFactory(), NOON - A_MOMENT) == {
            "html/h1": UNTIL_NOON,
            "html/later": UNTIL_LATER,
            "html/staff": STAFF_ONLY,
        }

    @pytest.mark.parametrize(
        ("flags", "why"), [({"staff_only": True}, STAFF_ONLY), ({"cohorts": ("Red",)}, OTHER_GROUP)]
    )
    def test_of_a_course_that_is_for_others_all_but_the_course_is_hidden(
        self, lms: LMS, world: World, flags: dict[str, Any], why: HiddenBlock
    ) -> None:
        world.publish([block("course/course", "chapter/c1", **flags), block("chapter/c1", "html/h1"), block("html/h1")])

        assert self.hidden(lms, UserFactory()) == {"chapter/c1": why, "html/h1": why}

    def test_unreleased_blocks_are_not_hidden_when_they_count(self, lms: LMS, world: World, settings: Any) -> None:
        settings.COMPLETION_AGGREGATOR_AGGREGATE_UNRELEASED_BLOCKS = True
        world.publish(DATED)

        assert self.hidden(lms, UserFactory(), NOON - A_MOMENT) == {}

    def test_nothing_is_hidden_from_a_learner_who_does_not_exist(self, lms: LMS, world: World) -> None:
        world.publish(HIDING)

        assert lms.hidden_blocks(COURSE_KEY, UNKNOWN_USER, now=NOON) == {}

    def test_an_unknown_course_hides_nothing(self, lms: LMS, world: World) -> None:
        with pytest.raises(CourseNotFoundError):
            lms.hidden_blocks(UNKNOWN_KEY, UserFactory().pk, now=NOON)

    @pytest.mark.parametrize("now", [NOON - A_MOMENT, NOON, LATER])
    @pytest.mark.parametrize("blocks", [PLAIN, DATED, FOR_STAFF, COHORTED, LIBRARY, HIDING])
    def test_what_does_not_count_is_hidden_or_of_a_kind_that_counts_for_nobody(
        self, lms: LMS, world: World, blocks: Sequence[Any], now: datetime
    ) -> None:
        world.publish(blocks)
        users = [UserFactory() for _ in range(4)] + [UserFactory(is_staff=True)]
        world.make_cohort("Red", users[0])
        world.make_cohort("Blue", users[1])
        world.give_role(users[2], "staff")
        outline = lms.course_outline(COURSE_KEY)
        # What is excluded, and what is below a block that counts as one.
        uncounted = {
            each.key
            for above in outline.blocks
            if above.mode != CompletionMode.AGGREGATOR
            for each in outline.blocks
            if each.key in outline.below(above.key) and (each is not above or above.mode == CompletionMode.EXCLUDED)
        }

        for user in users:
            tree, hidden = self.tree(lms, user, now), lms.hidden_blocks(COURSE_KEY, user.pk, now=now)
            counted = {*tree.aggregators, *tree.leaves}
            assert counted.isdisjoint(hidden)
            assert counted | hidden.keys() | uncounted == {each.key for each in outline.blocks}

    @pytest.mark.parametrize("blocks", [DATED, COHORTED])
    def test_queries_for_what_is_hidden_do_not_grow_with_the_course(
        self, lms: LMS, world: World, blocks: Sequence[Any]
    ) -> None:
        user = UserFactory()
        first, *others = blocks
        many = [block(f"html/more{number}", staff_only=True) for number in range(30)]
        counts = []
        for more in (many[:1], many[:1], many):
            root = replace(first, children=(*first.children, *(each.key for each in more)))
            world.publish([root, *others, *more])
            lms.course_outline(COURSE_KEY)
            with CaptureQueriesContext(connection) as queries:
                assert len(self.hidden(lms, user)) >= len(more)
            counts.append(len(queries))

        # The first time, more is looked up that is then remembered.
        assert counts[1] == counts[2]

    def test_the_next_publication_is_seen_at_once(self, lms: LMS, world: World) -> None:
        user = UserFactory()
        world.publish(PLAIN)
        assert self.leaves(lms, user) == {"html/h1", "html/shared", "html/extra"}

        world.publish(FOR_STAFF)

        assert self.leaves(lms, user) == {"html/h1"}
        assert [each.key for each in lms.course_outline(COURSE_KEY).blocks] == [each.key for each in FOR_STAFF]

    def test_role_holders_hold_the_role_in_the_course_or_its_org(self, lms: LMS, world: World) -> None:
        users = [UserFactory() for _ in range(5)]
        here, tester, elsewhere, org, foreign = users
        world.give_role(here, "staff")
        world.give_role(tester, "beta_testers")
        world.give_role(elsewhere, "staff", OTHER_KEY)
        world.give_org_role(org, "staff", "Org")
        world.give_org_role(foreign, "staff", "Foreign")

        def holders(roles: Collection[str] | None = None) -> set[Any]:
            held = lms.role_holders(COURSE_KEY, roles)
            return set(get_user_model().objects.filter(pk__in=held))

        if Capability.ROLES in lms.capabilities:
            assert holders() == {here, tester, org}
            assert holders(["staff"]) == {here, org}
            assert holders(["beta_testers", "instructor"]) == {tester}
            assert holders([]) == set()

    def test_cohorts_are_those_of_the_course(self, lms: LMS, world: World) -> None:
        world.publish(PLAIN)
        world.publish(PLAIN, OTHER_KEY)
        if Capability.COHORTS in lms.capabilities:
            assert lms.cohorts(COURSE_KEY) is None
            cohorts = {world.make_cohort("Red"): "Red", world.make_cohort("Blue"): "Blue"}
            world.make_cohort("Green", course_key=OTHER_KEY)
            assert lms.cohorts(COURSE_KEY) == cohorts
            world.switch_cohorts_off()
            assert lms.cohorts(COURSE_KEY) is None
            assert lms.cohorts(UNKNOWN_KEY) is None

    def test_cohort_members_are_those_of_the_cohorts_of_the_course(self, lms: LMS, world: World) -> None:
        world.publish(PLAIN)
        world.publish(PLAIN, OTHER_KEY)
        red, blue, other = UserFactory(), UserFactory(), UserFactory()
        first = world.make_cohort("Red", red)
        second = world.make_cohort("Blue", blue)
        foreign = world.make_cohort("Red", other, course_key=OTHER_KEY)

        def members(*cohort_ids: int) -> set[Any]:
            return set(get_user_model().objects.filter(pk__in=lms.cohort_members(COURSE_KEY, cohort_ids)))

        if Capability.COHORTS in lms.capabilities:
            assert members(first) == {red}
            assert members(first, second) == {red, blue}
            assert members(foreign) == set()
            assert members() == set()

    def test_mobile_courses_are_those_that_are_flagged(self, lms: LMS, world: World) -> None:
        world.publish(PLAIN)
        world.publish(PLAIN, OTHER_KEY)
        world.flag_mobile(OTHER_KEY)
        user = UserFactory()
        world.enroll(user)
        world.enroll(user, OTHER_KEY)
        if Capability.MOBILE_COURSES in lms.capabilities:
            found = lms.enrollments().filter(course_id__in=lms.mobile_courses())
            assert {row.course_id for row in found} == {OTHER_KEY}

    def test_nothing_is_wrong_with_the_lms(self, lms: LMS) -> None:
        assert lms.check() == []


class TestSampleLMS(LMSContract):
    @pytest.fixture
    def lms(self) -> LMS:
        return SampleLMS()

    @pytest.fixture
    def world(self) -> World:
        return SampleWorld()

    def test_the_sample_lms_has_every_capability(self, lms: LMS) -> None:
        assert lms.capabilities == set(Capability)

    def test_the_course_and_its_blocks_have_pages(self, lms: LMS) -> None:
        assert lms.block_url(COURSE_KEY, key("course/course")) == f"/courses/{COURSE_KEY}/"
        assert lms.block_url(COURSE_KEY, key("html/h1")) == f"/courses/{COURSE_KEY}/jump_to/{key('html/h1')}/"

    def test_a_cohorted_course_without_cohorts_has_no_cohorts_yet(self, lms: LMS) -> None:
        publish_course(PLAIN)
        Course.objects.update(cohorted=True)

        assert lms.cohorts(COURSE_KEY) == {}
