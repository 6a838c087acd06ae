"""What happens in Open edX makes learners stale: its signals, sent by the stand-ins of tests/stubs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from common.djangoapps.student.models import CourseAccessRole, CourseEnrollment
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection, transaction
from django.dispatch import Signal
from django.test import TestCase
from django.utils.module_loading import import_string
from opaque_keys.edx.keys import CourseKey
from opaque_keys.edx.locator import LibraryLocator
from openedx.core.djangoapps.content.block_structure.api import update_course_in_cache
from openedx.core.djangoapps.course_groups.cohorts import (
    add_user_to_cohort,
    remove_user_from_cohort,
    set_course_cohorted,
)
from openedx.core.djangoapps.course_groups.models import CourseUserGroup, CourseUserGroupPartitionGroup
from openedx.core.djangoapps.user_api.accounts.signals import USER_RETIRE_LMS_CRITICAL, USER_RETIRE_LMS_MISC
from xmodule.modulestore.django import StoredBlock, modulestore

from completion_aggregator import handlers
from completion_aggregator.apps import CompletionAggregatorConfig
from completion_aggregator.models import BlockAggregate, CourseAggregate, ReachedThreshold, StaleCompletion
from completion_aggregator.services import aggregate_stale, mark_learners
from tests import openedx
from tests.contract.test_lms_contract import PLAIN
from tests.factories import COURSE_KEY, UserFactory, block, complete, usage_key
from tests.truth import assert_stored_is_computed

pytestmark = pytest.mark.django_db

OTHER_KEY = CourseKey.from_string("course-v1:Org+Other+Run")
FOREIGN_KEY = CourseKey.from_string("course-v1:Foreign+Course+Run")
Commit = Callable[[], Any]


@pytest.fixture(autouse=True)
def _plugin(settings: Any) -> Iterator[None]:
    """Let Open edX be the LMS, with the receivers that its plugin machinery connects."""
    settings.COMPLETION_AGGREGATOR_LMS = "completion_aggregator.lms.openedx.OpenEdX"
    connected: list[tuple[Signal, Any, str]] = []
    for each in CompletionAggregatorConfig.plugin_app["signals_config"]["lms.djangoapp"]["receivers"]:
        signal = import_string(each["signal_path"])
        sender = import_string(each["sender_path"]) if "sender_path" in each else None
        signal.connect(getattr(handlers, each["receiver_func_name"]), sender=sender, dispatch_uid=each["dispatch_uid"])
        connected.append((signal, sender, each["dispatch_uid"]))
    yield
    for signal, sender, uid in connected:
        assert signal.disconnect(sender=sender, dispatch_uid=uid)


@pytest.fixture
def learner() -> Any:
    """Somebody enrolled in a published course, and aggregated."""
    openedx.publish(PLAIN)
    user = UserFactory(username="ada")
    openedx.enroll(user)
    aggregate()
    return user


def aggregate() -> None:
    with TestCase.captureOnCommitCallbacks(execute=True):
        aggregate_stale()
    StaleCompletion.objects.all().delete()


def marked() -> set[tuple[str, str]]:
    names = dict(get_user_model().objects.values_list("pk", "username"))
    rows = StaleCompletion.objects.filter(block_key=None).values_list("user_id", "course_key")
    return {(names[user_id], course_key) for user_id, course_key in rows}


ADA = {("ada", str(COURSE_KEY))}


def test_a_publication_makes_everybody_in_the_course_stale(learner: Any) -> None:
    modulestore().publish(COURSE_KEY, [StoredBlock(key=usage_key("course/course"))])

    assert marked() == ADA


def test_a_structure_that_is_collected_later_makes_everybody_stale_again(learner: Any) -> None:
    """The platform collects half a minute after the publication; until then learners see the old course."""
    blocks = [
        StoredBlock(key=usage_key("course/course"), children=(usage_key("html/h1"),)),
        StoredBlock(key=usage_key("html/h1")),
    ]
    modulestore().publish(COURSE_KEY, blocks)
    aggregate()
    assert CourseAggregate.objects.get().possible == 2

    update_course_in_cache(COURSE_KEY)

    assert marked() == ADA
    aggregate()
    assert CourseAggregate.objects.get().possible == 1
    assert_stored_is_computed(COURSE_KEY)


def test_an_item_that_is_deleted_makes_everybody_stale(learner: Any) -> None:
    modulestore().delete_item(usage_key("html/h1"), user_id=1)

    assert marked() == ADA


def test_a_library_marks_nobody(learner: Any) -> None:
    library = LibraryLocator("Org", "Library")

    modulestore().publish_library(library)
    modulestore().delete_item(library.make_usage_key("problem", "p1"), user_id=1)

    assert marked() == set()


def test_a_deleted_course_leaves_no_marker_and_keeps_what_learners_have_done(learner: Any) -> None:
    complete(learner, "html/h1")
    aggregate()
    rows = list(BlockAggregate.objects.values())
    mark_learners(COURSE_KEY, [learner.pk])
    mark_learners(OTHER_KEY, [learner.pk])

    openedx.delete_course(COURSE_KEY)

    assert marked() == {("ada", str(OTHER_KEY))}
    assert list(BlockAggregate.objects.values()) == rows


@pytest.mark.parametrize("event", ["enroll", "enroll again", "unenroll", "change mode"])
def test_an_enrollment_that_changes_makes_the_learner_stale(learner: Any, event: str) -> None:
    openedx.enroll(UserFactory())
    if event == "enroll again":
        openedx.unenroll(learner)
    StaleCompletion.objects.all().delete()
    if event == "enroll":
        CourseEnrollment.objects.filter(user=learner).delete()
    {
        "enroll": lambda: openedx.enroll(learner),
        "enroll again": lambda: openedx.enroll(learner),
        "unenroll": lambda: openedx.unenroll(learner),
        "change mode": lambda: CourseEnrollment.objects.get(user=learner).update_enrollment(mode="verified"),
    }[event]()

    assert marked() == ADA


def test_another_cohort_makes_the_learner_stale(learner: Any) -> None:
    cohort = CourseUserGroup.objects.get(pk=openedx.make_cohort("Red"))
    StaleCompletion.objects.all().delete()

    add_user_to_cohort(cohort, learner)
    assert marked() == ADA

    StaleCompletion.objects.all().delete()
    remove_user_from_cohort(cohort, learner)
    assert marked() == ADA


def test_cohorts_that_are_switched_make_everybody_stale(learner: Any) -> None:
    set_course_cohorted(COURSE_KEY, True)

    assert marked() == ADA


def test_a_cohort_that_is_linked_to_another_group_makes_everybody_stale(learner: Any) -> None:
    openedx.make_cohort("Red")
    StaleCompletion.objects.all().delete()
    link = CourseUserGroupPartitionGroup.objects.get()

    link.group_id = openedx.GROUPS["Blue"]
    link.save()
    assert marked() == ADA

    StaleCompletion.objects.all().delete()
    CourseUserGroup.objects.all().delete()
    assert marked() == ADA


def test_a_role_in_the_course_makes_its_holder_stale(learner: Any, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        openedx.give_role(learner, "staff")
    assert marked() == ADA

    StaleCompletion.objects.all().delete()
    with django_capture_on_commit_callbacks(execute=True):
        CourseAccessRole.objects.get().delete()
    assert marked() == ADA


def test_a_role_in_an_organisation_makes_its_holder_stale_in_its_courses(
    learner: Any, django_capture_on_commit_callbacks: Any
) -> None:
    openedx.enroll(learner, FOREIGN_KEY)
    openedx.enroll(learner, OTHER_KEY)
    StaleCompletion.objects.all().delete()

    with django_capture_on_commit_callbacks(execute=True):
        openedx.give_org_role(learner, "staff", "Org")

    assert marked() == {("ada", str(COURSE_KEY)), ("ada", str(OTHER_KEY))}


@pytest.mark.parametrize("signals", [[USER_RETIRE_LMS_CRITICAL], [USER_RETIRE_LMS_MISC], "both"])
def test_of_a_retired_user_nothing_is_left(learner: Any, signals: Any) -> None:
    other = UserFactory(username="bob")
    for user in (learner, other):
        openedx.enroll(user)
        complete(user, "html/h1")
    aggregate()
    mark_learners(COURSE_KEY, [learner.pk, other.pk])

    for signal in [USER_RETIRE_LMS_CRITICAL, USER_RETIRE_LMS_MISC] if signals == "both" else signals:
        signal.send(sender=object, user=learner, retired_username="retired__x", retired_email="x@example.com")

    for model in (BlockAggregate, CourseAggregate, ReachedThreshold, StaleCompletion):
        assert set(model.objects.values_list("user_id", flat=True)) == {other.pk}
    assert_stored_is_computed(COURSE_KEY)


def test_another_username_changes_nothing(learner: Any) -> None:
    """The platform renames with an UPDATE and tells nobody; ids are what is stored."""
    complete(learner, "html/h1")
    aggregate()
    complete(learner, "html/shared")

    get_user_model().objects.filter(pk=learner.pk).update(username="lovelace")
    aggregate_stale()

    assert list(CourseAggregate.objects.values_list("user__username", "earned")) == [("lovelace", 2.0)]
    assert not StaleCompletion.objects.exists()
    assert_stored_is_computed(COURSE_KEY)


def test_learners_are_computed_without_making_anybody_stale(learner: Any) -> None:
    """The platform's transformers write; what they write must not come back as a signal."""
    openedx.publish(
        [
            block("course/course", "html/red", "library_content/l1"),
            block("html/red", cohorts=("Red",)),
            block("library_content/l1", "problem/p1", "problem/p2", max_count=1),
            block("problem/p1"),
            block("problem/p2"),
        ]
    )
    openedx.make_cohort("Red")

    with TestCase.captureOnCommitCallbacks(execute=True):
        aggregate_stale()
        aggregate_stale()

    assert not StaleCompletion.objects.exists()


class TestFailures:
    """Whoever sends a signal must not suffer from what its receiver cannot do."""

    @pytest.fixture(autouse=True)
    def _broken(self, monkeypatch: pytest.MonkeyPatch, learner: Any) -> None:
        def fail(*args: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM there_is_no_such_table")

        for name in ("mark_course", "mark_learners", "mark_learner_in_org", "forget_course", "forget_learner"):
            monkeypatch.setattr(handlers, name, fail)

    @pytest.mark.parametrize(
        "happen",
        [
            lambda user: openedx.unenroll(user),
            lambda user: add_user_to_cohort(CourseUserGroup.objects.create(course_id=COURSE_KEY, name="Blue"), user),
            lambda user: USER_RETIRE_LMS_MISC.send(sender=object, user=user),
            lambda user: modulestore().delete_item(usage_key("html/h1"), user_id=1),
            lambda user: modulestore().delete_course(COURSE_KEY, user_id=1),
            lambda user: set_course_cohorted(COURSE_KEY, True),
            lambda user: openedx.publish(PLAIN),
        ],
    )
    def test_nothing_is_raised_and_the_transaction_goes_on(
        self, happen: Callable[[Any], object], caplog: pytest.LogCaptureFixture
    ) -> None:
        user = get_user_model().objects.get()
        with transaction.atomic():
            happen(user)
            UserFactory(username="written in the same transaction")

        assert get_user_model().objects.filter(username="written in the same transaction").exists()
        assert "there_is_no_such_table" in caplog.text

    def test_the_failure_is_that_of_the_database(self) -> None:
        with pytest.raises(DatabaseError), transaction.atomic():
            handlers.mark_course(COURSE_KEY)


def test_completions_of_libraries_mark_nobody(learner: Any) -> None:
    library = LibraryLocator("Org", "Library")
    BlockCompletion.objects.create(
        user=learner,
        context_key=library,
        block_key=library.make_usage_key("problem", "p1"),
        block_type="problem",
        completion=1.0,
    )

    assert not StaleCompletion.objects.exists()
