"""The adapter of Open edX beyond the contract: what only this platform has, on the stand-ins of tests/stubs."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import crum
import pytest
from common.djangoapps.student.models import CourseAccessRole
from common.djangoapps.student.roles import CourseBetaTesterRole, CourseStaffRole, OrgStaffRole
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone
from edx_django_utils.cache import RequestCache
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from lms.djangoapps.course_blocks.api import get_course_blocks
from lms.djangoapps.course_blocks.transformers.user_partitions import UserPartitionTransformer
from lms.djangoapps.courseware.models import StudentModule
from opaque_keys.edx.keys import UsageKey
from openedx.core.djangoapps.content.block_structure.api import get_course_in_cache, update_course_in_cache
from openedx.core.djangoapps.content.block_structure.models import BlockStructureModel
from openedx.core.djangoapps.content.block_structure.transformer_registry import TransformerRegistry
from openedx.core.djangoapps.course_groups.cohorts import set_course_cohorted
from openedx.core.djangoapps.course_groups.models import CohortMembership, CourseUserGroupPartitionGroup
from openedx.core.djangoapps.user_api.models import UserCourseTag
from openedx.core.toggles import AUTHZ_COURSE_AUTHORING_FLAG
from waffle.testutils import override_flag
from xmodule.modulestore.django import StoredBlock, at_version, modulestore

from completion_aggregator.engine import CompletionMode, CourseTree
from completion_aggregator.lms import openedx as adapter
from completion_aggregator.lms.base import HiddenBlock, HiddenReason
from completion_aggregator.lms.openedx import OpenEdX
from completion_aggregator.selectors import Reason, explain_completion
from completion_aggregator.transformers import CompletionAggregatorTransformer
from sample_lms.olx import OlxBlock
from tests import openedx
from tests.contract.test_lms_contract import COHORTED, LIBRARY, OTHER_GROUP, OTHER_KEY, PLAIN, POOL, STAFF_ONLY
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


def publish_ab_test(**fields: Any) -> None:
    """Publish a course of one A/B test."""
    branches = {"0": usage_key("vertical/a"), "1": usage_key("vertical/b")}
    fields |= {"user_partition_id": DRAWN["id"], "group_id_to_child": branches}
    publish_raw(
        stored("course/course", "vertical/v1"),
        stored("vertical/v1", "split_test/ab"),
        stored("split_test/ab", "vertical/a", "vertical/b", **fields),
        stored("vertical/a", "html/a"),
        stored("vertical/b", "html/b"),
        stored("html/a"),
        stored("html/b"),
    )


def stored(name: str, *children: str, **fields: Any) -> StoredBlock:
    return StoredBlock(key=usage_key(name), children=tuple(map(usage_key, children)), fields=fields)


def tree_of(user: Any) -> CourseTree:
    (view,) = OpenEdX().course_views(COURSE_KEY, [user.pk], now=timezone.now())
    assert view.user_ids == (user.pk,)
    return view.tree


def leaves_of(user: Any) -> set[str]:
    return {text.split("type@")[1].replace("+block@", "/") for text in tree_of(user).leaves}


def hidden_from(user: Any) -> dict[str, HiddenBlock]:
    hidden = OpenEdX().hidden_blocks(COURSE_KEY, user.pk, now=timezone.now())
    return {text.split("type@")[1].replace("+block@", "/"): why for text, why in hidden.items()}


def own_blocks(user: Any) -> set[str]:
    """Return what the platform itself shows to somebody now."""
    structure = get_course_blocks(user, modulestore().make_course_usage_key(COURSE_KEY))
    return {str(usage_key) for usage_key in structure.get_block_keys()}


def seen(tree: CourseTree) -> set[str]:
    return {*tree.aggregators, *tree.leaves}


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    yield
    RequestCache.clear_all_namespaces()


FAR = timedelta(days=1000)
#: Ways to limit a block. From now, with beta testers 10 days early: begun for these only, begun for nobody, begun.
LIMITS: list[dict[str, Any]] = [
    {"start": timedelta(days=5)},
    {"start": FAR},
    {"start": -FAR},
    {"visible_to_staff_only": True},
    {"group_access": {openedx.COHORT_PARTITION: [1]}},
    {"group_access": {openedx.COHORT_PARTITION: [1, 2]}},
    {"group_access": {TRACKS["id"]: [2]}},
]


@st.composite
def courses(draw: Any, *, is_individual: bool) -> list[StoredBlock]:
    """A course of up to four levels whose blocks are limited in every way; some of them in two places."""
    blocks: list[StoredBlock] = []

    def fields() -> dict[str, Any]:
        # Most blocks are for everybody: of what is below one that nobody sees, nothing can be learned.
        limit = draw(st.sampled_from([{}] * 2 * len(LIMITS) + LIMITS))
        return {name: timezone.now() + value if name == "start" else value for name, value in limit.items()}

    def make(block_type: str, children: Sequence[StoredBlock] = (), **more: Any) -> StoredBlock:
        made = StoredBlock(
            key=usage_key(f"{block_type}/b{len(blocks)}"),
            children=tuple(child.key for child in children),
            fields=fields() | more,
        )
        blocks.append(made)
        return made

    def unit() -> StoredBlock:
        things = [make("html") for _ in range(draw(st.integers(0, 3)))]
        if is_individual:
            pool = [make("problem") for _ in range(draw(st.integers(0, 4)))]
            things.append(make("itembank", pool, max_count=draw(st.integers(-1, 3))))
            branches = [make("vertical", [make("html")]) for _ in range(2)]
            ids = {"0": branches[0].key, "1": branches[1].key}
            things.append(make("split_test", branches, user_partition_id=DRAWN["id"], group_id_to_child=ids))
        return make("vertical", things)

    sections = [
        make("sequential", [unit() for _ in range(draw(st.integers(1, 2)))]) for _ in range(draw(st.integers(1, 2)))
    ]
    shared = draw(st.lists(st.sampled_from(sections), max_size=1))
    chapters = [make("chapter", sections), make("chapter", shared)]
    return [stored("course/course", *(f"chapter/{each.key.block_id}" for each in chapters), **fields()), *blocks]


def make_population() -> list[Any]:
    """Users of every kind: staff in each way, beta testers, in cohorts and tracks, inactive, not enrolled."""
    users = [UserFactory() for _ in range(8)]
    users += [UserFactory(is_staff=True), UserFactory(is_staff=True, is_active=False), UserFactory(is_active=False)]
    CourseStaffRole(COURSE_KEY).add_users(users[0], users[10])
    OrgStaffRole("Org").add_users(users[1])
    CourseBetaTesterRole(COURSE_KEY).add_users(users[2], users[3], users[10])
    openedx.make_cohort("Red", *users[0:9:3])
    openedx.make_cohort("Blue", *users[1:9:3])
    # No group is linked to it; but nobody is left whom the platform would assign to a cohort of its own choice.
    openedx.make_cohort("Unlinked", *users[2:9:3], *users[9:])
    for number, user in enumerate(users[:7]):
        openedx.enroll(user, mode=("audit", "verified")[number % 2])
    openedx.unenroll(users[6])
    return [get_user_model().objects.get(pk=user.pk) for user in users]


@pytest.mark.anywhere
class TestSharing(TestCase):
    """Whoever stands for others sees what each of them sees."""

    def assert_everybody_sees_their_own(self, blocks: list[StoredBlock]) -> None:
        users = make_population()
        root, *others = blocks
        publish_raw(root, *others, days_early_for_beta=10)
        shown = {
            user_id: seen(view.tree)
            for view in OpenEdX().course_views(COURSE_KEY, [user.pk for user in users], now=timezone.now())
            for user_id in view.user_ids
        }
        own = {user.pk: own_blocks(user) for user in users}
        # The course block is always there, also where the platform shows nothing of it.
        root_key = str(root.key)
        assert shown == {user_id: keys | {root_key} for user_id, keys in own.items()}
        # A/B tests give way to what they hold: they are neither shown nor hidden when their place is shown.
        tests = {str(each.key) for each in blocks if each.key.block_type == "split_test"}
        pools = {str(key) for each in blocks if each.key.block_type == "itembank" for key in each.children}
        everything = {str(each.key) for each in blocks}
        for user in users:
            hidden = OpenEdX().hidden_blocks(COURSE_KEY, user.pk, now=timezone.now())
            assert hidden.keys() - tests == everything - own[user.pk] - {root_key} - tests
            assert {key for key, why in hidden.items() if why.reason == HiddenReason.UNKNOWN} <= pools

    @settings(max_examples=12)
    @given(courses(is_individual=False))
    def test_of_an_audience(self, blocks: list[StoredBlock]) -> None:
        self.assert_everybody_sees_their_own(blocks)

    @settings(max_examples=12)
    @given(courses(is_individual=True))
    def test_in_a_course_that_draws_content_for_each_learner(self, blocks: list[StoredBlock]) -> None:
        self.assert_everybody_sees_their_own(blocks)

    @settings(max_examples=12)
    @given(courses(is_individual=False))
    def test_sharing_nothing_changes_nothing(self, blocks: list[StoredBlock]) -> None:
        with self.settings(COMPLETION_AGGREGATOR_SHARE_STRUCTURE=False):
            self.assert_everybody_sees_their_own(blocks)


class TestNothingIsWritten:
    def test_nobody_is_assigned_to_a_cohort(self) -> None:
        openedx.publish(COHORTED)
        openedx.make_cohort("Red")
        users = [UserFactory() for _ in range(3)]

        views = list(OpenEdX().course_views(COURSE_KEY, [user.pk for user in users], now=timezone.now()))

        assert [set(view.tree.leaves) for view in views] == [{key("html/all")}]
        assert not CohortMembership.objects.exists()

    @pytest.mark.parametrize("mode", ["audit", "verified"])
    def test_nobody_is_assigned_to_a_cohort_over_their_enrollment_mode(self, mode: str) -> None:
        red, verified = {openedx.COHORT_PARTITION: [1]}, {TRACKS["id"]: [2]}
        publish_raw(
            stored("course/course", "html/red", "html/verified"),
            stored("html/red", group_access=red),
            stored("html/verified", group_access=verified),
        )
        openedx.make_cohort("Red")
        user = UserFactory()
        openedx.enroll(user, mode=mode)

        assert leaves_of(user) == ({"html/verified"} if mode == "verified" else set())
        assert not CohortMembership.objects.exists()

    @pytest.mark.parametrize("is_staff", [True, False])
    def test_nobody_is_assigned_to_a_cohort_where_no_block_is_for_one(self, is_staff: bool) -> None:
        """The platform asks for the cohort all the same."""
        verified = {TRACKS["id"]: [2]}
        publish_raw(stored("course/course", "html/verified"), stored("html/verified", group_access=verified))
        openedx.make_cohort("Red")
        user = UserFactory(is_staff=is_staff)
        openedx.enroll(user, mode="verified")

        assert leaves_of(user) == {"html/verified"}
        assert not CohortMembership.objects.exists()

    def test_nobody_is_assigned_to_a_cohort_where_content_is_drawn(self) -> None:
        openedx.publish([*LIBRARY, block("html/red", cohorts=("Red",))])
        openedx.make_cohort("Red")

        leaves_of(UserFactory())

        assert not CohortMembership.objects.exists()

    def test_learners_who_share_a_structure_leave_no_trace(self) -> None:
        openedx.publish(COHORTED)
        red, nobody = UserFactory(), UserFactory()
        openedx.make_cohort("Red", red)

        with CaptureQueriesContext(connection) as queries:
            list(OpenEdX().course_views(COURSE_KEY, [red.pk, nobody.pk], now=timezone.now()))

        assert {query["sql"].split()[0] for query in queries} == {"SELECT"}

    def test_what_is_drawn_for_a_learner_is_kept_as_the_platform_keeps_it(self) -> None:
        openedx.publish(LIBRARY)
        user = UserFactory()

        drawn = leaves_of(user)

        (row,) = StudentModule.objects.all()
        assert row.student == user
        kept = {f"{block_type}/{block_id}" for block_type, block_id in json.loads(row.state)["selected"]}
        assert drawn == {"html/h1", *kept}
        assert leaves_of(user) == drawn

    def test_what_was_drawn_for_a_learner_stays(self) -> None:
        openedx.publish(LIBRARY)
        user = UserFactory()
        openedx.select(user, key("library_content/pool"), [key(name) for name in POOL[:3]])

        assert leaves_of(user) == {"html/h1", *POOL[:3]}


class TestGroups:
    def test_what_is_for_a_track_counts_for_those_who_are_in_it(self) -> None:
        publish_raw(
            stored("course/course", "html/all", "html/verified"),
            stored("html/all"),
            stored("html/verified", group_access={TRACKS["id"]: [2]}),
        )
        verified, audit, left, stranger = (UserFactory() for _ in range(4))
        openedx.enroll(verified, mode="verified")
        openedx.enroll(audit, mode="audit")
        openedx.enroll(left, mode="verified")
        openedx.unenroll(left)

        everything, all_of_them = {"html/all", "html/verified"}, {"html/all"}
        assert [leaves_of(user) for user in (verified, audit, left, stranger)] == [
            everything,
            all_of_them,
            all_of_them,
            all_of_them,
        ]

    def test_a_branch_of_an_ab_test_counts_for_those_who_have_drawn_it(self) -> None:
        publish_ab_test()
        users = [UserFactory() for _ in range(8)]
        tags = {}
        for number, user in enumerate(users):
            tags[user.pk] = str(number % 2)
            UserCourseTag.objects.create(
                user=user,
                course_id=COURSE_KEY,
                key=f"xblock.partition_service.partition_{DRAWN['id']}",
                value=tags[user.pk],
            )

        found = {user.pk: leaves_of(user) for user in users}

        assert found == {user.pk: {"html/a"} if tags[user.pk] == "0" else {"html/b"} for user in users}

    def test_learners_with_a_scheme_that_is_not_known_share_nothing(self) -> None:
        """Teams, or what another plugin brings."""
        publish_raw(
            stored("course/course", "html/a", "html/b"),
            stored("html/a", group_access={DRAWN["id"]: [0]}),
            stored("html/b", group_access={DRAWN["id"]: [1]}),
        )
        users = [UserFactory() for _ in range(6)]

        views = list(OpenEdX().course_views(COURSE_KEY, [user.pk for user in users], now=timezone.now()))

        assert [view.user_ids for view in views] == [(user.pk,) for user in users]
        assert [seen(view.tree) for view in views] == [own_blocks(user) for user in users]

    def test_groups_that_nobody_told_of_are_shared_by_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(UserPartitionTransformer, "collect", lambda structure: None)
        publish_raw(
            stored("course/course", "html/red"), stored("html/red", group_access={openedx.COHORT_PARTITION: [1]})
        )
        users = [UserFactory() for _ in range(2)]

        views = list(OpenEdX().course_views(COURSE_KEY, [user.pk for user in users], now=timezone.now()))

        assert [view.user_ids for view in views] == [(user.pk,) for user in users]

    def test_a_cohort_that_is_linked_to_another_group_sees_what_that_sees(self) -> None:
        openedx.publish(COHORTED)
        user = UserFactory()
        openedx.make_cohort("Red", user)
        assert leaves_of(user) == {"html/all", "html/red", "html/both"}

        CourseUserGroupPartitionGroup.objects.update(group_id=openedx.GROUPS["Gone"])

        assert leaves_of(user) == {"html/all", "html/gone"}


class TestBetaTesters:
    def test_a_block_begins_earlier_for_them(self) -> None:
        now = timezone.now()
        publish_raw(
            stored("course/course", "html/h1", "html/h2"),
            stored("html/h1", start=now + timedelta(days=5)),
            stored("html/h2", start=now + timedelta(days=15)),
            days_early_for_beta=10,
        )
        tester, learner = UserFactory(), UserFactory()
        CourseBetaTesterRole(COURSE_KEY).add_users(tester)

        assert (leaves_of(tester), leaves_of(learner)) == ({"html/h1"}, set())

    def test_their_release_dates_are_dates_of_the_course(self) -> None:
        moment = timezone.now()
        publish_raw(stored("course/course", "html/h1"), stored("html/h1", start=moment), days_early_for_beta=10)

        assert OpenEdX().course_outline(COURSE_KEY).change_dates == (moment - timedelta(days=10), moment)


class TestHidden:
    def test_a_block_is_released_earlier_for_beta_testers(self) -> None:
        begins = timezone.now() + timedelta(days=15)
        publish_raw(stored("course/course", "html/h1"), stored("html/h1", start=begins), days_early_for_beta=10)
        tester, inactive, learner = UserFactory(), UserFactory(is_active=False), UserFactory()
        CourseBetaTesterRole(COURSE_KEY).add_users(tester, inactive)

        dates = [why.release_date for user in (tester, inactive, learner) for why in hidden_from(user).values()]

        assert dates == [begins - timedelta(days=10), begins, begins]

    def test_what_is_for_another_track_is_hidden(self) -> None:
        publish_raw(stored("course/course", "html/v"), stored("html/v", group_access={TRACKS["id"]: [2]}))
        verified, audit = UserFactory(), UserFactory()
        openedx.enroll(verified, mode="verified")
        openedx.enroll(audit, mode="audit")

        assert (hidden_from(verified), hidden_from(audit)) == ({}, {"html/v": OTHER_GROUP})

    def test_the_other_branch_of_an_ab_test_is_hidden(self) -> None:
        publish_ab_test()
        user = UserFactory()
        UserCourseTag.objects.create(
            user=user, course_id=COURSE_KEY, key=f"xblock.partition_service.partition_{DRAWN['id']}", value="1"
        )

        assert hidden_from(user) == {"vertical/a": OTHER_GROUP, "html/a": OTHER_GROUP}

    def test_an_ab_test_is_hidden_with_what_it_holds(self) -> None:
        publish_ab_test(visible_to_staff_only=True)

        hidden = dict.fromkeys(("split_test/ab", "vertical/a", "html/a", "vertical/b", "html/b"), STAFF_ONLY)
        assert hidden_from(UserFactory()) == hidden
        assert hidden_from(UserFactory(is_staff=True)) == {}

    def test_of_what_may_be_hidden_for_two_reasons_none_is_named(self) -> None:
        publish_raw(
            stored("course/course", "itembank/i1"),
            stored("itembank/i1", "problem/p1", max_count=1),
            stored("problem/p1", group_access={openedx.COHORT_PARTITION: [1]}),
        )

        assert hidden_from(UserFactory()) == {"problem/p1": HiddenBlock(reason=HiddenReason.UNKNOWN)}

    def test_what_a_transformer_of_somebody_else_takes_out_is_hidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        publish_raw(stored("course/course", "html/h1", "html/h2"), stored("html/h1"), stored("html/h2"))

        class Milestones(CompletionAggregatorTransformer):
            def transform(self, usage_info: Any, block_structure: Any) -> None:
                block_structure.remove_block(usage_key("html/h1"), keep_descendants=False)

        monkeypatch.setattr(adapter, "get_course_block_access_transformers", lambda user: [Milestones()])

        assert hidden_from(UserFactory()) == {"html/h1": HiddenBlock(reason=HiddenReason.UNKNOWN)}

    def test_who_sees_the_same_shares_what_is_hidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        openedx.publish(COHORTED)
        hidden = dict.fromkeys(("html/red", "html/both", "html/gone"), OTHER_GROUP)
        assert hidden_from(UserFactory()) == hidden
        monkeypatch.setattr(adapter, "_transform", None)

        assert hidden_from(UserFactory()) == hidden
        assert leaves_of(UserFactory()) == {"html/all"}


class TestBlocks:
    def test_a_type_that_is_not_installed_counts_nothing(self) -> None:
        publish_raw(stored("course/course", "html/h1", "poll/p1"), stored("html/h1"), stored("poll/p1"))

        assert leaves_of(UserFactory()) == {"html/h1"}
        assert [each.mode for each in OpenEdX().course_outline(COURSE_KEY).blocks] == [
            CompletionMode.AGGREGATOR,
            CompletionMode.COMPLETABLE,
            CompletionMode.EXCLUDED,
        ]

    def test_an_item_bank_that_is_complete_when_viewed_counts_as_one(self) -> None:
        """As the platform's setting MARK_LIBRARY_CONTENT_BLOCK_COMPLETE_ON_VIEW makes it."""
        publish_raw(
            stored("course/course", "itembank/i1"),
            stored("itembank/i1", "problem/p1", max_count=1, completion_mode="completable"),
            stored("problem/p1"),
        )

        assert leaves_of(UserFactory()) == {"itembank/i1"}

    def test_keys_with_branch_and_version_are_those_without(self) -> None:
        """As structures had them that were collected between September 2025 and January 2026."""
        blocks = [
            stored("course/course", "chapter/c1"),
            stored("chapter/c1", "html/h1", display_name="One"),
            stored("html/h1", optional_completion=True),
        ]
        publish_raw(*(at_version(each, "5" * 24) for each in blocks))

        outline = OpenEdX().course_outline(COURSE_KEY)

        names = ("course/course", "chapter/c1", "html/h1")
        assert [each.key for each in outline.blocks] == [key(name) for name in names]
        assert [each.display_name for each in outline.blocks] == ["", "One", ""]
        assert tree_of(UserFactory()) == CourseTree(
            aggregators=(key("course/course"), key("chapter/c1")),
            possible=(0, 0),
            optional_possible=(1, 1),
            leaves={key("html/h1"): 0},
            ancestors=((0, 1),),
            optional=(True,),
        )

    def test_the_transformer_collects_what_is_needed_and_changes_nothing(self) -> None:
        openedx.publish(PLAIN)
        structure = get_course_in_cache(COURSE_KEY)
        before = pickle.dumps(structure)

        CompletionAggregatorTransformer().transform(None, structure)

        assert pickle.dumps(structure) == before
        fields = structure[UsageKey.from_string(key("html/extra"))].fields
        assert fields["display_name"] == "html/extra"
        assert fields["optional_completion"] is True


class TestStructures:
    def test_a_course_that_was_never_collected_is_collected(self) -> None:
        openedx.publish(PLAIN)
        version = OpenEdX().course_versions([COURSE_KEY])
        BlockStructureModel.objects.all().delete()

        assert OpenEdX().course_versions([COURSE_KEY]) == version
        assert BlockStructureModel.objects.count() == 1

    def test_a_structure_that_is_collected_while_it_is_read_is_read_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        openedx.publish(PLAIN)
        read = get_course_in_cache
        publications = [COHORTED, LIBRARY]

        def read_slowly(course_key: Any) -> Any:
            structure = read(course_key)
            if publications:
                openedx.publish(publications.pop(0))
            return structure

        monkeypatch.setattr(adapter, "get_course_in_cache", read_slowly)

        outline = OpenEdX().course_outline(COURSE_KEY)

        assert [each.key for each in outline.blocks] == [each.key for each in LIBRARY]
        assert outline.version == OpenEdX().course_versions([COURSE_KEY])[COURSE_KEY]

    def test_a_structure_that_comes_back_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As when two processes with other transformers installed collect in turns."""
        openedx.publish(PLAIN)
        read, row = get_course_in_cache, BlockStructureModel.objects.get()
        publications = [LIBRARY]

        def read_slowly(course_key: Any) -> Any:
            structure = read(course_key)
            if publications:
                openedx.publish(publications.pop())
            return structure

        with monkeypatch.context() as patch:
            patch.setattr(adapter, "get_course_in_cache", read_slowly)
            OpenEdX().course_outline(COURSE_KEY)
        row.save()

        outline = OpenEdX().course_outline(COURSE_KEY)

        assert [each.key for each in outline.blocks] == [each.key for each in PLAIN]

    def test_a_course_that_cannot_be_collected_does_not_hide_others(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        openedx.publish(PLAIN)
        openedx.publish(PLAIN, OTHER_KEY)
        version = OpenEdX().course_versions([OTHER_KEY])
        BlockStructureModel.objects.filter(data_usage_key=modulestore().make_course_usage_key(COURSE_KEY)).delete()

        def fail(structure: Any) -> None:
            raise ValueError("a transformer of somebody else")

        monkeypatch.setattr(UserPartitionTransformer, "collect", fail)

        assert OpenEdX().course_versions([COURSE_KEY, OTHER_KEY]) == version
        assert "a transformer of somebody else" in caplog.text

    def test_views_are_of_the_version_that_is_collected_while_they_are_made(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        openedx.publish(PLAIN)
        OpenEdX().course_outline(COURSE_KEY)
        read = get_course_in_cache
        publications = [LIBRARY]

        def read_slowly(course_key: Any) -> Any:
            structure = read(course_key)
            if publications:
                openedx.publish(publications.pop(0))
            return structure

        monkeypatch.setattr(adapter, "get_course_in_cache", read_slowly)

        assert len(leaves_of(UserFactory())) == 4

    @pytest.mark.parametrize("blocks", [COHORTED, LIBRARY])
    def test_the_structure_is_read_once_for_all_audiences(self, blocks: Sequence[OlxBlock]) -> None:
        counts = []
        users = [UserFactory(is_staff=number == 0) for number in range(5)]
        openedx.publish(blocks)
        openedx.make_cohort("Red", *users[1:3])
        openedx.make_cohort("Blue", users[3])
        for asked in (users[:1], users):
            openedx.publish(blocks)
            OpenEdX().course_outline(COURSE_KEY)
            with CaptureQueriesContext(connection) as queries:
                list(OpenEdX().course_views(COURSE_KEY, [user.pk for user in asked], now=timezone.now()))
            counts.append(sum("block_structure" in query["sql"] for query in queries))

        assert counts[0] == counts[1] > 0

    def test_trees_are_dropped_when_there_are_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(adapter, "MAX_TREES", 2)
        openedx.publish(COHORTED)
        users = [UserFactory(is_staff=True), UserFactory(), UserFactory(), UserFactory()]
        openedx.make_cohort("Red", users[1])
        openedx.make_cohort("Blue", users[2])

        first, again = [[leaves_of(user) for user in users] for _ in range(2)]

        assert first == again


def test_who_gave_the_platform_no_name_has_none() -> None:
    user = UserFactory(first_name="Not", last_name="Shown")
    openedx.give_name(user, "")

    assert OpenEdX().learner_names([user.pk]) == {}


class TestRoles:
    def test_staff_courses_are_found_where_openedx_authz_keeps_the_roles(self) -> None:
        for course_key in (COURSE_KEY, OTHER_KEY):
            openedx.publish(PLAIN, course_key)
        staff, org_staff = UserFactory(), UserFactory()
        with override_flag(AUTHZ_COURSE_AUTHORING_FLAG.name, active=True):
            CourseStaffRole(COURSE_KEY).add_users(staff)
            OrgStaffRole("Org").add_users(org_staff)

            assert not CourseAccessRole.objects.exists()
            assert OpenEdX().staff_courses(staff) == [COURSE_KEY]
            assert OpenEdX().staff_courses(org_staff) == [COURSE_KEY, OTHER_KEY]

    def test_roles_are_found_where_they_are_kept_by_openedx_authz(self) -> None:
        early, staff, org_staff, tester = (UserFactory() for _ in range(4))
        openedx.give_role(early, "ccx_coach")
        with override_flag(AUTHZ_COURSE_AUTHORING_FLAG.name, active=True):
            CourseStaffRole(COURSE_KEY).add_users(staff)
            OrgStaffRole("Org").add_users(org_staff)
            CourseBetaTesterRole(COURSE_KEY).add_users(tester)
            openedx.publish([block("course/course", "html/h1"), block("html/h1", staff_only=True)])

            def holders(*roles: str) -> set[int]:
                return set(OpenEdX().role_holders(COURSE_KEY, roles or None))

            assert CourseAccessRole.objects.count() == 1
            assert holders() == {early.pk, staff.pk, org_staff.pk, tester.pk}
            assert holders("staff") == {staff.pk, org_staff.pk}
            assert holders("beta_testers", "instructor") == {tester.pk}
            assert [leaves_of(user) for user in (staff, org_staff, tester)] == [{"html/h1"}, {"html/h1"}, set()]

    def test_an_inactive_user_is_not_course_staff(self) -> None:
        openedx.publish([block("course/course", "html/h1"), block("html/h1", staff_only=True)])
        user = UserFactory(is_active=False)
        openedx.give_role(user, "staff")

        assert OpenEdX().is_course_staff(user, COURSE_KEY) is False
        assert leaves_of(user) == set()

    def test_a_data_researcher_sees_what_learners_see(self) -> None:
        openedx.publish([block("course/course", "html/h1"), block("html/h1", staff_only=True)])
        user = UserFactory()
        openedx.give_role(user, "data_researcher")

        assert OpenEdX().is_course_staff(user, COURSE_KEY) is True
        assert leaves_of(user) == set()


class TestRequestCaches:
    """What the platform remembers for one request must not last as long as a command runs."""

    def test_outside_of_a_request_nothing_is_remembered(self) -> None:
        openedx.publish(COHORTED)
        user = UserFactory()
        openedx.make_cohort("Red", user)
        assert leaves_of(user) == {"html/all", "html/red", "html/both"}

        set_course_cohorted(COURSE_KEY, False)

        assert leaves_of(user) == {"html/all"}
        assert OpenEdX().cohorts(COURSE_KEY) is None

    def test_in_a_request_it_is_left_alone(self) -> None:
        openedx.publish(PLAIN)
        RequestCache("somebody").set("key", "value")
        crum.set_current_request(RequestFactory().get("/"))
        try:
            tree_of(UserFactory())
        finally:
            crum.set_current_request(None)

        assert RequestCache("somebody").get_cached_response("key").value == "value"


def test_a_transformer_that_is_not_installed_is_found_by_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TransformerRegistry, "get_available_plugins", dict)

    (message,) = OpenEdX().check()

    assert message.id == "completion_aggregator.E006"


@pytest.mark.anywhere
@override_settings(COMPLETION_AGGREGATOR_LMS="completion_aggregator.lms.openedx.OpenEdX")
class TestExplaining(TestCase):
    """What an explanation counts is what the learner's tree has."""

    def assert_what_is_counted_is_what_counts(self, blocks: list[StoredBlock]) -> None:
        users = make_population()
        root, *others = blocks
        publish_raw(root, *others, days_early_for_beta=10)
        for user in users:
            told = list(explain_completion(user, COURSE_KEY).root.walk())
            tree = tree_of(user)
            assert sorted(each.block_key for each in told if each.counted) == sorted(seen(tree))
            # A reason is known of all others but A/B tests, which were taken out, and what may not have been drawn.
            unknown = {each.block_type for each in told if each.standing.reason == Reason.HIDDEN}
            assert unknown <= {"split_test", "problem"}

    @settings(max_examples=10)
    @given(courses(is_individual=False))
    def test_to_an_audience(self, blocks: list[StoredBlock]) -> None:
        self.assert_what_is_counted_is_what_counts(blocks)

    @settings(max_examples=10)
    @given(courses(is_individual=True))
    def test_in_a_course_that_draws_content_for_each_learner(self, blocks: list[StoredBlock]) -> None:
        self.assert_what_is_counted_is_what_counts(blocks)
