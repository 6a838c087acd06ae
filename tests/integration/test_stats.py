"""Means over a course's learners, and how long they are kept."""

from __future__ import annotations

from typing import Any

import pytest
from completion.models import BlockCompletion
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.models import CourseAggregate
from completion_aggregator.selectors import CourseStats, get_course_means, get_course_stats
from completion_aggregator.selectors import stats as stats_module
from completion_aggregator.services import aggregate_stale
from sample_lms.lms import SampleLMS
from sample_lms.models import Enrollment
from tests.factories import (
    COURSE_KEY,
    CohortFactory,
    EnrollmentFactory,
    MembershipFactory,
    RoleFactory,
    UserFactory,
    block,
    complete,
    new_course_key,
    publish_course,
)

pytestmark = pytest.mark.django_db

OTHER_KEY = CourseKey.from_string("course-v1:Org+Other+Run")
SIX = ("html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")


class PlainLMS(SampleLMS):
    """The sample LMS without roles."""

    capabilities = frozenset()

    def role_holders(self, course_key: Any, roles: Any = None) -> Any:
        raise self.lacks(next(iter(SampleLMS.capabilities)))


def learners(*done: int) -> list[Any]:
    """Enroll a learner for each number, who has done so many of the six blocks, and aggregate."""
    users = [EnrollmentFactory().user for _ in done]
    for user, number in zip(users, done, strict=True):
        complete(user, *SIX[:number])
    aggregate_stale()
    return users


def mean(course_key: CourseKey = COURSE_KEY) -> float:
    return get_course_means([course_key])[course_key]


# Stats


def test_stats_are_the_mean_of_the_active_enrollments(course: Any) -> None:
    learners(6, 3, 0)

    assert get_course_stats(COURSE_KEY) == CourseStats(earned=3.0, possible=6.0)
    assert get_course_stats(COURSE_KEY).percent == 0.5


def test_learners_who_were_never_aggregated_have_earned_nothing_in_the_stats(course: Any) -> None:
    learners(6, 6)
    EnrollmentFactory.create_batch(2)

    assert get_course_stats(COURSE_KEY) == CourseStats(earned=3.0, possible=6.0)


def test_a_row_that_only_serves_as_a_lock_is_not_counted_as_aggregated(course: Any) -> None:
    learners(6)
    locked = EnrollmentFactory().user
    CourseAggregate.objects.create(course_id=CourseAggregate.objects.get().course_id, user=locked)

    assert get_course_stats(COURSE_KEY) == CourseStats(earned=3.0, possible=6.0)


def test_learners_who_left_do_not_count_in_the_stats(course: Any) -> None:
    users = learners(6, 0)
    Enrollment.objects.filter(user=users[0]).update(is_active=False)

    assert get_course_stats(COURSE_KEY) == CourseStats(earned=0.0, possible=6.0)


def test_a_course_without_learners_has_zeros(course: Any) -> None:
    for course_key in (COURSE_KEY, new_course_key()):
        stats = get_course_stats(course_key)
        assert (stats, stats.percent) == (CourseStats(earned=0.0, possible=0.0), 0.0)


def test_cohorts_keep_their_members_only(course: Any) -> None:
    users = learners(6, 3, 0)
    red, blue = CohortFactory(), CohortFactory()
    MembershipFactory(user=users[0], cohort=red)
    MembershipFactory(user=users[1], cohort=blue)

    answers = [
        get_course_stats(COURSE_KEY, cohort_ids=ids).earned for ids in (None, [red.pk], [red.pk, blue.pk], [], [10**6])
    ]

    assert answers == [3.0, 6.0, 4.5, 0.0, 0.0]


def test_excluded_roles_are_those_held_here_or_in_the_whole_org(course: Any) -> None:
    users = learners(6, 6, 6, 6, 0)
    RoleFactory(user=users[0], role="staff")
    RoleFactory(user=users[1], role="staff", org="Org", course_id=None)
    RoleFactory(user=users[2], role="staff", course_id=OTHER_KEY)
    RoleFactory(user=users[3], role="beta_testers")

    answers = [
        get_course_stats(COURSE_KEY, exclude_roles=roles).earned
        for roles in ((), ["staff"], ["beta_testers"], ["staff", "beta_testers"], ["nobody"])
    ]

    assert answers == [24 / 5, 12 / 3, 18 / 4, 6 / 2, 24 / 5]


def test_stats_take_one_query(course: Any, django_assert_num_queries: Any) -> None:
    learners(1, 2, 3)

    with django_assert_num_queries(1):
        get_course_stats(COURSE_KEY, cohort_ids=[1], exclude_roles=["staff"])


def test_stats_and_mean_read_no_users(course: Any) -> None:
    learners(1, 2)

    with CaptureQueriesContext(connection) as queries:
        get_course_stats(COURSE_KEY)
        mean()

    assert len(queries) == 2
    assert not any("auth_user" in each["sql"] for each in queries)


# Means


def test_where_nobody_has_a_role_the_mean_is_that_of_the_stats(course: Any) -> None:
    users = learners(6, 3, 1, 0)
    EnrollmentFactory()
    Enrollment.objects.filter(user=users[1]).update(is_active=False)

    assert mean() == pytest.approx(get_course_stats(COURSE_KEY).percent)
    assert mean() == pytest.approx(7 / 6 / 4)


def test_the_mean_counts_those_never_aggregated_as_nothing(course: Any) -> None:
    learners(6, 3)
    EnrollmentFactory.create_batch(2)

    assert mean() == 1.5 / 4


def test_the_mean_counts_nobody_who_left_and_is_never_above_one(course: Any) -> None:
    users = learners(6, 6, 6)
    Enrollment.objects.exclude(user=users[0]).update(is_active=False)

    assert mean() == 1.0


def test_the_mean_leaves_out_whoever_has_a_role_here(course: Any) -> None:
    users = learners(6, 6, 6, 0)
    RoleFactory(user=users[0], role="beta_testers")
    RoleFactory(user=users[1], role="staff", org="Org", course_id=None)
    RoleFactory(user=users[2], role="staff", course_id=OTHER_KEY)
    RoleFactory(user=users[3], role="staff", org="Foreign", course_id=None)

    assert mean() == 0.5


def test_the_mean_of_an_lms_without_roles_counts_everybody(course: Any, settings: Any) -> None:
    users = learners(6, 0)
    RoleFactory(user=users[0])
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.PlainLMS"

    assert mean() == 0.5


def test_the_mean_of_a_course_without_learners_is_zero(course: Any) -> None:
    assert get_course_means([COURSE_KEY, OTHER_KEY]) == {COURSE_KEY: 0.0, OTHER_KEY: 0.0}
    assert get_course_means([]) == {}


def test_a_course_with_nothing_to_do_is_done_by_everybody(course: Any) -> None:
    publish_course([block("course/course")])
    learners(0, 0)

    assert mean() == 1.0


def test_means_of_many_courses_do_not_mix(course: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats_module, "MEANS_PER_QUERY", 2)
    keys = [COURSE_KEY, *(CourseKey.from_string(f"course-v1:Org+Course+{run}") for run in range(4))]
    for done, course_key in enumerate(keys):
        publish_course(course_key=course_key)
        for user in (EnrollmentFactory(course_id=course_key).user, EnrollmentFactory(course_id=course_key).user):
            BlockCompletion.objects.bulk_create(
                BlockCompletion(
                    user=user,
                    context_key=course_key,
                    block_key=COURSE_KEY.make_usage_key(*name.split("/")),
                    block_type="any",
                    completion=1.0,
                )
                for name in SIX[:done]
            )
    aggregate_stale()

    assert get_course_means(keys) == {course_key: done / 6 for done, course_key in enumerate(keys)}


def test_a_mean_takes_one_query_and_then_none(course: Any, django_assert_num_queries: Any) -> None:
    learners(6, 0)

    with django_assert_num_queries(1):
        first = get_course_means([COURSE_KEY, OTHER_KEY])
    with django_assert_num_queries(0):
        assert get_course_means([COURSE_KEY, OTHER_KEY]) == first


def test_a_kept_mean_is_told_as_long_as_nothing_is_aggregated(course: Any) -> None:
    learners(6, 0)
    assert mean() == 0.5

    CourseAggregate.objects.update(percent=1.0)

    assert mean() == 0.5
    cache.clear()
    assert mean() == 1.0


def test_the_mean_is_not_kept_when_the_timeout_is_zero(course: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_MEAN_CACHE_TIMEOUT = 0
    learners(6, 0)
    assert mean() == 0.5

    CourseAggregate.objects.update(percent=1.0)

    assert mean() == 1.0


@pytest.mark.django_db(transaction=True)
def test_the_mean_is_new_after_aggregation_after_leaving_and_after_a_new_role(course: Any) -> None:
    users = learners(6, 0, 0)
    found = [mean()]
    complete(users[1], *SIX[:3])
    aggregate_stale()
    found.append(mean())
    Enrollment.objects.get(user=users[2]).delete()
    found.append(mean())
    RoleFactory(user=users[0])
    found.append(mean())
    EnrollmentFactory()
    found.append(mean())

    assert found == [1 / 3, 0.5, 0.75, 0.5, 0.25]


@pytest.mark.django_db(transaction=True)
def test_the_means_of_other_courses_are_kept(course: Any) -> None:
    learners(6)
    publish_course(course_key=OTHER_KEY)
    EnrollmentFactory(user=UserFactory(), course_id=OTHER_KEY)
    aggregate_stale()
    assert get_course_means([COURSE_KEY, OTHER_KEY]) == {COURSE_KEY: 1.0, OTHER_KEY: 0.0}
    CourseAggregate.objects.filter(course__course_key=str(COURSE_KEY)).update(percent=0.25)

    EnrollmentFactory(course_id=OTHER_KEY)

    assert get_course_means([COURSE_KEY, OTHER_KEY]) == {COURSE_KEY: 1.0, OTHER_KEY: 0.0}
